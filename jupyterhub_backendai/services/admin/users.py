"""What is done to people beside their fields."""

from __future__ import annotations

from ...errors import BackendAIError, NotFound
from ..auth import administrative
from ..otp_reset import reset_otp
from .forms import RecordHandler, check_typed_name
from .inputs import write_form


class ResetOTPHandler(RecordHandler):
    """Take the one-time password away, with the name typed: for a lost telephone. The next login enrols anew."""

    @administrative
    async def post(self, key: str) -> None:
        records = self.find_records("users")
        if not records.noun.may(self.actor, "update"):
            raise NotFound
        record, context = await self.load(records, key)
        try:
            check_typed_name(self.get_body_argument("typed_name", ""), record.key, "reset-otp")
            await reset_otp(self, self.actor, key)
        except BackendAIError as exc:
            form = write_form(self.fields(records.noun, record), record.values, context.slot_kinds)
            self.show_form(records.noun, record, context, self.refuse(form, exc))
            return
        self.redirect(self.url_of("users", key, notice="otp-reset"), status=303)


default_handlers = [(r"admin/users/([^/]+)/reset-otp", ResetOTPHandler)]
