"""The hub's calls about logging in, over the private listener."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import N_, InvalidParameters
from ...store.crypt import Crypt
from ..base import PrivateHandler
from .attempts import Attempt
from .desk import Desk

MAX_FIELD = 1024
_OWN = frozenset({"ticket", "action"})


class LoginHandler(PrivateHandler):
    """``POST /private/login`` with username, password, otp, source and next."""

    async def post(self) -> None:
        body = self.read_body()
        fields = {name: _read_text(body, name) for name in ("username", "password", "otp", "source")}
        attempt = Attempt(**fields, next=_read_text(body, "next", longest=8192))
        self.answer(await find_desk(self).login(attempt))


class LoginStepHandler(PrivateHandler):
    """``POST /private/login/step`` with ticket and action: ``show``, or ``confirm`` with the fields of the step's page."""

    async def post(self) -> None:
        body = self.read_body()
        ticket, action = _read_text(body, "ticket"), _read_text(body, "action")
        if action == "show":
            self.answer(await find_desk(self).show_step(ticket))
        elif action == "confirm":
            self.answer(await find_desk(self).confirm_step(ticket, {name: _read_text(body, name) for name in body if name not in _OWN}))
        else:
            raise InvalidParameters(N_("The request could not be read."))


def _read_text(body: Mapping[str, Any], name: str, *, longest: int = MAX_FIELD) -> str:
    text = body.get(name, "")
    if not isinstance(text, str) or len(text) > longest:
        raise InvalidParameters(N_("The request could not be read."))
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidParameters(N_("The request could not be read.")) from exc
    return text


def find_desk(handler: PrivateHandler) -> Desk:
    """The desk of this process, made once."""
    parts = handler.application.settings
    if "login_desk" not in parts:
        crypt = Crypt(handler.config.read_secret("crypt"))
        parts["login_desk"] = Desk(handler.config, handler.db, handler.people, crypt, parts.get("factor"))
    desk: Desk = parts["login_desk"]
    return desk
