"""Ending somebody's session, with its owner's name typed, and giving one more time."""

from __future__ import annotations

from ...errors import BackendAIError, Conflict, InvalidParameters, NotFound, QuotaExceeded, Violation
from ...store import sessions
from ...store.records import Records
from .. import extensions
from ..auth import administrative
from ..own_sessions import parse_more
from ..termination import end_session
from .forms import RecordHandler, check_typed_name


class SessionHandler(RecordHandler):
    """An act on somebody's session, for those who may end it."""

    def find_sessions(self) -> Records:
        """Raises NotFound for everybody else."""
        records = self.find_records("sessions")
        if not records.noun.may(self.actor, "terminate"):
            raise NotFound
        return records


class TerminateHandler(SessionHandler):
    """Asks the hub to stop the server; what follows an end follows."""

    @administrative
    async def post(self, key: str) -> None:
        records = self.find_sessions()
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


class ExtendHandler(SessionHandler):
    """Gives a running session more time, as far as its resource group permits administrators to."""

    @administrative
    async def post(self, key: str) -> None:
        records = self.find_sessions()
        record, context = await self.load(records, key)
        session = await self.db.run(sessions.get, key)
        if session is None:
            raise NotFound
        try:
            more_s = parse_more(self.get_body_argument("time", "")[:32])
            await extensions.extend(self, session, more_s, self.actor.name, is_admin=True, source=self.actor.source)
        except (InvalidParameters, QuotaExceeded, Conflict) as exc:
            self.show_form(records.noun, record, context, self.refuse({}, as_invalid(exc)))
            return
        self.redirect(self.url_of("sessions", key, notice="extended"), status=303)


def as_invalid(error: BackendAIError) -> InvalidParameters:
    """Any refusal as the form's: what has no field is said at the top."""
    return InvalidParameters(violations=list(error.violations) or [Violation(error.message, error.params, "time", "refused")])


default_handlers = [
    (r"admin/sessions/([^/]+)/terminate", TerminateHandler),
    (r"admin/sessions/([^/]+)/extend", ExtendHandler),
]
