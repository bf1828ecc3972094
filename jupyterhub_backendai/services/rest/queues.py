"""``GET queues``: the live table for programs."""

from __future__ import annotations

from ..auth import authenticated
from ..base import ApiHandler
from ..queues import list_rows


class QueuesHandler(ApiHandler):
    """Every queue that the caller may use, with its figures and their age."""

    @authenticated
    async def get(self) -> None:
        figures = await self.figures.look()
        rows = list_rows(await self.groups.list_usable(self.identity), figures, self.language, self.identity.posix)
        self.answer({"queues": rows, "read_at": figures.read_at, "error": figures.error})


default_handlers = [(r"rest/v1/queues", QueuesHandler)]
