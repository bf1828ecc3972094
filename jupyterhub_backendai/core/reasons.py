"""Slurm's reasons in plain words: why a job waits, why it ended, why it was refused, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import N_
from .sessions import JobState, JobStatus


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened (``message``) and what the reader can do (``advice``, maybe ""): msgids with the same named places.

    Values come from the scheduler and from other people: the page escapes them.
    """

    message: str
    advice: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message % self.params if self.params else self.message


_WAIT = N_("Nothing to do: it starts by itself.")
_CHANGE = N_("Cancel, and ask for something else.")
_OWN_LIMIT = N_("It starts when another job of yours ends. Stop one that you do not need.")
_GROUP_LIMIT = N_("It starts when other jobs of the project end. Ask your project's manager if it stays so.")
_CREDIT = N_("The computing time of your project is used up. Ask your project's manager, or choose a free queue.")
_HELP_DESK = N_("Ask your centre's help desk.")

_PENDING: Mapping[str, tuple[str, str]] = {
    "": (N_("Waiting for the scheduler to look at the job."), _WAIT),
    "None": (N_("Waiting for the scheduler to look at the job."), _WAIT),
    "Resources": (N_("Next in line: waiting until enough CPUs, memory or GPUs are free."), _WAIT),
    "Priority": (N_("Other jobs are ahead in the queue."), _WAIT),
    "BeginTime": (N_("The job's earliest start has not come yet."), _WAIT),
    "Cleaning": (N_("The nodes are being cleaned up after the previous job."), _WAIT),
    "Prolog": (N_("The node is being prepared."), _WAIT),
    "NodeDown": (N_("A node that the job needs is down."), _HELP_DESK),
    "Dependency": (N_("The job waits for another job."), _WAIT),
    "DependencyNeverSatisfied": (N_("The job waits for another job that failed, so it will never start."), _CHANGE),
    "JobHeldUser": (N_("The job is held by yourself."), N_("Release it with `scontrol release`, or cancel it.")),
    "JobHeldAdmin": (N_("The job is held by the centre."), _HELP_DESK),
    "JobHoldMaxRequeue": (N_("The job is held, because it was started too often."), _HELP_DESK),
    "PartitionDown": (N_("The queue is closed at the moment."), N_("Wait, or choose another queue.")),
    "PartitionInactive": (N_("The queue is closed at the moment."), N_("Wait, or choose another queue.")),
    "PartitionTimeLimit": (N_("The time asked for is longer than the queue allows."), _CHANGE),
    "PartitionNodeLimit": (N_("The job asks for more nodes than the queue allows."), _CHANGE),
    "Reservation": (N_("The job waits for a reservation of nodes."), _WAIT),
    "ReservationDeleted": (N_("The reservation that the job asked for is gone."), _CHANGE),
    "ReqNodeNotAvail": (N_("The nodes that the job needs are not available: full, reserved, down or in maintenance."), _WAIT),
    "Licenses": (N_("Waiting for a software licence."), _WAIT),
    "InactiveLimit": (N_("The job was inactive for too long."), _CHANGE),
    "BadConstraints": (N_("No node of the queue has what the job asks for."), _CHANGE),
    "AccountNotAllowed": (N_("Your project may not use this queue."), N_("Choose another queue or project, or ask your centre.")),
    "InvalidAccount": (N_("The scheduler does not know your project's account."), _HELP_DESK),
    "InvalidQOS": (N_("The scheduler does not know the job's quality of service."), _HELP_DESK),
    "AssociationJobLimit": (N_("You have as many jobs as you may have at once."), _OWN_LIMIT),
    "AssociationResourceLimit": (N_("You use as much as you may use at once."), _OWN_LIMIT),
    "AssociationTimeLimit": (N_("The time asked for is longer than you may ask for."), _CHANGE),
    "QOSJobLimit": (N_("You have as many jobs as you may have at once."), _OWN_LIMIT),
    "QOSResourceLimit": (N_("You use as much as you may use at once."), _OWN_LIMIT),
    "QOSTimeLimit": (N_("The time asked for is longer than you may ask for."), _CHANGE),
    "QOSUsageThreshold": (N_("The use of your project is too high for this queue at the moment."), _GROUP_LIMIT),
    "MaxMemPerLimit": (N_("The job asks for more memory than the queue allows."), _CHANGE),
    "QOSNotAllowed": (N_("Your project may not use the job's quality of service in this queue."), _CHANGE),
    "Constraints": (N_("No node of the queue has what the job asks for."), _CHANGE),
    "ReservationInvalid": (N_("The reservation cannot be used."), _CHANGE),
    "DeadLine": (N_("The job cannot end before its deadline any more."), _CHANGE),
    "JobArrayTaskLimit": (N_("As many parts of the job array run as may run at once."), _WAIT),
    "SchedDefer": (N_("The scheduler looks at the job a little later, because it is very busy."), _WAIT),
    "FrontEndDown": (N_("The machine that starts jobs is down."), _HELP_DESK),
    "FedJobLock": (N_("Another cluster of the federation looks at the job just now."), _WAIT),
    "BurstBufferResources": (N_("Waiting for room in the fast storage that the job asks for."), _WAIT),
    "BurstBufferStageIn": (N_("The job's files are being brought to the fast storage."), _WAIT),
    "BurstBufferOperation": (N_("The fast storage of the job did not do what was asked of it."), _HELP_DESK),
    "PowerNotAvail": (N_("Waiting for electric power: the cluster may use no more at the moment."), _WAIT),
    "PowerReserved": (N_("Waiting for electric power: the cluster may use no more at the moment."), _WAIT),
    "MaxPoweredUpNodes": (N_("As many nodes are switched on as may be at once."), _WAIT),
    # what ended an earlier try: the job was put back into the queue
    "SystemFailure": (N_("An earlier try failed for a fault of the system; it is tried again."), _HELP_DESK),
    "JobLaunchFailure": (N_("An earlier try could not be started on its node."), _HELP_DESK),
    "NonZeroExitCode": (N_("An earlier try ended with an error."), _HELP_DESK),
    "RaisedSignal": (N_("An earlier try was ended by a signal."), _HELP_DESK),
    "TimeLimit": (N_("An earlier try reached its time limit."), _HELP_DESK),
    "OutOfMemory": (N_("An earlier try used more memory than it had asked for."), _CHANGE),
}
# Reasons that Slurm writes out, by how they begin. The first that fits holds.
_SENTENCES: tuple[tuple[str, tuple[str, str]], ...] = (
    (
        "nodes required for job are down",
        (N_("The nodes that the job needs are down, being repaired, or kept for jobs of higher priority."), _WAIT),
    ),
    ("launch failed requeued held", (N_("The job could not be started on its node, and is held."), _HELP_DESK)),
    ("user env retrieval failed", (N_("The job could not be started on its node, and is held."), _HELP_DESK)),
    ("job requeued in held state", (N_("The job was put back into the queue, and is held."), _HELP_DESK)),
    ("reserved for maintenance", (N_("The nodes are reserved for maintenance."), _WAIT)),
)
# Families such as QOSMaxJobsPerUserLimit, AssocGrpBillingMinutes, AssocMaxCpuPerJobLimit, QOSMaxGRESPerUser. The first that fits holds.
_FAMILIES: tuple[tuple[re.Pattern[str], tuple[str, str]], ...] = tuple(
    (re.compile(pattern, re.ASCII), words)
    for pattern, words in (
        (r"(Assoc|QOS)Grp\w*(Minutes|RunMin\w*|TRESMin\w*)(Limit)?", (N_("The computing time of your project is used up."), _CREDIT)),
        (r"(Assoc|QOS)Grp\w*", (N_("Your project uses as much as it may use at once."), _GROUP_LIMIT)),
        (r"(Assoc|QOS)Max\w*Wall\w*", (N_("The time asked for is longer than you may ask for."), _CHANGE)),
        (r"(Assoc|QOS)Max\w*Minutes\w*", (N_("The job asks for more computing time than one job may have."), _CHANGE)),
        (r"QOSMin\w*", (N_("The job asks for less than the least that one job must ask for here."), _CHANGE)),
        (r"Max(Submit)?Jobs?PerAccount\w*|Max\w*PerAccount", (N_("Your project uses as much as it may use at once."), _GROUP_LIMIT)),
        (r"(Assoc|QOS)M(ax|in)\w*PerJob\w*", (N_("The job asks for more (or less) than one job may have."), _CHANGE)),
        (r"(Assoc|QOS)M(ax|in)\w*PerNode\w*", (N_("The job asks for more on one node than is allowed."), _CHANGE)),
        (r"(Assoc|QOS)MaxSubmitJob\w*", (N_("You have as many jobs as you may have at once."), _OWN_LIMIT)),
        (r"(Assoc|QOS)MaxJobs?\w*", (N_("You have as many running jobs as you may have at once."), _OWN_LIMIT)),
        (r"(Assoc|QOS)(Max|Min)\w*", (N_("You use as much as you may use at once."), _OWN_LIMIT)),
    )
)
_NOT_PERMITTED = re.compile(r"Job's (account|QOS) not permitted to use this partition", re.IGNORECASE)

