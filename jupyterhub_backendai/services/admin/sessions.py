"""Ending somebody's session, with its owner's name typed."""

from __future__ import annotations

from ...errors import Conflict, InvalidParameters, NotFound
from ..auth import administrative
from ..termination import end_session
from .forms import RecordHandler, check_typed_name


class TerminateHandler(RecordHandler):
    """Asks the hub to stop the server; what follows an end follows."""

    @administrative
    async def post(self, key: str) -> None:
        records = self.find_records("sessions")
        if not records.noun.may(self.actor, "terminate"):
            raise NotFound
        record, context = await self.load(records, key)
        try:
            check_typed_name(self.get_body_argument("typed_name", ""), str(record.values["user"]), "terminate")
        except InvalidParameters as exc:
            self.show_form(records.noun, record, context, self.refuse({}, exc))
            return
        notice = "stopping"
        try:
            await end_session(self, self.actor, key)
        except Conflict:
            notice = "gone"
        self.redirect(self.url_of("sessions", key, notice=notice), status=303)


default_handlers = [(r"admin/sessions/([^/]+)/terminate", TerminateHandler)]
