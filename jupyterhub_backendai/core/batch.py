"""How a batch session ended, from what its engine says of the job."""

from __future__ import annotations

from ..errors import N_
from .reasons import explain_end
from .sessions import JobState, JobStatus, SessionStatus

ENDED_BY_OWNER = N_("You ended it.")
NOT_SUBMITTED = N_("It was ended before it began.")
_FAILED = N_("The commands ended with an error.")
_KILLED = N_("The commands were ended by a signal.")
_LOST = N_("The commands were killed from outside, or the machine was restarted.")
# Not the commands' own failures; what to say of them has no numbers in it, so that it can be kept and translated later.
_ENGINE_WORDS = frozenset({"TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED", "PREEMPTED", "REVOKED"})


def conclude(status: JobStatus, owner_uid: int | None = None) -> tuple[SessionStatus, str]:
    """The session's last status and the words for it, "" when all went well.

    Only TERMINATED is a success, which those that depend on the session wait for. The exit code is told beside it.
    """
    word = status.detail.split(" ", 1)[0]
    if status.state is JobState.DONE and not status.exit_code:
        return SessionStatus.TERMINATED, ""
    if word == "CANCELLED":
        return SessionStatus.CANCELLED, explain_end(status, owner_uid).message
    if word in _ENGINE_WORDS or status.state is JobState.GONE:
        return SessionStatus.ERROR, explain_end(status, owner_uid).message
    if status.signal:
        return SessionStatus.ERROR, _KILLED
    return SessionStatus.ERROR, _LOST if status.exit_code is None and not word else _FAILED
