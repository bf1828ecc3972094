"""The one reader of jobs: a timer asks Slurm, everybody else reads what it found.

Three answers about a job are possible. *Known*: the queue or accounting shows it. *Gone*: proven, see :meth:`SlurmReader._confirm`.
*Unknown*: everything else, above all a scheduler that does not answer; unknown is never dead.

* A saved id is GONE when the controller and accounting both answered, twice and at least 10 s apart, that they do not know it, and the
  controller, asked for this job alone, said so in words. On a cluster that keeps no accounting the controller's answers are the proof:
  it forgets only jobs that are over (MinJobAge).
* A controller that was killed may have lost a job that accounting takes for alive, for ever. After 300 s of the controller's denial it
  is GONE too, unless other people's jobs may be hidden from us.
* A session whose id was never learnt (the hub died between sbatch and its answer) is GONE when no reading of 40 s showed its
  comment: by then the helper has ended an ``sbatch`` that hung. An outage begins the 40 s anew: a controller that was stopped finds
  the question in its mailbox when it goes on.
* A controller that lost a job gives its id to another one: a job with the id and somebody else's comment is not the session's.
* Where ``PrivateData`` hides other people's jobs, the hub's account must be a Slurm operator; else nothing is ever called gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.sessions import JOB_OVER, JobState, JobStatus
from ..errors import BackendAIError, SchedulerUnavailable
from . import slurm_parse as parse
from .commands import CommandResult
from .slurm_privacy import Privacy

log = logging.getLogger(__name__)

PROOF_S = 10.0
LOST_S = 40.0
RUNAWAY_S = 300.0
COMPLETING_S = 60.0
FORGET_S = 300.0
MIN_GAP_S = 0.2
MAX_REMEMBERED = 10_000
BUSY_SHARE = 0.02
MOST_DENIALS = 20

Run = Callable[[Sequence[str]], Awaitable[CommandResult]]


@dataclass(slots=True)
class Watch:
    """A session that somebody asks about. ``absent_since`` is when complete answers began to lack it."""

    session_id: str
    job_id: str
    user: str
    asked_at: float
    absent_since: float | None = None


class SlurmReader:
    """Reads every ``starting_s`` seconds while a session starts, else every ``steady_s``; rests when nobody asks.

    With thousands of jobs a reading takes long enough to count: then even the fast pace reads for no more than 2 % of the time, but
    never more slowly than ``steady_s``.
    """

    def __init__(
        self, run: Run, slurm_bin: str, job_name: str, *, starting_s: float, steady_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run, self._slurm_bin, self._job_name, self._clock = run, slurm_bin, job_name, clock
        self._starting_s, self._steady_s = starting_s, steady_s
        self._starting: dict[str, float] = {}
        self._watched: dict[str, Watch] = {}
        self._jobs: dict[str, parse.Job] = {}
        self._by_session: dict[tuple[str, str], str] = {}
        self._over: dict[tuple[str, str], JobStatus] = {}  # by session and job id
        self._lost: set[str] = set()
        self._completing: dict[str, float] = {}
        self._error: BackendAIError | None = None
        self._begun = self._done = 0
        self._reading_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._privacy = Privacy(self._ask, slurm_bin, clock)
        self._wake = asyncio.Event()
        self._rests = False
        self._finished = asyncio.Condition()

    # -- asking

    def starting(self, session_id: str) -> None:
        """Read often, and places in the queues too, until :meth:`started` or until nobody asks about the session any more."""
        self._starting[session_id] = self._clock()
        self.wake()

    def started(self, session_id: str) -> None:
        self._starting.pop(session_id, None)

    def wake(self) -> None:
        """Read now."""
        self._start()
        self._wake.set()

    async def status(self, session_id: str, job_id: str, user: str) -> JobStatus:
        """Where a session's job is, as last read; reads first only when this job could not have been in the last reading."""
        watch = self._watched.get(session_id)
        if watch is None or (watch.job_id, watch.user) != (job_id, user):
            watch = self._watched[session_id] = Watch(session_id, job_id, user, self._clock())
            if self._find(watch) is None:
                await self.refresh()
        watch.asked_at = self._clock()
        if session_id in self._starting:
            self._starting[session_id] = watch.asked_at
        self._start()
        return self._find(watch) or JobStatus(job_id, JobState.UNKNOWN, user=user)

    async def jobs(self) -> list[parse.Job]:
        """Every job that has our name, just read. Raises SchedulerUnavailable."""
        await self.refresh()
        if self._error:
            raise SchedulerUnavailable from self._error
        return list(self._jobs.values())

    async def refresh(self) -> None:
        """Return when a reading that began after this call has ended, well or not."""
        wanted = self._begun + 1
        self.wake()
        async with self._finished:
            await self._finished.wait_for(lambda: self._done >= wanted or self._task is None or self._task.done())

    async def close(self) -> None:
        task = self._task
        while task and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=1)  # Python 3.11's wait_for loses a cancellation that comes together with its result
        self._task = None
        async with self._finished:
            self._finished.notify_all()

    def _find(self, watch: Watch) -> JobStatus | None:
        """What is known of a watched session; None when the last complete reading did not have it."""
        if not watch.job_id and watch.session_id in self._lost:
            return JobStatus("", JobState.GONE, user=watch.user)
        if over := self._over.get((watch.session_id, self._id(watch))):
            return over
        job = self._own_job(watch)
        if job is None or job.status.state in JOB_OVER:
            return None  # an end that was not concluded yet is the next reading's
        return replace(job.status, state=JobState.UNKNOWN) if self._error else job.status

    def _id(self, watch: Watch) -> str:
        return watch.job_id or self._by_session.get((watch.session_id, watch.user), "")

    def _own_job(self, watch: Watch) -> parse.Job | None:
        job = self._jobs.get(self._id(watch))
        return job if job and _is_of(job, watch) else None

    # -- reading

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._loop())
        elif self._rests:  # nobody had asked about anything when the last reading ended
            self._wake.set()

    async def _loop(self) -> None:
        try:
            while True:
                self._wake.clear()
                self._begun += 1
                began_at = time.monotonic()
                await self._read_safely()
                self._reading_s = time.monotonic() - began_at
                async with self._finished:
                    self._done = self._begun
                    self._finished.notify_all()
                self._forget()
                await asyncio.sleep(MIN_GAP_S)
                pause_s = self._pause()
                self._rests = pause_s is None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause_s)
                self._rests = False
        finally:
            self._task = None

    async def _read_safely(self) -> None:
        try:
            await self._read()
        except BackendAIError as exc:
            if self._error is None:
                log.warning("Slurm cannot be asked: %s", exc.__cause__ or exc)
            self._note_outage(exc)
        except Exception as exc:
            log.exception("Reading Slurm's answer failed")
            self._note_outage(SchedulerUnavailable())
            self._error.__cause__ = exc  # type: ignore[union-attr]
        else:
            if self._error is not None:
                log.info("Slurm answers again")
            self._error = None

    def _note_outage(self, error: BackendAIError) -> None:
        self._error = error
        for watch in self._watched.values():
            if not watch.job_id:
                watch.absent_since = None

    def _pause(self) -> float | None:
        if not self._watched and not self._starting:
            return None
        # A job that waits is no reason by itself: a session may be up whose job was put back by somebody.
        is_starting = self._starting or any(self._find(watch) is None for watch in self._watched.values())
        fast_s = max(self._starting_s, min(self._steady_s, self._reading_s / BUSY_SHARE))
        return max(0.0, (fast_s if is_starting else self._steady_s) - MIN_GAP_S)

    def _forget(self) -> None:
        now = self._clock()
        self._watched = {key: watch for key, watch in self._watched.items() if now - watch.asked_at < FORGET_S}
        self._starting = {key: since for key, since in self._starting.items() if now - since < FORGET_S}
        while len(self._over) > MAX_REMEMBERED:
            del self._over[next(iter(self._over))]
        while len(self._lost) > MAX_REMEMBERED:
            self._lost.pop()

    async def _read(self) -> None:
        """One pass: the queue, then only what the queue leaves open about watched sessions."""
        mark = secrets.token_hex(8)
        found = await self._list(parse.build_list(self._slurm_bin, self._job_name, mark), mark)
        found += await self._find_renamed(found)
        watched = {watch.job_id or self._lowest(found, watch): watch for watch in self._watched.values()}
        watched.pop("", None)
        found = [self._settle(job) for job in found]
        if any(job.status.state is JobState.PENDING and job.session_id in self._starting for job in found):
            found = await self._place(found)
        ended = [job for job in found if job.status.state in JOB_OVER]
        pairs = ((watch, job.status) for job in ended if (watch := watched.get(job.status.job_id)) and _is_of(job, watch))
        await self._conclude({(watch.session_id, status.job_id): status for watch, status in pairs})
        self._publish(found)
        await self._confirm()

    async def _list(self, command: Sequence[str], mark: str, accept: Callable[[str], bool] = lambda _: False) -> list[parse.Job]:
        """The jobs in a whole answer. Raises SchedulerUnavailable for anything else, whatever the command's exit code."""
        answer = await self._ask(command, accept)
        if not accept(answer.errors) and not parse.is_whole_list(answer.output, mark):
            raise SchedulerUnavailable from RuntimeError(
                f"{command[0]}: an answer without its headline or its end: {answer.output[:200]!r}"
            )
        return parse.parse_jobs(answer.output, mark)

    def _publish(self, found: Iterable[parse.Job]) -> None:
        """The oldest job of a session and user is the session's: later ones can only be somebody's imitation."""
        self._jobs = {job.status.job_id: job for job in found}
        self._by_session = {}
        for job_id in sorted(self._jobs, key=int):
            job = self._jobs[job_id]
            if job.session_id:
                self._by_session.setdefault((job.session_id, job.status.user), job_id)
        self._completing = {job_id: since for job_id, since in self._completing.items() if job_id in self._jobs}

    @staticmethod
    def _lowest(found: Iterable[parse.Job], watch: Watch) -> str:
        ids = [job.status.job_id for job in found if (job.session_id, job.status.user) == (watch.session_id, watch.user)]
        return min(ids, key=int, default="")

    def _settle(self, job: parse.Job) -> parse.Job:
        """COMPLETING counts as running until its end state is there, but not for ever: an epilog can hang on a dead node."""
        if job.status.detail != "COMPLETING":
            return job
        since = self._completing.setdefault(job.status.job_id, self._clock())
        if self._clock() - since < COMPLETING_S:
            return job
        return replace(job, status=replace(job.status, state=JobState.DONE))

    async def _place(self, found: list[parse.Job]) -> list[parse.Job]:
        """Positions in the queues; a failure costs no more than the positions."""
        try:
            positions = parse.parse_positions((await self._ask(parse.build_waiting(self._slurm_bin))).output)
        except SchedulerUnavailable:
            return found
        placed = []
        for job in found:
            place = positions.get((job.status.job_id, job.partition)) if job.status.state is JobState.PENDING else None
            placed.append(replace(job, status=replace(job.status, position=place)) if place else job)
        return placed

    async def _find_renamed(self, found: Iterable[parse.Job]) -> list[parse.Job]:
        """Watched jobs that the list lacks: submitted since, renamed by their owner, or forgotten by the controller."""
        known = {job.status.job_id for job in found}
        open_ = (watch for watch in self._watched.values() if watch.job_id and (watch.session_id, watch.job_id) not in self._over)
        missing = sorted({watch.job_id for watch in open_} - known, key=int)
        renamed: list[parse.Job] = []
        for job_ids in parse.chunks(missing):
            mark = secrets.token_hex(8)
            renamed += await self._list(parse.build_find(self._slurm_bin, job_ids, mark), mark, parse.is_invalid_id)
        return renamed

    async def _conclude(self, ended: Mapping[tuple[str, str], JobStatus]) -> None:
        """Remember the end of jobs, with what accounting adds (exit code, who cancelled); it may lag or be away."""
        new = {key: status for key, status in ended.items() if key not in self._over}
        try:
            accounts = await self._account(job_id for _, job_id in new)
        except SchedulerUnavailable:
            accounts = {}
        for key, status in new.items():
            known = accounts.get(status.job_id)
            if known is None or known.state not in JOB_OVER or known.user != status.user:
                self._over[key] = status
            else:
                self._over[key] = replace(known, node=known.node or status.node, reason=status.reason)

    async def _confirm(self) -> None:
        """Settle watched sessions that a complete reading did not show: over by accounting, gone by proof, else left unknown."""
        absent = [watch for watch in self._watched.values() if self._is_absent(watch)]
        with_id = [watch for watch in absent if watch.job_id]
        try:
            accounts = await self._account(watch.job_id for watch in with_id)
        except SchedulerUnavailable:
            with_id, accounts = [], {}
        now, denials = self._clock(), 0
        for watch in with_id:
            known = accounts.get(watch.job_id)
            is_known = known is not None and known.user == watch.user
            if known and is_known and known.state in JOB_OVER:
                self._over[watch.session_id, watch.job_id] = known
            elif self._is_proven(watch, now, RUNAWAY_S if is_known else PROOF_S) and denials < MOST_DENIALS:
                denials += 1
                if await self._is_denied(watch) and not await self._privacy.hides_jobs():
                    self._over[watch.session_id, watch.job_id] = JobStatus(watch.job_id, JobState.GONE, user=watch.user)
        for watch in absent:
            if not watch.job_id and self._is_proven(watch, now, LOST_S) and not await self._privacy.hides_jobs():
                self._lost.add(watch.session_id)

    async def _is_denied(self, watch: Watch) -> bool:
        """Whether the controller says in words that it knows no such job; of several it leaves the unknown out without a word."""
        mark = secrets.token_hex(8)
        command = parse.build_find(self._slurm_bin, [watch.job_id], mark)
        try:
            answer = await self._ask(command, parse.is_invalid_id)
        except SchedulerUnavailable:
            return False
        if parse.is_invalid_id(answer.errors):
            return True
        others = parse.parse_jobs(answer.output, mark)  # the id may have been given to another job
        return parse.is_whole_list(answer.output, mark) and bool(others) and not any(_is_of(job, watch) for job in others)

    def _is_absent(self, watch: Watch) -> bool:
        if not watch.job_id and watch.session_id in self._lost:
            return False
        if self._own_job(watch) or (watch.session_id, self._id(watch)) in self._over:
            watch.absent_since = None
            return False
        return True

    @staticmethod
    def _is_proven(watch: Watch, now: float, after_s: float) -> bool:
        if watch.absent_since is None:
            watch.absent_since = now
        return now - watch.absent_since >= after_s

    async def _account(self, job_ids: Iterable[str]) -> dict[str, JobStatus]:
        """What accounting knows; nothing on a cluster that keeps none. Raises SchedulerUnavailable when it does not answer."""
        known: dict[str, JobStatus] = {}
        for ids in parse.chunks(job_ids):
            answer = await self._ask(parse.build_accounting(self._slurm_bin, ids), accept=parse.is_without_accounting)
            if not parse.is_without_accounting(answer.errors) and not parse.is_whole_accounting(answer.output):
                raise SchedulerUnavailable from RuntimeError(f"sacct: an answer without its headline or its end: {answer.output[:200]!r}")
            known |= parse.parse_accounting(answer.output)
        return known

    async def _ask(self, arguments: Sequence[str], accept: Callable[[str], bool] = lambda _: False) -> CommandResult:
        """A command's answer. Anything but a clean one is no answer, unless its complaint is accepted as one."""
        try:
            answer = await self._run(arguments)
        except BackendAIError as exc:
            raise SchedulerUnavailable from exc
        if accept(answer.errors):
            return answer
        if answer.returncode or "error" in answer.errors.lower():
            raise SchedulerUnavailable from RuntimeError(answer.errors.strip()[:500] or f"{arguments[0]}: {answer.returncode}")
        return answer


def _is_of(job: parse.Job, watch: Watch) -> bool:
    """Whether a job can be the session's: its owner's, and not another session's that was given the id of one that was lost."""
    return job.status.user == watch.user and job.session_id in {"", watch.session_id}
