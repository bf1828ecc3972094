"""When a session has been idle, or has lived, for longer than its keypair's policy allows. Times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import N_
from . import ends
from .ends import End

IDLE = N_("It was not used for longer than the policy of your keypair allows, so it was ended.")
LIFETIME = N_("It reached the longest lifetime that the policy of your keypair allows, so it was ended.")
# Notebooks tell the hub every five minutes that they are used: younger silence says nothing.
NEWS_S = 600.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A running session and what its policy allows; None or 0 is no limit.

    ``kept_at`` is when its owner last said that it is wanted although it looks unused; ``policy_ends_at`` the end that was foreseen.
    """

    session_id: str
    user: str
    server_name: str
    started_at: float | None
    idle_timeout_s: int | None
    lifetime_s: int | None
    kept_at: float | None = None
    policy_ends_at: float | None = None


def check_end(session: Watched, last_activity: float | None, heard_since: float | None, at: float) -> str:
    """Why the session is to end now, "" when it is not. What is not known ends nothing. Arguments as of :func:`foresee`."""
    end = foresee(session, last_activity, heard_since, at)
    if end is None or end.at > at:
        return ""
    return LIFETIME if end.kind == ends.LIFETIME else IDLE


def foresee(session: Watched, last_activity: float | None, heard_since: float | None, at: float) -> End | None:
    """When a policy ends the session if nothing happens until then; the lifetime where both are over. None: not as far as is known.

    ``last_activity`` is the hub's; ``heard_since`` is since when the hub has been answering without a break: before that, nobody may
    have told it of any activity.
    """
    life = idle = None
    if session.lifetime_s and session.started_at is not None:
        life = End(session.started_at + session.lifetime_s, ends.LIFETIME)
    is_heard = last_activity is not None and heard_since is not None and at - heard_since >= NEWS_S
    if is_heard and last_activity is not None and session.started_at is not None and (session.idle_timeout_s or 0) > 0:
        used_at = max(last_activity, session.started_at, session.kept_at or 0.0)
        idle = End(used_at + max(session.idle_timeout_s or 0, NEWS_S), ends.IDLE)
    if life and (life.at <= at or idle is None or life.at <= idle.at):
        return life
    return idle


def find_warning(session: Watched, end: End | None, at: float, warn_before_s: int) -> float | None:
    """The moment of a foreseen end that is to be announced now, None when there is none yet.

    A time-out that is short itself is announced in its second half, or it would be announced always.
    """
    if end is None:
        return None
    whole_s = session.lifetime_s if end.kind == ends.LIFETIME else session.idle_timeout_s
    return end.at if end.is_near(at, min(warn_before_s, (whole_s or warn_before_s) // 2)) else None
