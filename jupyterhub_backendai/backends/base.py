"""How we talk to an engine: what every backend can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.identity import PosixAccount
from ..core.ledger import Accounted
from ..core.nodes import Node
from ..core.queues import QueueFigures
from ..core.sessions import Admission, JobStatus
from ..core.slots import SlotKind
from ..errors import N_, Conflict


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to submit: an admitted session and what its single-user server must know.

    ``environment`` holds the server's variables, its token among them: they go into a file of the user's (mode 0600), never into
    the job's own environment or arguments. ``command`` is the argument list that starts the session's program. With a ``script`` it
    is a batch job: a shell runs these lines instead of a server. ``user`` is the hub's name of the person.
    """

    admission: Admission
    environment: Mapping[str, str]
    command: Sequence[str]
    job_name: str
    options: Sequence[str] = field(default_factory=tuple)
    script: str = ""
    user: str = ""


class Backend(ABC):
    """An engine. Every method may raise :class:`~jupyterhub_backendai.errors.BackendUnavailable`; none blocks the loop."""

    name: str

    @abstractmethod
    async def submit(self, job: JobRequest) -> str:
        """Hand a job to the engine and return its id. Not idempotent. Raises SubmitRefused with the engine's words."""

    @abstractmethod
    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        """End a job; no error when it is over already or unknown. ``session_id`` also removes what a job that never ran left behind."""

    @abstractmethod
    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        """Where a session's job is, from the one shared reader: no command of its own however many ask.

        ``job_id`` "" finds a job whose id was never learnt by its session id. Never raises: what cannot be known now is
        JobState.UNKNOWN, and JobState.GONE needs positive proof.
        """

    @abstractmethod
    async def statuses(self) -> Mapping[str, JobStatus]:
        """All jobs of ours by session id, as just read. Raises when the engine cannot be asked.

        Anybody can submit a job that looks like a session's: compare ``JobStatus.user`` with the session's owner before believing
        one, and ask :meth:`status` before ending anything.
        """

    def starting(self, session_id: str) -> None:  # noqa: B027 - engines that are cheap to ask need not be told
        """Ask more often until :meth:`started` for this session."""

    def started(self, session_id: str) -> None:  # noqa: B027
        """The session runs, or its start is over."""

    async def refresh(self) -> None:  # noqa: B027
        """Return when the statuses are those of after this call; callers share one reading. Never raises."""

    async def node_address(self, node: str) -> str:
        """The address at which the hub and the proxy reach a node."""
        return node

    @abstractmethod
    async def capacity(self) -> Mapping[str, QueueFigures]:
        """The live row of every queue of this engine, by the engine's own queue name (partition)."""

    async def slot_kinds(self) -> Mapping[str, SlotKind]:
        """What the engine hands out besides CPUs, memory and GPUs, by the slot's name, and how it is counted."""
        return {}

    async def nodes(self) -> Sequence[Node]:
        """The engine's nodes as they are now, without our sessions; nothing where the engine does not tell."""
        return ()

    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int, session_id: str = "") -> None:  # noqa: ARG002
        """Make ``time_s`` seconds from its start the time limit of a job that runs; again with the same time is no error.

        Raises Conflict with the engine's words where it does not want to, or where the engine cannot do it at all.
        """
        raise Conflict(N_("Sessions of the engine %(engine)s cannot be given more time."), engine=self.name)

    async def drain(self, node: str, reason: str) -> None:  # noqa: ARG002 - for those who can
        """Give nothing new to a node; what runs there goes on. Raises Conflict, with what to do instead, where that cannot be done here."""
        raise Conflict(N_("Nodes of the engine %(engine)s cannot be drained here."), engine=self.name)

    async def resume(self, node: str) -> None:  # noqa: ARG002
        """Use a node again. Raises as :meth:`drain`."""
        raise Conflict(N_("Nodes of the engine %(engine)s cannot be drained here."), engine=self.name)

    async def read_usage(self, job_ids: Sequence[str], cluster: str = "") -> Mapping[str, Accounted] | None:  # noqa: ARG002
        """What the engine's accounting says that jobs used, by id; None where it keeps none. Raises when it does not answer."""
        return None

    @abstractmethod
    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        """The end of a job's log (at most 64 KiB, regular files only), read as its user; "" when there is none."""

    async def read_server_log(self, session_id: str, job_id: str, posix: PosixAccount | None, user: str) -> str:  # noqa: ARG002
        """The same of a notebook server's log; ``user`` is the hub's name of its owner."""
        return await self.read_log(job_id, posix, session_id)
