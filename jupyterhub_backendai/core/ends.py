"""When a session that runs is going to end, why, and whether that is to be announced. Pure; times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import N_

TIME, IDLE, LIFETIME, CREDIT = "time", "idle", "lifetime", "credit"
# What is said before it happens; %(span)s is how long it still is.
WARNINGS = {
    TIME: N_("It reaches its time limit in %(span)s and is ended then. Save your work."),
    IDLE: N_("Nobody seems to use it, so it is ended in %(span)s."),
    LIFETIME: N_("It reaches the longest lifetime of your policy in %(span)s and is ended then. Save your work."),
    CREDIT: N_("The credit that pays for it is used up in %(span)s, and it is ended then. Save your work."),
}


@dataclass(frozen=True, slots=True)
class End:
    """The nearest end that is known, and of which kind."""

    at: float
    kind: str

    def left_s(self, now: float) -> int:
        """Whole seconds until then, never less than none."""
        return max(0, int(self.at - now))

    def is_near(self, now: float, warn_before_s: int) -> bool:
        """Whether it is time to say so."""
        return self.at - now <= warn_before_s


def find_end(began_at: float | None, time_limit_s: int, policy_ends_at: float | None = None, policy_end: str = "") -> End | None:
    """The nearest end of a running session, None when nobody knows one.

    ``began_at`` is when its engine began it, or our best knowledge of that.
    """
    ends = [End(began_at + time_limit_s, TIME)] if began_at is not None and time_limit_s else []
    if policy_ends_at is not None and policy_end in WARNINGS:
        ends.append(End(policy_ends_at, policy_end))
    return min(ends, key=lambda end: end.at, default=None)


def shown_s(left_s: int) -> int:
    """What people are told of the seconds that are left: whole minutes, but for the last two."""
    return round(left_s / 60) * 60 if left_s >= 120 else max(left_s, 1)


def is_same(first: float | None, second: float | None, tolerance_s: float = 30.0) -> bool:
    """Whether two foreseen ends are one: a look every minute does not see the same second each time."""
    if first is None or second is None:
        return first is second
    return abs(first - second) <= tolerance_s
