"""The hub's calls about logging in, over the private listener."""

from __future__ import annotations

from ...errors import N_, InvalidParameters
from ...store.crypt import Crypt
from ..base import PrivateHandler, check_text
from .attempts import Attempt
from .desk import Desk

_OWN = frozenset({"ticket", "action"})


class LoginHandler(PrivateHandler):
    """``POST /private/login`` with username, password, otp, source and next."""

    async def post(self) -> None:
        body = self.read_body()
        fields = {name: check_text(body.get(name, "")) for name in ("username", "password", "otp", "source")}
        attempt = Attempt(**fields, next=check_text(body.get("next", ""), 8192))
        self.answer(await find_desk(self).login(attempt))


class LoginStepHandler(PrivateHandler):
    """``POST /private/login/step`` with ticket and action: ``show``, or ``confirm`` with the fields of the step's page."""

    async def post(self) -> None:
        body = self.read_body()
        ticket, action = check_text(body.get("ticket", "")), check_text(body.get("action", ""))
        if action == "show":
            self.answer(await find_desk(self).show_step(ticket))
        elif action == "confirm":
            typed = {name: check_text(text) for name, text in body.items() if name not in _OWN}
            self.answer(await find_desk(self).confirm_step(ticket, typed))
        else:
            raise InvalidParameters(N_("The request could not be read."))


def find_desk(handler: PrivateHandler) -> Desk:
    """The desk of this process, made once."""
    parts = handler.application.settings
    if "login_desk" not in parts:
        crypt = Crypt(handler.config.read_secret("crypt"))
        parts["login_desk"] = Desk(handler.config, handler.db, handler.people, crypt, parts.get("factor"))
    desk: Desk = parts["login_desk"]
    return desk
