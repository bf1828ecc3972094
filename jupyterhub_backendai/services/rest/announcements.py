"""``GET announcements``: what everybody is to read now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ...core.nouns import Record
from ...core.nouns.announcements import ANNOUNCEMENTS
from ...store.records.announcements import list_current
from ..auth import authenticated
from ..base import ApiHandler


def describe(record: Record, language: str) -> dict[str, Any]:
    """An announcement with its text in the reader's language beside both languages."""
    data = ANNOUNCEMENTS.to_json(record.values)
    return {**data, "title_text": choose(data["title"], language), "body_text": choose(data["body"], language)}


def choose(texts: dict[str, str], language: str) -> str:
    """The text in a language, in any other when it has none."""
    return texts.get(language) or next(iter(texts.values()), "")


class AnnouncementsHandler(ApiHandler):
    """The gravest first, then the newest."""

    @authenticated
    async def get(self) -> None:
        found = await self.db.run(list_current, datetime.now(UTC))
        self.answer({"announcements": [describe(record, self.language) for record in found]})


default_handlers = [(r"rest/v1/announcements", AnnouncementsHandler)]
