"""A new password for who has to change it: told to by an administrator, or because the old one is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....core.identity import MUST_CHANGE, PasswordChange
from ....core.password_change import DIFFERENT, MISSING, explain_refusal
from ....identity import Directory
from ....identity.local import hash_password
from ....store import audit, users
from ..attempts import Refused
from ..codes import Codes
from ..flow import Flow, Work

GRACE = "grace"
_hashing = ThreadPoolExecutor(1, thread_name_prefix="new-password")


class PasswordStep:
    """The old password is asked for again, so that it is never kept. Who has a grace login may do it later.

    Where the directory wants the code behind the password, it wants the next one here.
    """

    name = "password"

    def __init__(self, people: Directory, codes: Codes) -> None:
        self._people, self._codes = people, codes

    async def is_needed(self, flow: Flow) -> bool:
        return flow.reason in MUST_CHANGE and self.name not in flow.done

    async def begin(self, flow: Flow) -> dict[str, Any]:  # noqa: ARG002 - the interface
        return {}

    def show(self, flow: Flow) -> dict[str, Any]:
        return {
            "reason": flow.reason,
            "grace_left": flow.grace_left,
            "may_wait": flow.reason == GRACE,
            "asks_code": self._codes.joins_password,
        }

    async def confirm(self, flow: Flow, fields: Mapping[str, str]) -> Work | None:
        if fields.get("later") and flow.reason == GRACE:
            flow.done.append(self.name)
            return None
        change = await self._change(flow, fields)
        if not change.ok:
            raise Refused(change.reason or "refused", explain_refusal(change.reason), said=change.message[:500])
        flow.reason, flow.expires_in_s = "", None
        flow.done.append(self.name)
        is_local = flow.known.account is not None
        hashed = await asyncio.get_running_loop().run_in_executor(_hashing, hash_password, fields["new"]) if is_local else ""

        def keep(db: Session, _at: datetime) -> None:
            if hashed:
                users.set_password_hash(db, flow.name, hashed)
            audit.record(db, actor=flow.name, action="change-password", object=flow.name, source=flow.source)

        return keep

    async def _change(self, flow: Flow, fields: Mapping[str, str]) -> PasswordChange:
        old, new, again = (fields.get(name, "") for name in ("old", "new", "again"))
        if not old or not new:
            raise Refused("empty", MISSING)
        if new != again:
            raise Refused("different", DIFFERENT)
        code = fields.get("otp", "") if self._codes.joins_password else ""
        return await self._people.change_password(flow.name, old + code, new, flow.known.account)