_REFUSED: tuple[tuple[re.Pattern[str], tuple[str, str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"Invalid account or account/partition", (N_("Your project may not use this queue."), _PENDING["AccountNotAllowed"][1])),
        (r"User's group not permitted", (N_("Your group may not use this queue."), N_("Choose another queue."))),
        (r"Invalid partition", (N_("The scheduler does not know this queue any more."), _HELP_DESK)),
        (r"partition .* (is in a|unavailable)|Required partition not available", _PENDING["PartitionDown"]),
        (r"Invalid qos", _PENDING["InvalidQOS"]),
        (r"reservation is invalid|Reservation .*access", (N_("The reservation cannot be used."), _HELP_DESK)),
        (r"Memory specification can not be satisfied", (N_("No node of this queue has so much memory."), _CHANGE)),
        (r"More processors requested|CPU count .* can not be satisfied", (N_("No node of this queue has so many CPUs."), _CHANGE)),
        (r"time limit is invalid", _PENDING["PartitionTimeLimit"]),
        (r"node configuration is not available|Invalid feature", _PENDING["BadConstraints"]),
        (r"Invalid generic resource|gres", (N_("This queue has no such GPUs."), _CHANGE)),
        (r"Job violates accounting/QOS policy|QOSMax|AssocMax|AssocGrp|QOSGrp", (N_("The job would exceed your limits."), _OWN_LIMIT)),
        (r"Access/permission denied|User not found|Invalid user", (N_("The scheduler does not know your account."), _HELP_DESK)),
    )
)

