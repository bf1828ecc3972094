"""The wait of one's own session on its page: when it is expected to begin, and the form of what one wishes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..core.waiting import PATIENCES_S
from ..store.sessions import SessionInfo
from . import own_waits
from .auth import authenticated
from .base import PageHandler
from .own_sessions import find_own
from .waits import save_wishes


async def load_wait(handler: PageHandler, session: SessionInfo) -> dict[str, Any] | None:
    """What the page shows of a wait, moments as such; None for a session that does not wait."""
    if not own_waits.is_waiting(session):
        return None
    found = await own_waits.describe_wait(handler, session, handler.language)
    expected = found["expected"] or {}
    moments = {name: _moment(expected.get(name)) for name in ("at", "low_at", "high_at")}
    patiences = sorted({*PATIENCES_S, *([session.patience_s] if session.patience_s else [])})
    more = {"give_up_at": _moment(found["give_up_at"]), "patiences": patiences, "sends_mail": bool(handler.config.mail_server)}
    return {**found, **more, "expected": {**expected, **moments} if expected else None}


def _moment(at: float | None) -> datetime | None:
    """To the minute: nothing here is known better."""
    return datetime.fromtimestamp(round(at / 60) * 60, UTC) if at else None


class WaitHandler(PageHandler):
    """POST says for how long a session of the caller's shall wait, and whether a mail is wanted."""

    @authenticated
    async def post(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        if own_waits.is_waiting(session):
            body: dict[str, Any] = {"patience": self.get_body_argument("patience", ""), "mail": self.get_body_argument("mail", "") == "yes"}
            patience_s, wants_mail = own_waits.read_wishes(session, body)
            await save_wishes(self, session.id, session.user, patience_s, wants_mail=wants_mail)
        self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}", status=303)


default_handlers = [(r"sessions/([0-9a-f]{32})/wait", WaitHandler)]
