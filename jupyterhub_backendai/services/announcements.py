"""News on the pages: what everybody is to read now, and putting away what one has read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .. import i18n
from ..core.nouns import Record
from ..store.records.announcements import list_current
from .admin.show import word
from .auth import authenticated
from .base import PageHandler

COOKIE = "backendai-read"
MAX_READ = 40  # ids in the cookie: the newest; a browser keeps 4 kB
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class News:
    """One announcement in the reader's language. ``is_read``: the reader has put it away in this browser."""

    id: str
    level: str
    level_word: str
    title: str
    body: str
    is_read: bool


async def load_news(handler: PageHandler) -> list[News]:
    """The announcements of this moment, the gravest first."""
    records = await handler.db.run(list_current, datetime.now(UTC))
    read = read_cookie(handler)
    return [describe(record, handler.language, read) for record in records]


def describe(record: Record, language: str, read: Sequence[str] = ()) -> News:
    """An announcement as a page shows it."""
    level = str(record.values["level"])
    texts = [_text(record.values[name], language) for name in ("title", "body")]
    return News(record.key, level, word(language, level), texts[0], texts[1], record.key in read)


def read_cookie(handler: PageHandler) -> list[str]:
    """The ids of what was put away in this browser, oldest first."""
    return _ID.findall(handler.get_cookie(COOKIE) or "")[-MAX_READ:]


class ReadHandler(PageHandler):
    """POST puts an announcement away in this browser, and goes back to where that was done."""

    @authenticated
    async def post(self) -> None:
        found, target = self.get_body_argument("id", "")[:32], self.get_body_argument("next", "")
        if _ID.fullmatch(found):
            ids = [*(old for old in read_cookie(self) if old != found), found][-MAX_READ:]
            path, is_secure = self.hub_auth.base_url, self.request.protocol == "https"
            self.set_cookie(COOKIE, ".".join(ids), path=path, expires_days=90, samesite="Lax", httponly=True, secure=is_secure)
        is_ours = target.startswith(self.hub_auth.base_url) and not target.startswith(("//", "/\\"))
        self.redirect(target if is_ours else f"{self.hub_auth.base_url}summary", status=303)


def _text(texts: Any, language: str) -> str:
    """The reader's language, English, then whichever there is."""
    found = dict(texts or {})
    return str(found.get(language) or found.get(i18n.DEFAULT_LANGUAGE) or next(iter(found.values()), ""))


default_handlers = [(r"announcements/read", ReadHandler)]
