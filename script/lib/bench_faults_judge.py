"""Counts what must not happen: lost, orphaned and doubled sessions.

*Lost*: the hub has given up a session that nobody ended, while Slurm had its job alive. *Orphaned*: a job lives, and after the time
that the reconciler takes no server of the hub's belongs to it. *Doubled*: two live jobs for one session, or for one server.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field

from bench_faults_cluster import Cluster
from bench_faults_platform import Platform, Seen
from bench_faults_truth import ALIVE, Job, list_accounts, list_jobs, list_kills, list_processes

Place = tuple[str, str]


@dataclass(slots=True)
class Session:
    """What was seen of one session."""

    session_id: str
    place: Place
    job_id: str = ""
    was_ready: bool = False
    gone_at: float = 0.0
    lived_when_gone: bool = False
    is_judged: bool = False


@dataclass
class Judge:
    cluster: Cluster
    platform: Platform
    servers: dict[Place, Seen] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    doubled: set[str] = field(default_factory=set)

    # -- what is no fault

    def excuse_place(self, place: Place) -> set[str]:
        """Whatever runs there now is told to stop; the sessions that were not excused before."""
        new = {id_ for id_, session in self.sessions.items() if session.place == place and not session.gone_at} - self.excused
        self.excused |= new
        return new

    def excuse_job(self, job_id: str) -> None:
        """The job was ended, or put back, past the platform. Ids are given again: it is the session that has it now."""
        self.excused |= {id_ for id_, session in self.sessions.items() if session.job_id == job_id and not session.gone_at}

    # -- looking

    async def look(self) -> None:
        """After each step: note who is there, who is not there any more, and who is there twice."""
        processes = await asyncio.to_thread(list_processes, self.platform.stub)
        for session_id, jobs in processes.items():
            if len(jobs) > 1 and session_id not in self.excused:
                self.doubled.add(f"session {session_id}: jobs {', '.join(sorted(jobs))}")
        servers = await self.platform.look()
        if servers is None:
            return
        self.servers = servers
        present = set()
        for place, seen in servers.items():
            if not seen.session_id:
                continue
            present.add(seen.session_id)
            session = self.sessions.setdefault(seen.session_id, Session(seen.session_id, place))
            session.job_id = seen.job_id or session.job_id
            session.was_ready |= seen.is_ready
            session.gone_at = 0.0
        for session in self.sessions.values():
            if session.session_id not in present and not session.gone_at:
                session.gone_at = time.time()
                session.lived_when_gone = session.session_id in processes

    async def check(self) -> None:
        """Once nothing is disturbed: judge those that are gone by what Slurm says of their jobs, and of who ended them."""
        for job_id in list(self.suspended):
            await self.cluster.query("scontrol", "resume", job_id)
            self.suspended.discard(job_id)
        accounts = await _until(lambda: list_accounts(self.cluster, self.platform.job_name))
        jobs = {job.job_id: job for job in await _until(lambda: list_jobs(self.cluster, self.platform.job_name))}
        for session in self.sessions.values():
            if session.gone_at and not session.is_judged:
                session.is_judged = True
                if found := self._judge(session, jobs, accounts):
                    self.lost.append(found)
        by_session = defaultdict(set)
        for job in jobs.values():
            if job.state in ALIVE:
                by_session[job.session_id].add(job.job_id)
        for session_id, ids in by_session.items():
            if len(ids) > 1:
                self.doubled.add(f"session {session_id}: jobs {', '.join(sorted(ids))}")

    def _judge(self, session: Session, jobs: dict[str, Job], accounts: dict[str, Job]) -> str:
        """Why a session that is gone counts as lost, "" when it does not."""
        if session.session_id in self.excused:
            return ""
        own = [job for job in (*accounts.values(), *jobs.values()) if job.session_id == session.session_id]
        bad = [f"{job.job_id} {job.state}" for job in own if job.state in ALIVE]
        # a submission that nobody heard the answer of, and a start without a sign of life, are ended too, but never were a session
        was_there = session.was_ready or session.lived_when_gone
        killed = was_there and session.job_id and (session.job_id, session.place[0]) in list_kills(self.cluster)
        if not (bad or killed or (not own and session.lived_when_gone)):
            return ""
        kind = "ready" if session.was_ready else "starting"
        why = ", ".join(bad) or ("ended by us" if killed else "its program lived")
        return f"{kind} session {session.session_id} of {'/'.join(session.place)}, job {session.job_id}: {why}"

    async def find_orphans(self) -> list[str]:
        """Jobs and programs that live without a server of the hub's, and rows that hold slots without one."""
        servers = await _until(self.platform.look)
        known = {seen.session_id for seen in servers.values()}
        jobs = await _until(lambda: list_jobs(self.cluster, self.platform.job_name))
        found = [
            f"job {job.job_id} ({job.state}) of session {job.session_id}"
            for job in jobs
            if job.state in ALIVE and job.session_id not in known
        ]
        processes = await asyncio.to_thread(list_processes, self.platform.stub)
        found += [
            f"program of session {session_id}, job {', '.join(own)}" for session_id, own in processes.items() if session_id not in known
        ]
        rows = await asyncio.to_thread(self.platform.list_rows)
        found += [f"row {session_id}" for session_id in rows - known]
        return found

    async def find_hanging(self) -> list[str]:
        """Servers that the hub has although no job is left, and starts that come to no end."""
        servers = await _until(self.platform.look)
        jobs = await _until(lambda: list_jobs(self.cluster, self.platform.job_name))
        alive = {job.session_id for job in jobs if job.state in ALIVE or job.state == "COMPLETING"}
        return [
            f"server {'/'.join(place)}, job {seen.job_id}"
            for place, seen in servers.items()
            if seen.session_id not in alive or seen.is_pending
        ]


async def _until(ask, limit_s: float = 60):
    deadline = time.monotonic() + limit_s
    while (answer := await ask()) is None:
        if time.monotonic() > deadline:
            raise RuntimeError("faults: no answer although nothing is disturbed")
        await asyncio.sleep(0.5)
    return answer
