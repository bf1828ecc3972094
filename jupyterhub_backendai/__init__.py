"""A research computing platform on JupyterHub: Slurm, Docker and local sessions with the functions of Backend.AI."""

__version__ = "0.1.0"
