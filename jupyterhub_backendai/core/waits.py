"""How long sessions wait in a queue: what the waits of the past say about one that waits now, or would.

Times are seconds; moments are Unix seconds. Waits that came to no end (who gave up, who waits still) are not left out, which would
make every queue look faster than it is: they count as "longer than so long" (Kaplan and Meier's estimator).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .slots import CPU, CUDA_DEVICE, CUDA_SHARES, ResourceSlots

#: The range that is told: one of ten begins sooner, one of ten later.
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
#: So many waits that came to an end are needed before anything is said, and no more than that many are looked at.
MIN_PAST, MOST_PAST = 8, 200
PAST_S = 60 * 24 * 3600
SMALL_CPUS, NEAR_HOURS = 4, 3
_ROUND = ((10 * 60, 60), (3600, 5 * 60), (6 * 3600, 15 * 60), (48 * 3600, 3600))


@dataclass(frozen=True, slots=True)
class PastWait:
    """One wait: since when, how long, and whether a start was its end (else it was given up, or goes on)."""

    since: float
    wait_s: float
    size: str = ""
    has_begun: bool = True


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the waits in a queue: ``points`` are (wait, share of those that waited longer), from ``past`` waits that ended.

    ``basis`` says which they are: like this one in ``size`` and ``hour``, in one of them, or all of the ``queue``.
    """

    points: tuple[tuple[float, float], ...] = ()
    past: int = 0
    basis: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"points": [list(point) for point in self.points], "past": self.past, "basis": self.basis}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> History:
        return cls(tuple((float(wait), float(share)) for wait, share in data["points"]), int(data["past"]), str(data["basis"]))