_ENDED: Mapping[str, tuple[str, str]] = {
    "TIMEOUT": (N_("The session reached its time limit."), N_("Start it again; ask for more time if the queue allows it.")),
    "DEADLINE": (N_("The session reached its deadline."), N_("Start it again.")),
    "OUT_OF_MEMORY": (N_("The session used more memory than it had asked for."), N_("Start it again with more memory.")),
    "NODE_FAIL": (N_("The node of the session failed."), N_("Start it again. Files that were saved are still there.")),
    "BOOT_FAIL": (N_("The node of the session could not be started."), N_("Start it again.")),
    "RECONFIG_FAIL": (N_("The node of the session could not be set up as asked for."), N_("Start it again.")),
    "LAUNCH_FAILED": (N_("The session could not be started on its node."), N_("Start it again, or ask your centre's help desk.")),
    "PREEMPTED": (N_("The scheduler ended the session to make room for a job with a higher priority."), N_("Start it again.")),
    "COMPLETED": (N_("The session's server ended."), ""),
    "COMPLETING": (N_("The session is over; its node is being cleaned up."), ""),
    "REVOKED": (N_("The session was started on another cluster instead."), _HELP_DESK),
}


# What squeue calls a job that lives, where that is more than "waits" or "runs"
_ALIVE: Mapping[str, tuple[str, str]] = {
    "CONFIGURING": (N_("The nodes of the session are being started."), _WAIT),
    "SUSPENDED": (N_("The scheduler has suspended the session; nothing of it is lost."), N_("It goes on when the scheduler lets it.")),
    "STOPPED": (N_("The scheduler has suspended the session; nothing of it is lost."), N_("It goes on when the scheduler lets it.")),
    "COMPLETING": (N_("The session is over; its node is being cleaned up."), ""),
    "REQUEUED": (N_("The scheduler has put the job back into the queue."), _WAIT),
    "REQUEUE_FED": (N_("The scheduler has put the job back into the queue."), _WAIT),
    "REQUEUE_HOLD": (N_("The scheduler has put the job back into the queue and holds it."), _HELP_DESK),
    "SPECIAL_EXIT": (N_("The scheduler has put the job back into the queue and holds it."), _HELP_DESK),
    "RESV_DEL_HOLD": (N_("The reservation that the job asked for is gone."), _CHANGE),
    "RESIZING": (N_("The scheduler is changing the size of the session's job."), _WAIT),
    "SIGNALING": (N_("The scheduler is telling the session something."), _WAIT),
    "STAGE_OUT": (N_("The session is over; its files are being copied back."), ""),
}


