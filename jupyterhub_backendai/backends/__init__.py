"""How we talk to an engine: submit, status of many, cancel, capacity."""

from __future__ import annotations

from ..config import BackendAI
from ..errors import N_, NotFound
from .base import Backend, JobRequest
from .docker import DockerBackend
from .local import LocalBackend, Usage
from .slurm import SlurmBackend
from .slurm_clusters import SlurmClusters

__all__ = ["Backend", "JobRequest", "connect"]

_backends: dict[tuple[str, ...], Backend] = {}


def connect(settings: BackendAI, engine: str, *, usage: Usage | None = None) -> Backend:
    """The backend of an engine in this process, made once, so that one reader serves everybody. Raises NotFound for no engine of ours.

    ``usage`` is for the local engine: a coroutine function that returns the rows of its queues.
    """
    key = (
        engine,
        settings.slurm_submit,
        settings.helper_socket,
        settings.slurm_rest_url,
        settings.slurm_bin,
        settings.job_name,
        settings.state_dir,
        settings.docker_url,
        *settings.slurm_clusters,
    )
    if key not in _backends:
        if engine == SlurmBackend.name:
            _backends[key] = SlurmClusters(settings) if settings.slurm_clusters else SlurmBackend(settings)
        elif engine == LocalBackend.name:
            _backends[key] = LocalBackend(settings, usage)
        elif engine == DockerBackend.name:
            _backends[key] = DockerBackend(settings, usage)
        else:
            raise NotFound(N_("There is no engine %(engine)s."), engine=engine)
    return _backends[key]
