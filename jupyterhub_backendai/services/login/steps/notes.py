"""What somebody has to be told before they go on, such as that their one-time password was reset or that the password ends soon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....errors import N_
from ....store import notes
from ..flow import Flow, Work

SOON_S = 7 * 86400
EXPIRES = N_("Your password ends in %(days)s days. Change it before.")


class NotesStep:
    """The last step."""

    name = "notes"

    async def is_needed(self, flow: Flow) -> bool:
        return self.name not in flow.done and bool(flow.known.notes or flow.notes or self._expires_soon(flow))

    @staticmethod
    def _expires_soon(flow: Flow) -> bool:
        return flow.expires_in_s is not None and 0 < flow.expires_in_s < SOON_S

    async def begin(self, flow: Flow) -> dict[str, Any]:
        told = [{"message": note.message, "params": dict(note.params), "at": note.at.isoformat()} for note in flow.known.notes]
        told += flow.notes
        if self._expires_soon(flow):
            told.append({"message": EXPIRES, "params": {"days": (flow.expires_in_s or 0) // 86400 + 1}, "at": ""})
        return {"notes": told, "ids": [note.id for note in flow.known.notes]}

    def show(self, flow: Flow) -> dict[str, Any]:
        return {"notes": flow.data["notes"]}

    async def confirm(self, flow: Flow, fields: Mapping[str, str]) -> Work | None:  # noqa: ARG002 - the interface
        ids = list(flow.data["ids"])
        flow.done.append(self.name)

        def forget(db: Session, _at: datetime) -> None:
            notes.remove_notes(db, flow.name, ids)

        return forget
