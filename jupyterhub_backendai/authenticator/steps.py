"""The page of every step between a password and being logged in. Nobody is logged in while it is shown."""

from __future__ import annotations

from typing import Any

from .. import i18n
from ..core.identity import Identity
from ..errors import BackendAIError, BackendUnavailable, NotFound
from .pages import TICKET_COOKIE, LoginPage, language_of

# What the forms of the steps may send; a password's blanks are its own.
_FIELDS = ("otp", "recovery", "later", "agreed")
_PASSWORDS = ("old", "new", "again")


class StepPage(LoginPage):
    """``/hub/login/step``: the service says which step the browser's ticket is for; ``login_<step>.html`` shows it."""

    async def get(self) -> None:
        """Show the step of the login that is under way."""
        if self.current_user:
            self.redirect(self.get_next_url(self.current_user))
            return
        await self._show()

    async def post(self) -> None:
        """Finish the step: on to the next one, or in."""
        fields = {name: self.get_body_argument(name, "", strip=True) for name in _FIELDS}
        fields |= {name: self.get_body_argument(name, "", strip=False) for name in _PASSWORDS}
        ticket = self.get_cookie(TICKET_COOKIE) or ""
        try:
            answer = await self.authenticator.service.login_step(ticket, "confirm", **{k: v for k, v in fields.items() if v})
        except BackendUnavailable as exc:
            await self._show(503, {"message": exc.message})
            return
        except BackendAIError as exc:
            await self._give_up(exc)
            return
        await self._go_on(answer, "")

    async def _refuse(self, answer: dict[str, Any], status: int, username: str) -> None:
        if answer.get("over"):
            self._forget_ticket()
            await super()._refuse(answer, status, username)
        else:
            await self._show(status, answer)

    async def _show(self, status: int = 200, answer: dict[str, Any] | None = None) -> None:
        """The step's page, with what was wrong."""
        ticket, language = self.get_cookie(TICKET_COOKIE) or "", language_of(self)
        if not ticket:
            self.redirect(f"{self.hub.base_url}login")
            return
        try:
            step = await self.authenticator.service.login_step(ticket, "show")
        except BackendUnavailable as exc:
            await self._again(503, exc.message, "")
            return
        except BackendAIError as exc:
            await self._give_up(exc)
            return
        self.set_status(status)
        if status == 503:
            self.set_header("Retry-After", "5")
        for note in step.get("notes", ()):
            note["text"] = i18n.translate(language, note["message"], note["params"])
        answer = answer or {}
        error = i18n.translate(language, answer["message"], answer.get("params", {})) if answer else ""
        page = {"step": step, "error": error, "said": answer.get("said", ""), "here": f"{self.hub.base_url}login/step"}
        self.finish(await self.render_template(f"login_{step['step']}.html", xsrf=self.xsrf_token.decode("ascii"), **page))

    async def _give_up(self, error: BackendAIError) -> None:
        """The ticket is no longer good: begin again with the form."""
        self._forget_ticket()
        await self._again(410 if isinstance(error, NotFound) else error.status, i18n.explain(language_of(self), error), "")

    async def _enter(self, identity: Identity, next_url: str | None = None) -> None:
        self._forget_ticket()
        await super()._enter(identity, next_url)

    def _forget_ticket(self) -> None:
        self.clear_cookie(TICKET_COOKIE, path=f"{self.hub.base_url}login")

    def _here(self) -> str:
        return f"{self.hub.base_url}login"


default_handlers = [(r"/login/step", StepPage)]
"""The steps' own page."""
