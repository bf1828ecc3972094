"""The settings of ``c.BackendAI`` that are about Slurm, and about reaching its nodes."""

from __future__ import annotations

from traitlets import Dict, Enum, Float, Integer, List, Unicode, Union, default
from traitlets.config import Configurable

from .errors import N_


class SlurmSettings(Configurable):
    """A part of :class:`~jupyterhub_backendai.config.BackendAI`, which is where they are set."""

    slurm_submit = Unicode(
        "helper", config=True, help=N_("How jobs are submitted as their users: helper, sudo or rest; see docs/howto-slurm-submit.md.")
    )
    helper_socket = Unicode(config=True, help=N_("Unix socket of the helper."))
    slurm_sudo_command = List(
        Unicode(),
        default_value=[
            *("/opt/jupyterhub/bin/python", "-I", "-m", "jupyterhub_backendai.helper.once"),
            *("--options", "/etc/jupyterhub-backendai/submit.options"),
        ],
        config=True,
        help=N_("slurm_submit = sudo: the command, exactly as the rule of sudo names it."),
    )
    slurm_sudo_user = Unicode(
        "{user}", config=True, help=N_("As whom sudo runs it: {user}, or root where the platform makes people's directories.")
    )
    slurm_sudo_operator = Unicode(
        "", config=True, help=N_("As whom sudo runs it with --operate, to give more time and to drain nodes; empty: that cannot be done.")
    )
    slurm_rest_url = Unicode(
        "http://127.0.0.1:6820", config=True, help=N_("slurm_submit = rest: where slurmrestd listens, http(s)://host:port or unix:///path.")
    )
    slurm_rest_urls = Dict(config=True, help=N_("Cluster → where its slurmrestd listens, where there are several clusters."))
    slurm_rest_version = Unicode(
        "", config=True, help=N_("Version of its interface, such as v0.0.38; empty: the newest one that it has and we know.")
    )
    slurm_rest_key_file = Unicode(
        "", config=True, help=N_("Slurm's jwt_hs256.key, to sign people's tokens with; empty: `scontrol token`, as Slurm's operator.")
    )
    slurm_rest_operator = Unicode(
        "", config=True, help=N_("Unix name of a Slurm operator in whose name sessions are given more time; empty: that cannot be done.")
    )
    slurm_rest_min_uid = Integer(1000, config=True, help=N_("slurm_submit = rest: jobs are never run for accounts with a lower uid."))
    slurm_rest_python = Unicode(
        "", config=True, help=N_("slurm_submit = rest: interpreter that starts sessions on the nodes; empty: the path of the hub's own.")
    )
    slurm_rest_programs = Unicode(
        "", config=True, help=N_("slurm_submit = rest: directory of remote.py and singleuser.py on the nodes; empty: the same as here.")
    )
    slurm_queues = Union(
        [Enum(["all"]), List(Unicode())],
        default_value=[],
        config=True,
        help=N_(
            "Partitions that become resource groups by themselves: `all` that are not hidden, or their names; a group of `queues` "
            "with the partition goes before. Labels, prices, order and access are the administrators' to set."
        ),
    )
    slurm_bin = Unicode("/usr/bin", config=True, help=N_("Directory of sbatch, squeue, scontrol and scancel."))
    slurm_clusters = List(
        Unicode(),
        config=True,
        help=N_(
            "Clusters of one slurmdbd (a federation, or not), first the one that slurm.conf names; empty: that one alone. "
            "A resource group says in `clusters` where its partition is; people choose where it is on several."
        ),
    )
    node_addresses = Dict(config=True, help=N_("Node name → address, where Slurm's NodeAddr is not what the proxy can reach."))
    hub_address = Unicode(
        "", config=True, help=N_("The hub's API address as nodes reach it (http://host:8081/hub/api); default: the hub's.")
    )
    hub_addresses = Dict(
        config=True,
        help=N_("Queue or cluster → the hub's API address as its nodes reach it, where not all of them reach the same one."),
    )
    command_timeout_s = Float(20.0, config=True, help=N_("Seconds that an engine's command may take."))
    starting_interval_s = Float(2.0, config=True, help=N_("How often the hub asks Slurm while a session starts."))
    steady_interval_s = Float(10.0, config=True, help=N_("How often it asks otherwise."))
    figures_interval_s = Float(10.0, config=True, help=N_("How often the queue table is read while somebody looks."))
    figures_idle_interval_s = Float(60.0, config=True, help=N_("How often it is read when nobody does."))

    @default("helper_socket")
    def _helper_socket(self) -> str:
        return "/run/jupyterhub-backendai/helper.sock"

    def find_hub_address(self, queue: str, cluster: str = "") -> str:
        """The hub's API address for the nodes of a queue; "" where the hub's own will do."""
        return str(self.hub_addresses.get(queue) or self.hub_addresses.get(cluster) or self.hub_address)
