"""What is done to people beside their fields."""

from __future__ import annotations

from sqlalchemy.orm import Session

from ...core.identity import Actor, Role
from ...errors import BackendAIError, Forbidden, NotFound
from ...store import audit, otp
from ...store.records import RECORDS
from ..auth import administrative
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
            await self.db.run_exclusive(reset_otp, self.actor, key)
        except BackendAIError as exc:
            form = write_form(self.fields(records.noun, record), record.values, context.slot_kinds)
            self.show_form(records.noun, record, context, self.refuse(form, exc))
            return
        self.redirect(self.url_of("users", key, notice="otp-reset"), status=303)


def reset_otp(db: Session, actor: Actor, name: str) -> None:
    """Raises NotFound for somebody of another domain; Forbidden for a domain's administrator who tries it on a superadministrator."""
    record = RECORDS["users"].find(db, actor, name)
    if record.values["role"] in (Role.SUPERADMIN, Role.SUPERADMIN.value) and not actor.is_superadmin:
        raise Forbidden
    if otp.remove_token(db, name):
        audit.record(db, actor=actor.name, action="user.reset-otp", object=name, source=actor.source, details={})


default_handlers = [(r"admin/users/([^/]+)/reset-otp", ResetOTPHandler)]