@dataclass(frozen=True, slots=True)
class Expectation:
    """How long it will be from now. ``high_s`` None: more than one of ten waited longer than anybody can say.

    ``past`` is from how many sessions that is said (0: from the scheduler alone), ``by_scheduler`` whether its own estimate counts too.
    """

    low_s: float
    middle_s: float
    high_s: float | None
    past: int = 0
    by_scheduler: bool = False

    def to_json(self, at: float | None = None) -> dict[str, Any]:
        """For programs and pages; with ``at`` (now) the moments too."""
        own: dict[str, Any] = {
            "low_s": round(self.low_s),
            "middle_s": round(self.middle_s),
            "high_s": None if self.high_s is None else round(self.high_s),
            "past": self.past,
            "by_scheduler": self.by_scheduler,
        }
        if at is not None:
            own |= {"at": round(at + self.middle_s), "low_at": round(at + self.low_s)}
            own["high_at"] = None if self.high_s is None else round(at + self.high_s)
        return own

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Expectation:
        return cls(data["low_s"], data["middle_s"], data["high_s"], int(data["past"]), bool(data["by_scheduler"]))


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good the expectations were: of ``told`` sessions that began, ``within`` began inside their range; ``off_s`` is the middle
    (median) of how far the expected start was from the real one.
    """

    told: int = 0
    within: int = 0
    off_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {"told": self.told, "within": self.within, "off_s": None if self.off_s is None else round(self.off_s)}


def size_of(slots: ResourceSlots) -> str:
    """The class of sessions that wait alike: ``cpu-small``, ``cpu-large``, ``gpu-share``, ``gpu-1`` or ``gpu-many``."""
    gpus = slots.amount(CUDA_DEVICE)
    if gpus > 1:
        return "gpu-many"
    if gpus:
        return "gpu-1"
    if slots.amount(CUDA_SHARES):
        return "gpu-share"
    return "cpu-large" if slots.amount(CPU) > SMALL_CPUS else "cpu-small"


def learn(waits: Iterable[PastWait], size: str, at: float) -> History:
    """The history that tells most about a session of this size that begins to wait at ``at``: the narrowest that is large enough."""
    newest = sorted(waits, key=lambda wait: -wait.since)
    is_size = [wait.size == size for wait in newest]
    is_hour = [_is_near_hour(wait.since, at) for wait in newest]
    candidates = (
        ("size-hour", [wait for wait, *fits in zip(newest, is_size, is_hour, strict=True) if all(fits)]),
        ("size", [wait for wait, fits in zip(newest, is_size, strict=True) if fits]),
        ("hour", [wait for wait, fits in zip(newest, is_hour, strict=True) if fits]),
        ("queue", newest),
    )
    for basis, found in candidates:
        chosen = found[:MOST_PAST]
        past = sum(wait.has_begun for wait in chosen)
        if past >= MIN_PAST:
            return History(_survive(chosen), past, basis)
    return History()


def expect(history: History, waited_s: float = 0.0) -> Expectation | None:
    """How long it will be for one that waited so long already; None when the past says nothing about that."""
    if not history.past:
        return None
    waits = [wait for wait, _ in history.points]
    begin = bisect_right(waits, waited_s)
    if begin == len(waits):
        return None  # it waits longer than every one whose end is known
    left = history.points[begin - 1][1] if begin else 1.0
    found: list[float | None] = []
    for part in (LOW, MIDDLE, HIGH):
        reached = (wait for wait, share in history.points[begin:] if share <= left * (1 - part) + 1e-9)
        found.append(next(reached, None))
    low, middle, high = (None if wait is None else wait - waited_s for wait in found)
    if low is None or middle is None:
        return None
    return Expectation(low, middle, high, history.past)


def add_scheduler(expected: Expectation | None, start_at: float | None, at: float) -> Expectation | None:
    """The expectation, with the scheduler's own estimate of the start (None where it has none).

    The scheduler reckons that every job before runs to its time limit, so sessions seldom begin later than it says and often sooner:
    its word bounds what the past says, and without a past it is all there is.
    """
    if start_at is None:
        return expected
    left_s = max(0.0, start_at - at)
    if expected is None:
        return Expectation(left_s, left_s, left_s, 0, by_scheduler=True)
    high_s = left_s if expected.high_s is None else min(expected.high_s, left_s)
    return Expectation(min(expected.low_s, left_s), min(expected.middle_s, left_s), high_s, expected.past, by_scheduler=True)


def measure(told: Sequence[tuple[Expectation, float]]) -> Accuracy:
    """How good expectations were, from (what was told when the wait began, how long it was)."""
    if not told:
        return Accuracy()
    within = sum(expected.low_s - 1 <= wait_s and (expected.high_s is None or wait_s <= expected.high_s + 1) for expected, wait_s in told)
    off = sorted(abs(expected.middle_s - wait_s) for expected, wait_s in told)
    return Accuracy(len(told), within, off[len(off) // 2])


def round_wait(wait_s: float) -> int:
    """A wait as people say it: whole minutes, then steps of 5 and 15 minutes, hours and days. Never less than a minute."""
    for below_s, step_s in _ROUND:
        if wait_s < below_s:
            return max(60, round(wait_s / step_s) * step_s)
    return round(wait_s / 86400) * 86400


def _is_near_hour(one: float, other: float) -> bool:
    """Whether two moments are near each other by the clock, whatever the day."""
    apart = abs(one - other) % 86400
    return min(apart, 86400 - apart) <= NEAR_HOURS * 3600


def _survive(waits: Sequence[PastWait]) -> tuple[tuple[float, float], ...]:
    """Kaplan and Meier: at each wait that a start ended, the share of sessions that wait longer."""
    left, share = len(waits), 1.0
    points: list[tuple[float, float]] = []
    # of equal waits the starts come first: who gave up at that moment had waited as long
    for wait in sorted(waits, key=lambda wait: (wait.wait_s, not wait.has_begun)):
        if wait.has_begun:
            share *= 1 - 1 / left
            point = (round(wait.wait_s, 1), round(share, 6))
            if points and points[-1][0] == point[0]:
                points[-1] = point
            else:
                points.append(point)
        left -= 1
    return tuple(points)
