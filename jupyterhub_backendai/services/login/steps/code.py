"""The one-time password on a page of its own: the two-step form, and what a server asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....store.database import Database
from ....store.models import now
from .. import records
from ..attempts import Throttled
from ..codes import Codes
from ..flow import Flow, Work


class CodeStep:
    """Nobody who is here is known to have the right password: the page is the same for all."""

    name = "code"

    def __init__(self, db: Database, codes: Codes) -> None:
        self._db, self._codes = db, codes

    async def is_needed(self, flow: Flow) -> bool:
        return self._codes.are_asked(flow)

    async def begin(self, flow: Flow) -> dict[str, Any]:  # noqa: ARG002 - the interface
        return {}

    def show(self, flow: Flow) -> dict[str, Any]:
        return {"message": flow.challenge.get("message", ""), "has_recovery": self._codes.are_ours}

    async def confirm(self, flow: Flow, fields: Mapping[str, str]) -> Work | None:
        wait_s = await self._db.run_exclusive(records.begin_code, flow, now())
        if wait_s > 0:
            raise Throttled(wait_s)
        await self._codes.check(flow, fields.get("otp", "") or fields.get("recovery", ""))
        return None
