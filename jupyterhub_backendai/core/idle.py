"""When a session has been idle, or has lived, for longer than its keypair's policy allows. Times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import N_

IDLE = N_("It was not used for longer than the policy of your keypair allows, so it was ended.")
LIFETIME = N_("It reached the longest lifetime that the policy of your keypair allows, so it was ended.")
# Notebooks tell the hub every five minutes that they are used: younger silence says nothing.
NEWS_S = 600.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A running session and what its policy allows; None or 0 is no limit."""

    session_id: str
    user: str
    server_name: str
    started_at: float | None
    idle_timeout_s: int | None
    lifetime_s: int | None


def check_end(session: Watched, last_activity: float | None, heard_since: float | None, at: float) -> str:
    """Why the session is to end now, "" when it is not. What is not known ends nothing.

    ``last_activity`` is the hub's; ``heard_since`` is since when the hub has been answering without a break: before that, nobody may
    have told it of any activity.
    """
    if session.lifetime_s and session.started_at is not None and at - session.started_at >= session.lifetime_s:
        return LIFETIME
    if not session.idle_timeout_s or session.idle_timeout_s < 0 or last_activity is None or heard_since is None:
        return ""
    if at - heard_since < NEWS_S or session.started_at is None:
        return ""
    return IDLE if at - max(last_activity, session.started_at) >= max(session.idle_timeout_s, NEWS_S) else ""