def explain_alive(word: str) -> Explanation | None:
    """What a state word of a job that is not over means for people, None for plain waiting and running."""
    return Explanation(*_ALIVE[word]) if word in _ALIVE else None


PUT_BACK = Explanation(N_("The scheduler put the session's job back into the queue, and its server ended."), N_("Start it again."))


# The node failed, not the session: nobody pays for it.
NODE_FAILURES = frozenset({"NODE_FAIL", "BOOT_FAIL", "RECONFIG_FAIL", "LAUNCH_FAILED"})


def is_node_failure(reason: str) -> bool:
    """Whether a reason that was kept with a session (:func:`explain_end`) says that its node failed."""
    return any(reason.startswith(_ENDED[word][0]) for word in NODE_FAILURES)


def explain_pending(reason: str) -> Explanation:
    """Why a job waits, from the reason that ``squeue`` shows. An unknown one is shown as it is."""
    word = _first_word(reason)
    sentence = reason.strip().strip("()").replace("_", " ").lower()
    written_out = next((words for beginning, words in _SENTENCES if sentence.startswith(beginning)), None)
    if written_out:
        words = written_out
    elif _NOT_PERMITTED.search(reason):
        words = _PENDING["AccountNotAllowed"]
    elif word in _PENDING:
        words = _PENDING[word]
    else:
        found = next((words for pattern, words in _FAMILIES if pattern.fullmatch(word)), None)
        if found is None:
            return Explanation(N_("The scheduler says: %(reason)s"), params={"reason": reason[:300]})
        words = found
    return Explanation(*words)


_FORESEEABLE = frozenset(
    {"", "None", "Resources", "Priority", "Cleaning", "Prolog", "Licenses", "ReqNodeNotAvail", "BurstBufferResources", "SchedDefer"}
)


def is_foreseeable(reason: str) -> bool:
    """Whether a job that waits for this reason waits as others before it did; a held one or one at a limit does not."""
    return _first_word(reason) in _FORESEEABLE


def _first_word(reason: str) -> str:
    return re.split(r"[,\s(]", reason.strip().strip("()"), maxsplit=1)[0]


def explain_refusal(words: str) -> Explanation:
    """Why the scheduler did not take a job, from what ``sbatch`` complained about; its own words are the parameter ``reason``."""
    params = {"reason": " ".join(words.split())[:500]}
    for pattern, (message, advice) in _REFUSED:
        if pattern.search(words):
            return Explanation(message, advice, params)
    return Explanation(N_("The scheduler refused the job: %(reason)s"), params=params)


def explain_end(status: JobStatus, owner_uid: int | None = None) -> Explanation:
    """Why a job is over. ``owner_uid`` tells a user's own ``scancel`` from an administrator's."""
    word = status.detail.split(" ", 1)[0]
    if word == "CANCELLED":
        return _explain_cancelled(status, owner_uid)
    if word in _ENDED and not (word == "COMPLETED" and status.exit_code):
        return Explanation(*_ENDED[word])
    if status.state is JobState.GONE:
        return Explanation(N_("The session's job is over, and the scheduler does not remember why."), N_("Start it again."))
    if status.signal:
        return Explanation(
            N_("The session's server was ended by signal %(signal)s."), N_("Look at the end of its log."), {"signal": status.signal}
        )
    if status.exit_code is not None:
        return Explanation(
            N_("The session's server ended with exit code %(code)s."), N_("Look at the end of its log."), {"code": status.exit_code}
        )
    if status.detail in {"", "FAILED"}:
        return Explanation(N_("The session's server failed."), N_("Look at the end of its log."))
    return Explanation(N_("The scheduler ended the session: %(reason)s"), params={"reason": status.detail[:100]})


def _explain_cancelled(status: JobStatus, owner_uid: int | None) -> Explanation:
    if status.ended_by is None or owner_uid is None:
        return Explanation(N_("The session's job was cancelled."))
    if status.ended_by == owner_uid:
        return Explanation(N_("The session's job was cancelled from your account."))
    return Explanation(N_("The session's job was cancelled by an administrator."), _HELP_DESK)
