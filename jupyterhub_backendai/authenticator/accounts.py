"""The hub's pages of people without a login: signing up, confirming an address, a forgotten password.

Each is there only where the site turned it on. A link in a mail only opens a page; what it is for happens when its button is pressed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from .. import i18n
from ..config import BackendAI
from ..core.accounts import RESET, VERIFY
from ..errors import N_, BackendAIError, InvalidParameters
from .pages import language_of
from .source import source_of

DONE = ("done", "verify", "approval", "verified", "forgotten", "reset")
UNREADABLE = N_("The request could not be read.")
_TYPED = ("username", "email", "display_name", "invitation", "agrees")
_PASSWORDS = ("password", "again")


class AccountPage(BaseHandler):
    """What these pages share: who is logged in needs none of them."""

    template = ""

    async def prepare(self) -> None:
        await super().prepare()
        # The log has addresses whole, and the hub hides only words that it knows to be secrets: an invitation is none of them.
        self._here, self.request.uri = self.request.uri, self.request.path
        if not self.is_on(self.authenticator.settings):
            raise web.HTTPError(404)

    def is_on(self, settings: BackendAI) -> bool:
        """Whether the site has this."""
        raise NotImplementedError

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    async def ask(self, act: str, **fields: str) -> dict[str, Any]:
        """One call of the service."""
        answer: dict[str, Any] = await self.authenticator.service.account(act, source=source_of(self), **fields)
        return answer

    async def show(self, status: int = 200, error: BackendAIError | None = None, **values: Any) -> None:
        """The page; with what was wrong, each at its field."""
        language = language_of(self)
        wrong: dict[str, str] = {}
        for violation in error.violations if error else ():
            wrong.setdefault(violation.field, i18n.explain(language, violation))
        summary = i18n.explain(language, error) if error and not error.violations else ""
        if wrong:
            summary = i18n.translate(language, N_("Something is not right yet. Look at the fields below."))
        self.set_status(status)
        if status == 503:
            self.set_header("Retry-After", "5")
        here = self._here if self.request.method == "GET" else self.request.path
        page = {"settings": self.authenticator.settings, "error": summary, "wrong": wrong, "here": here, "typed": {}}
        text = await self.render_template(self.template, **{**page, **values})
        # After the page, which sets the usual one: addresses here hold words that are to stand in no log as a referrer.
        self.set_header("Referrer-Policy", "strict-origin")
        self.finish(text)

    def read_field(self, name: str) -> str:
        """A field of the form. Raises InvalidParameters for bytes that are no text."""
        try:
            return str(self.get_body_argument(name, "", strip=name not in _PASSWORDS))
        except web.HTTPError as exc:
            raise InvalidParameters(UNREADABLE) from exc

    def read_token(self) -> str:
        """The word of a mailed link, from the address or the form."""
        try:
            return str(self.get_argument("token", ""))
        except web.HTTPError:
            return ""

    def go_on(self, what: str) -> None:
        """To the page that says what happened; reloading it does nothing again."""
        self.redirect(f"{self.hub.base_url}account/done?what={what}", status=303)


class SignUpPage(AccountPage):
    """A new account."""

    template = "account_sign_up.html"

    def is_on(self, settings: BackendAI) -> bool:
        return bool(settings.sign_up)

    async def get(self) -> None:
        """The form; an invitation may stand in the address."""
        if self.current_user:
            self.redirect(self.hub.base_url)
            return
        try:
            invitation = self.get_query_argument("invitation", "")[:64]
        except web.HTTPError:
            invitation = ""
        await self.show(typed={"invitation": invitation})

    async def post(self) -> None:
        """Make the account, or show everything that is wrong with what was typed."""
        typed: dict[str, str] = {}
        try:
            typed = {name: self.read_field(name) for name in _TYPED}
            secret = {name: self.read_field(name) for name in _PASSWORDS}
            answer = await self.ask("sign-up", language=language_of(self), **typed, **secret)
        except BackendAIError as exc:
            await self.show(exc.status, exc, typed=typed)
            return
        self.go_on(answer["outcome"])


class VerifyPage(AccountPage):
    """The link that shows whose a mail address is. Programs that look at mail open links too, so a button is pressed."""

    template = "account_verify.html"

    def is_on(self, settings: BackendAI) -> bool:
        return bool(settings.sign_up)

    async def get(self) -> None:
        await self._show()

    async def post(self) -> None:
        try:
            answer = await self.ask("verify", token=self.read_token())
        except BackendAIError as exc:
            await self.show(exc.status, exc, owner="", token="")
            return
        self.go_on("verified" if answer["outcome"] == "done" else "approval")

    async def _show(self) -> None:
        try:
            link = await self.ask("link", token=self.read_token(), kind=VERIFY)
        except BackendAIError as exc:
            await self.show(exc.status, exc, owner="", token="")
            return
        await self.show(owner=link["name"], token=self.read_token())


class ForgottenPage(AccountPage):
    """Ask for a link to choose a new password with. The answer is the same whoever asks for whom."""

    template = "account_forgotten.html"

    def is_on(self, settings: BackendAI) -> bool:
        return bool(settings.forgotten_password)

    async def get(self) -> None:
        await self.show()

    async def post(self) -> None:
        typed = ""
        try:
            typed = self.read_field("username")
            await self.ask("forgotten", typed=typed, language=language_of(self))
        except BackendAIError as exc:
            await self.show(exc.status, exc, typed={"username": typed})
            return
        self.go_on("forgotten")


class ResetPage(AccountPage):
    """Choose a new password by a mailed link. Nobody is logged in by it: the one-time password is still asked for."""

    template = "account_reset.html"

    def is_on(self, settings: BackendAI) -> bool:
        return bool(settings.forgotten_password)

    async def get(self) -> None:
        await self._show()

    async def post(self) -> None:
        try:
            secret = {name: self.read_field(name) for name in _PASSWORDS}
            await self.ask("reset", token=self.read_token(), **secret)
        except InvalidParameters as exc:
            await self._show(exc)
        except BackendAIError as exc:
            await self.show(exc.status, exc, owner="", token="")
        else:
            self.go_on("reset")

    async def _show(self, error: BackendAIError | None = None) -> None:
        token = self.read_token()
        try:
            link = await self.ask("link", token=token, kind=RESET)
        except BackendAIError as exc:
            await self.show(exc.status, exc, owner="", token="")
            return
        # After an error the address has no word in it, and a change of the language would lose it.
        here = f"{self.hub.base_url}account/reset?token={quote(token, safe='')}"
        await self.show(error.status if error else 200, error, owner=link["name"], token=token, here=here)


class DonePage(AccountPage):
    """What happened, and what happens next."""

    template = "account_done.html"

    def is_on(self, settings: BackendAI) -> bool:
        return bool(settings.sign_up or settings.forgotten_password)

    async def get(self) -> None:
        what = self.get_query_argument("what", "")
        if what not in DONE:
            raise web.HTTPError(404)
        await self.show(what=what)


default_handlers = [
    (r"/account/sign-up", SignUpPage),
    (r"/account/verify", VerifyPage),
    (r"/account/forgotten", ForgottenPage),
    (r"/account/reset", ResetPage),
    (r"/account/done", DonePage),
]
