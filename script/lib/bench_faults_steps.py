"""The steps of the fault test: what is done to daemons, commands, the platform and sessions, chosen at random from a seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bench_faults_cluster import NODES, Cluster
from bench_faults_judge import Judge
from bench_faults_platform import COMMANDS, LIES, MODES, PLACES, Platform
from bench_faults_truth import list_processes

DAEMONS = ("slurmctld", "slurmctld", "slurmctld", "slurmdbd", "munged", "munged", *NODES)
# A node that is away for longer than SlurmdTimeout is down for the controller, and its jobs with it.
LONG = {**dict.fromkeys(NODES, 45), "slurmctld": 25, "slurmdbd": 20, "munged": 15}
MOST_FAULTS = 2


@dataclass(slots=True)
class Fault:
    """Something that is wrong until a step."""

    name: str
    until: int
    mend: Callable[[], None]


@dataclass
class Steps:
    cluster: Cluster
    platform: Platform
    judge: Judge
    rng: random.Random
    number: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def step(self) -> str:
        """End what is over, do one thing, and say what."""
        for name, fault in list(self.faults.items()):
            if fault.until <= self.number:
                self._mend(name)
        self._look_after()
        said = ""
        while not said:  # what cannot be done just now is no step
            chosen = self.rng.choices(list(ACTIONS), [weight for weight, _ in ACTIONS.values()])[0]
            said = await ACTIONS[chosen][1](self)
        self.done[chosen] += 1
        self.number += 1
        return said

    def _order(self, what: str, order: Coroutine[Any, Any, object]) -> str:
        """Ask for something and go on: the answer may take longer than many steps."""

        async def ask() -> None:
            answer = await order
            print(f"    {what}: {answer}", flush=True)

        task = asyncio.create_task(ask())
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return what

    async def until_answered(self) -> None:
        """All that was asked for was answered, or took too long."""
        while self.under_way:
            await asyncio.wait(self.under_way)

    def mend_all(self) -> None:
        for name in list(self.faults):
            self._mend(name)
        self._look_after()

    def _mend(self, name: str) -> None:
        self.faults.pop(name).mend()

    def _look_after(self) -> None:
        """A daemon that could not start (a controller without accounting) or ended by itself is started again, as systemd would."""
        for name in ("munged", "slurmdbd", "slurmctld", *NODES):
            if name not in self.faults and not self.cluster.is_well(name):
                self.cluster.start(name)
        for name in ("helper", "hub"):
            if name not in self.faults and not self.platform.is_up(name):
                self.platform.launch(name)

    def _add(self, name: str, steps: int, mend: Callable[[], None]) -> None:
        self.faults[name] = Fault(name, self.number + steps, mend)

    # -- one thing each; "" when there is nothing to do it to

    async def daemon(self) -> str:
        name = self.rng.choice(DAEMONS)
        how = self.rng.choice(("kill", "kill", "stop"))
        steps = self.rng.randint(1, 6) if self.rng.random() < 0.5 else self.rng.randint(6, LONG[name])
        if name in self.faults or not self.cluster.is_well(name) or len(self.faults) >= MOST_FAULTS:
            return ""
        if how == "kill":
            self.cluster.kill(name)
            self._add(name, steps, lambda: self.cluster.start(name))
        else:
            self.cluster.stop(name)
            self._add(name, steps, lambda: self.cluster.resume(name))
        return f"{how} {name} for {steps}"

    async def command(self) -> str:
        name, mode = self.rng.choice(COMMANDS), self.rng.choice(MODES)
        steps = self.rng.randint(1, 12)
        amount = round(self.rng.uniform(0.5, 12), 1) if mode == "slow" else self.rng.choice((1, 2, 3, 40, 90, 150, 400))
        if name in self.faults or (name, mode) in LIES or len(self.faults) >= MOST_FAULTS:
            return ""
        self.platform.commands.pull(name, mode, amount)
        self._add(name, steps, lambda: self.platform.commands.release(name))
        return f"{name} {mode} {amount:g} for {steps}"

    async def hub(self) -> str:
        steps = self.rng.randint(1, 5)
        if "hub" in self.faults or not self.platform.is_up("hub"):
            return ""
        self.platform.kill("hub")
        self._add("hub", steps, lambda: self.platform.launch("hub"))
        return f"kill the hub for {steps}"

    async def helper(self) -> str:
        steps = self.rng.randint(1, 8)
        if "helper" in self.faults or not self.platform.is_up("helper"):
            return ""
        self.platform.kill("helper")
        self._add("helper", steps, lambda: self.platform.launch("helper"))
        return f"kill the helper for {steps}"

    async def service(self) -> str:
        return "kill the service" if self.platform.kill_service() else ""

    async def start(self) -> str:
        free = [place for place in PLACES if place not in self.judge.servers]
        if not free:
            return ""
        place = self.rng.choice(free)
        return self._order(f"start {'/'.join(place)}", self.platform.order("POST", place))

    async def end(self) -> str:
        place = self.rng.choice(PLACES)
        if place not in self.judge.servers:
            return ""
        is_heard, excused = self.platform.is_up("hub"), self.judge.excuse_place(place)

        async def stop() -> str:
            answer = await self.platform.order("DELETE", place)
            if answer.startswith("503") and not is_heard:  # a hub that is killed after it was heard has no answer either
                self.judge.excused -= excused
            return answer

        return self._order(f"stop {'/'.join(place)}", stop())

    async def cancel(self) -> str:
        """An administrator's scancel: the end is Slurm's, and no fault of ours."""
        job = self._job()
        if not job:
            return ""
        self.judge.excuse_job(job)
        return self._order(f"scancel {job}", self.cluster.query("scancel", job))

    async def requeue(self) -> str:
        job = self._job()
        if not job:
            return ""
        self.judge.excuse_job(job)

        async def put_back() -> object:
            await self.cluster.query("scontrol", "update", f"JobId={job}", "Requeue=1")
            return await self.cluster.query("scontrol", "requeue", job)

        return self._order(f"requeue {job}", put_back())

    async def suspend(self) -> str:
        job = self._job()
        if not job or f"suspend {job}" in self.faults:
            return ""
        # the controller may be away when it is to go on: asked again by the judge before it counts
        self._add(f"suspend {job}", self.rng.randint(2, 15), lambda: self.judge.suspended.add(job))
        return self._order(f"suspend {job}", self.cluster.query("scontrol", "suspend", job))

    async def reconfigure(self) -> str:
        return self._order("reconfigure", self.cluster.query("scontrol", "reconfigure"))

    async def resume_nodes(self) -> str:
        return self._order("resume nodes", self.cluster.resume_nodes())

    async def crash(self) -> str:
        """The session's own program dies."""
        processes = list_processes(self.platform.stub)
        alive = sorted((session_id, job) for session_id, jobs in processes.items() for job in jobs)
        if not alive:
            return ""
        session_id, job = self.rng.choice(alive)
        self.judge.excused.add(session_id)
        os.kill(processes[session_id][job], signal.SIGKILL)
        return f"kill the program of job {job}"

    async def nothing(self) -> str:
        return "nothing"

    def _job(self) -> str:
        jobs = sorted(seen.job_id for seen in self.judge.servers.values() if seen.job_id)
        return self.rng.choice(jobs) if jobs else ""


ACTIONS: dict[str, tuple[int, Callable[[Steps], Awaitable[str]]]] = {
    "start": (28, Steps.start),
    "end": (5, Steps.end),
    "daemon": (26, Steps.daemon),
    "command": (22, Steps.command),
    "hub": (2, Steps.hub),
    "helper": (2, Steps.helper),
    "service": (1, Steps.service),
    "cancel": (2, Steps.cancel),
    "requeue": (2, Steps.requeue),
    "suspend": (2, Steps.suspend),
    "reconfigure": (2, Steps.reconfigure),
    "resume nodes": (3, Steps.resume_nodes),
    "crash": (1, Steps.crash),
    "nothing": (6, Steps.nothing),
}
