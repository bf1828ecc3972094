"""The ways in which we change anything at Slurm: what every one of them can do, and the one that a site has chosen.

The way says only who runs ``sbatch`` and how: the helper that is root, a sudo rule for one command of ours, or slurmrestd with a
token per user. What is asked of Slurm, and how its answers are told, is the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..config import BackendAI
from ..core.identity import PosixAccount
from ..errors import N_, Conflict, InvalidParameters
from .base import JobRequest

HELPER, SUDO, REST = WAYS = ("helper", "sudo", "rest")


class OperatorUnavailable(Conflict):
    """This way has nobody who may change other people's jobs or nodes."""

    code = "backendai_scheduler_no-operator"
    default_message = N_("This platform has no operator's rights in Slurm.")


class Way(ABC):
    """How jobs are submitted and ended as their users. Every method may raise BackendUnavailable; none blocks the loop."""

    name: str

    @abstractmethod
    async def submit(self, job: JobRequest) -> str:
        """Hand a job to Slurm as its user and return its id. Raises SubmitRefused with Slurm's own words as ``reason``."""

    @abstractmethod
    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        """End a job as its user; no error when it is over or unknown. ``session_id`` also removes what a job that never ran left."""

    @abstractmethod
    async def make_directories(self, posix: PosixAccount | None) -> None:
        """Make the user's directory of logs and the working directory, where that is done before the job."""

    @abstractmethod
    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        """The end of a job's log (at most 64 KiB), "" when there is none."""

    @abstractmethod
    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int) -> None:
        """Make ``time_s`` seconds from its start the time limit of a user's job. Slurm lets its operators give more time, nobody else.

        Raises OperatorUnavailable where we have none, Conflict with Slurm's words where it does not want to.
        """

    @abstractmethod
    async def drain(self, node: str, reason: str) -> None:
        """Give nothing new to a node. Raises OperatorUnavailable, or Conflict with Slurm's words."""

    @abstractmethod
    async def resume(self, node: str) -> None:
        """Use a node again. Raises as :meth:`drain`."""

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """What is wrong with this way here, one English sentence per problem, for the administrator."""


def make_way(settings: BackendAI, cluster: str = "") -> Way:
    """The way that ``c.BackendAI.slurm_submit`` names, to one of several clusters. Raises InvalidParameters for one that there is not."""
    from .helper import Helper
    from .slurm_verbs import VerbWay
    from .sudo import Sudo

    if settings.slurm_submit == HELPER:
        return VerbWay(HELPER, Helper(settings.helper_socket), cluster)
    if settings.slurm_submit == SUDO:
        return VerbWay(SUDO, Sudo(settings.slurm_sudo_command, settings.slurm_sudo_user, settings.slurm_sudo_operator), cluster)
    if settings.slurm_submit == REST:
        from .slurm_rest import RestWay

        return RestWay(settings, cluster)
    message = "c.BackendAI.slurm_submit: %(way)s is none of %(ways)s."
    raise InvalidParameters(message, way=settings.slurm_submit, ways=", ".join(WAYS))
