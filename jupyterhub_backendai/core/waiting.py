"""Why a session waits in a line of ours, in plain words; and where it is, as the service tells the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import N_
from .queues import Queue
from .reasons import Explanation
from .scheduling import Wait
from .sessions import Admission

_NOTHING_TO_DO = N_("Nothing to do: it starts by itself.")
_OWN_LIMIT = N_("It starts by itself when others of these sessions have ended.")
_CANCEL = N_("Cancel, and ask for something else.")
_WORDS: Mapping[str, tuple[str, str]] = {
    "new": (N_("It has just been put into the line."), _NOTHING_TO_DO),
    "order": (N_("Other sessions are ahead in the line."), _NOTHING_TO_DO),
    "resources": (N_("Next in line: waiting until enough CPUs, memory or GPUs are free."), _NOTHING_TO_DO),
    "sessions": (N_("Next in line: the queue runs as many sessions as it may."), _NOTHING_TO_DO),
    "start-time": (N_("The start time that you asked for has not come yet."), _NOTHING_TO_DO),
    "dependency": (N_("It waits until the session %(session)s has ended."), _NOTHING_TO_DO),
    "dependency-failed": (N_("It waits for the session %(session)s, which failed or was cancelled, so it will never start."), _CANCEL),
    "closed": (N_("The queue is closed at the moment."), N_("Wait, or choose another queue.")),
    "too-large": (N_("The queue has become smaller than what it asks for, so it cannot start."), _CANCEL),
}
# Waits of which the past of the queue says something; the others end when something else happens.
FORESEEABLE = frozenset({"new", "order", "resources", "sessions"})
PENDING_TIMEOUT = N_("No place became free within the time that the queue lets sessions wait.")
# For how long to wait, as pages offer it, seconds.
PATIENCES_S = (1800, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400)
GAVE_UP = N_("No place became free within the time that you wanted to wait.")


def find_give_up(queue: Queue, patience_s: int | None, since: float) -> tuple[float | None, bool]:
    """When a session that waits in a queue since then (Unix seconds) is given up, and whether by its owner's wish; None for never."""
    limits = [limit_s for limit_s in (patience_s, queue.pending_timeout_s) if limit_s]
    if not limits:
        return None, False
    return since + min(limits), min(limits) == patience_s


def explain_give_up(*, by_wish: bool) -> Explanation:
    """Why a session that waited too long is over."""
    return Explanation(GAVE_UP if by_wish else PENDING_TIMEOUT, N_("Start it again, and let it wait longer, or choose another queue."))


def explain_wait(wait: Wait) -> Explanation:
    """Why a session waits and what to do about it."""
    if wait.message:
        return Explanation(wait.message, _OWN_LIMIT if wait.word == "quota" else "", wait.params)
    return Explanation(*_WORDS.get(wait.word, _WORDS["order"]), {"session": wait.detail} if wait.detail else {})


def wait_to_json(wait: Wait) -> dict[str, Any]:
    """A wait as the database keeps it; :func:`wait_from_json` is the inverse."""
    return {name: value for name, value in asdict(wait).items() if value not in (None, "", {})}


def wait_from_json(data: Mapping[str, Any]) -> Wait:
    return Wait(**{"word": "new", **data})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an admitted session is: in line (``wait``), with a place (``admission``), or told to end, or over (``reason``)."""

    wait: Wait | None = None
    admission: Admission | None = None
    reason: str = ""
    is_over: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "wait": wait_to_json(self.wait) if self.wait else None,
            "admission": self.admission.to_json() if self.admission else None,
            "reason": self.reason,
            "is_over": self.is_over,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Place:
        return cls(
            wait_from_json(data["wait"]) if data.get("wait") else None,
            Admission.from_json(data["admission"]) if data.get("admission") else None,
            str(data.get("reason") or ""),
            bool(data.get("is_over")),
        )
