"""A Slurm that is only its answers: enough of squeue and sacct to try every way a controller or accounting can fail."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from jupyterhub_backendai.backends.commands import CommandFailed, CommandResult

DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
MUNGE = "squeue: error: If munged is up, restart with --num-threads=10\nslurm_load_jobs error: Protocol authentication error"


@dataclass
class FakeJob:
    user: str = "kim01"
    comment: str = ""
    state: str = "RUNNING"
    node: str = "jnode01"
    name: str = "backendai-hub"
    reason: str = "None"
    partition: str = "jupyter"
    priority: int = 100


@dataclass
class FakeSlurm:
    """``jobs`` is what the controller knows, ``accounts`` sacct's lines; the clock moves only when a test says so."""

    jobs: dict[str, FakeJob] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    controller_error: str = ""
    accounting_error: str = ""
    garble: Callable[[str, CommandResult], CommandResult] | None = None
    config: str = "PrivateData             = none\n"
    level: str = ""
    hangs: bool = False
    now: float = 1000.0
    commands: Counter[str] = field(default_factory=Counter)

    def clock(self) -> float:
        return self.now

    async def run(self, arguments) -> CommandResult:
        answer = await self._run(arguments)
        return self.garble(arguments[0].rsplit("/", 1)[-1], answer) if self.garble else answer

    async def _run(self, arguments) -> CommandResult:
        program = arguments[0].rsplit("/", 1)[-1]
        self.commands[program] += 1
        if self.hangs:
            raise CommandFailed("%(program)s gave no answer", program=program)
        if program == "sacct":
            return self._sacct(arguments)
        if self.controller_error:
            return CommandResult(1, "", self.controller_error)
        if program == "scontrol":
            return CommandResult(0, self.config, "")
        if program == "sacctmgr":
            return CommandResult(0, self.level, "")
        if "PD" in arguments:
            waiting = [(job_id, job) for job_id, job in self.jobs.items() if job.state == "PENDING"]
            return CommandResult(0, "".join(f"{job_id}|{job.priority}|{job.partition}\n" for job_id, job in waiting), "")
        return self._squeue(arguments)

    def _squeue(self, arguments) -> CommandResult:
        mark = re.match(r"(\w+)\|", arguments[arguments.index("-o") + 1])[1]
        jobs = self.jobs
        if "-n" in arguments:
            jobs = {job_id: job for job_id, job in jobs.items() if job.name == arguments[arguments.index("-n") + 1]}
        else:
            jobs = {job_id: jobs[job_id] for job_id in arguments[arguments.index("-j") + 1].split(",") if job_id in jobs}
            if not jobs:
                return CommandResult(1, "", "slurm_load_jobs error: Invalid job id specified")
        return CommandResult(
            0,
            f"{mark}|JOBID|USER|STATE|EXEC_HOST|START_TIME|PARTITION|REASON|{mark}|{'COMMENT':>33}\n"
            + "".join(
                f"{mark}|{job_id}|{job.user}|{job.state}|{job.node}|N/A|{job.partition}|{job.reason}|{mark}|{job.comment[:33]:33}\n"
                for job_id, job in jobs.items()
            ),
            "",
        )

    def _sacct(self, arguments) -> CommandResult:
        if self.accounting_error:
            return CommandResult(1, "", self.accounting_error)
        ids = arguments[arguments.index("-j") + 1].split(",")
        head = "JobIDRaw|User|State|ExitCode|NodeList\n"
        return CommandResult(0, head + "".join(self.accounts[job_id] + "\n" for job_id in ids if job_id in self.accounts), "")
