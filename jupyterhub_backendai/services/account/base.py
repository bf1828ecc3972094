"""What the account pages share: the menu, forms that keep what was typed, and what is said after an act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import i18n
from ...errors import N_, BackendAIError, InvalidParameters
from ..auth import authenticated
from ..base import PageHandler
from .proof import Proof, find_proof

MENU = (
    ("", N_("Profile")),
    ("password", N_("Password")),
    ("otp", N_("One-time password")),
    ("keypairs", N_("API keypairs")),
    ("ssh-key", N_("SSH key")),
    ("logins", N_("Logins")),
)
DONE = {
    "saved": N_("The changes were saved."),
    "password": N_("Your password was changed. You are logged out everywhere else."),
    "otp": N_("Your one-time password was set up anew. You are logged out everywhere else."),
    "switched": N_("The keypair was changed."),
    "ssh-key": N_("Your SSH key was kept."),
    "ssh-key-removed": N_("Your SSH key was removed."),
    "ended": N_("The login was ended."),
    "others-ended": N_("All other logins were ended."),
}
LONGEST = 16 * 1024


class AccountPage(PageHandler):
    """A page of one's own account. GET shows it; POST acts, and then shows it with what was wrong or goes back to it."""

    part = ""

    async def load(self) -> dict[str, Any]:
        """What the page shows."""
        raise NotImplementedError

    async def act(self, fields: Mapping[str, str]) -> str:
        """Do what the form says; a word of :data:`DONE`, or "" when the answer was given already. Raises BackendAIError."""
        raise NotImplementedError

    @authenticated
    async def get(self, *_: str) -> None:
        await self.show()

    @authenticated
    async def post(self, *_: str) -> None:
        fields = self.read_fields()
        try:
            done = await self.act(fields)
        except BackendAIError as exc:
            self.set_status(exc.status)
            await self.show(exc, fields)
            return
        if done:
            self.redirect(f"{self.url}?done={done}", status=303)

    @property
    def url(self) -> str:
        return f"{self.hub_auth.base_url}account" + (f"/{self.part}" if self.part else "")

    def read_fields(self) -> dict[str, str]:
        """What was typed, as it was typed. Raises InvalidParameters for what no form sends."""
        fields = {name: self.get_body_argument(name, strip=False) for name in self.request.body_arguments if name != "_xsrf"}
        if any(len(text) > LONGEST for text in fields.values()):
            raise InvalidParameters(N_("The request could not be read."))
        return fields

    async def show(self, error: BackendAIError | None = None, fields: Mapping[str, str] | None = None) -> None:
        """The page; after a refusal with what was typed, but for the secrets."""
        self.show_page(f"account/{self.part or 'profile'}.html", error, fields, **await self.load(), proof=await self.find_proof())

    def show_page(self, template: str, error: BackendAIError | None = None, fields: Mapping[str, str] | None = None, **values: Any) -> None:
        """Any page with the menu."""
        wrong = {item.field: i18n.explain(self.language, item) for item in error.violations} if error else {}
        self.render_page(
            template,
            menu=[(f"{self.hub_auth.base_url}account" + (f"/{part}" if part else ""), title, part == self.part) for part, title in MENU],
            url=self.url,
            error=i18n.explain(self.language, error) if error else "",
            wrong=wrong,
            typed=dict(fields or {}),
            notice=i18n.translate(self.language, DONE.get(self.get_query_argument("done", ""), "")),
            **values,
        )

    async def find_proof(self) -> Proof:
        """What this person can prove who they are with."""
        return await find_proof(self, self.identity.name)


class Act(AccountPage):
    """A form of a page that acts at an address of its own."""

    @authenticated
    async def get(self, *_: str) -> None:
        self.redirect(self.url)
