"""What to do where the hub's servers, the engines' jobs and our rows disagree. Everything that was read is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import N_
from .sessions import JobState, JobStatus

# How long a start may take to show up everywhere, and how long a disagreement must last before anything is done about it: a hub that
# has just started lists its servers one by one, and a page of its list can miss one.
GRACE_S = 120.0
CONFIRM_S = 50.0
NO_SERVER = N_("The hub has no server for this session any more.")
_ALIVE = frozenset({JobState.PENDING, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the hub lists it. A pending one starts or stops right now."""

    user: str
    name: str
    is_ready: bool = True
    is_pending: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A session of ours; ``changed_at`` (Unix seconds) is when it was admitted or, when it is over, released."""

    session_id: str
    user: str
    server_name: str
    engine: str
    is_live: bool
    changed_at: float
    is_batch: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """End a job that nobody can reach."""

    engine: str
    session_id: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now. ``suspects`` are the disagreements and since when they were seen: hand them to the next :func:`decide`.

    ``strangers`` are jobs under our name without a row: whose they are is not known, so nobody may end them but a person.
    """

    cancel: tuple[Cancel, ...] = ()
    release: tuple[str, ...] = ()
    revive: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    suspects: Mapping[str, float] = field(default_factory=dict)


def decide(
    servers: Sequence[Server],
    jobs: Mapping[str, Mapping[str, JobStatus] | None],
    rows: Sequence[Row],
    suspects: Mapping[str, float],
    at: float,
) -> Plan:
    """The plan for what was read at ``at``.

    ``jobs`` are each engine's jobs by session id, None for an engine that could not be read: nothing of it is touched. An engine that
    is not in it has no jobs of its own (its sessions are the hub's servers). ``rows`` are all live ones, those of the jobs, and the
    newest of each server without a live one.
    """
    view = _View(servers, jobs, rows, suspects, at)
    for row in rows:
        if row.is_live:
            view.look_at_live(row)
        else:
            view.look_at_over(row)
    view.look_for_strangers({row.session_id for row in rows})
    return Plan(tuple(view.cancel), tuple(view.release), tuple(view.revive), tuple(sorted(view.strangers)), view.suspects)


class _View:
    """What was read, ready for questions, and the plan as it grows."""

    def __init__(
        self,
        servers: Sequence[Server],
        jobs: Mapping[str, Mapping[str, JobStatus] | None],
        rows: Sequence[Row],
        before: Mapping[str, float],
        at: float,
    ) -> None:
        self.servers = {(server.user, server.name): server for server in servers}
        self.jobs, self.before, self.at = jobs, before, at
        self.has_live = {(row.user, row.server_name) for row in rows if row.is_live}
        # The newest of the over rows of a server is the only one that its server can belong to.
        self.newest: dict[tuple[str, str], Row] = {}
        for row in sorted(rows, key=lambda row: row.changed_at):
            self.newest[row.user, row.server_name] = row
        self.suspects: dict[str, float] = {}
        self.cancel: list[Cancel] = []
        self.release: list[str] = []
        self.revive: list[str] = []
        self.strangers: list[str] = []

    def look_at_live(self, row: Row) -> None:
        """A row that holds slots must have a server; a batch session has none, and whoever runs it looks after its job."""
        if row.is_batch:
            return
        if (row.user, row.server_name) in self.servers or self._is_recent(row) or not self._is_confirmed(row.session_id):
            return
        if row.engine in self.jobs and self.jobs[row.engine] is None:
            return
        job = self._job(row)
        if job and job.state is JobState.UNKNOWN:
            return
        if job and job.state in _ALIVE:
            self.cancel.append(Cancel(row.engine, row.session_id, job.job_id))
        self.release.append(row.session_id)

    def look_at_over(self, row: Row) -> None:
        """A row that is over has no job, unless its server is up after all."""
        job = self._job(row)
        is_alive = bool(job and job.state in _ALIVE)
        if self._is_recent(row) or (row.engine in self.jobs and not is_alive):
            return
        place = (row.user, row.server_name)
        server = self.servers.get(place)
        if server and place not in self.has_live and self.newest[place] is row:
            if server.is_ready and not server.is_pending and self._is_confirmed(row.session_id):
                self.revive.append(row.session_id)
        elif job and is_alive and self._is_confirmed(row.session_id):
            self.cancel.append(Cancel(row.engine, row.session_id, job.job_id))

    def look_for_strangers(self, known: set[str]) -> None:
        """Jobs under our name that no row knows."""
        for found in self.jobs.values():
            self.strangers += [id_ for id_, job in (found or {}).items() if id_ not in known and job.state in _ALIVE]

    def _job(self, row: Row) -> JobStatus | None:
        return (self.jobs.get(row.engine) or {}).get(row.session_id)

    def _is_recent(self, row: Row) -> bool:
        return self.at - row.changed_at < GRACE_S

    def _is_confirmed(self, session_id: str) -> bool:
        """Whether the disagreement has lasted; it is noted either way."""
        since = self.suspects[session_id] = self.before.get(session_id, self.at)
        return self.at - since >= CONFIRM_S
