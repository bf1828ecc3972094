"""Name, mail and language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import i18n
from ...core.accounts import fold_email
from ...core.names import is_email
from ...errors import N_, InvalidParameters, Violation
from ...store import account
from ..account_mails import MOVED, write_mail
from ..base import HubUserHandler
from .base import AccountPage
from .proof import prove

LONGEST = 255
_ELSEWHERE = N_("Your centre's directory says this; it is changed there.")


async def change_profile(handler: HubUserHandler, fields: Mapping[str, str]) -> None:
    """Change what ``fields`` name of ``display_name``, ``email``, ``language``; another address only with ``password`` or ``code``.

    Raises InvalidParameters with every field that is wrong.
    """
    name, before = handler.identity.name, await handler.db.run(account.find_account, handler.identity.name)
    changes = {key: fields[key].strip() for key in ("display_name", "email", "language") if key in fields}
    if "email" in changes:
        changes["email"] = fold_email(changes["email"])
    changes = {key: value for key, value in changes.items() if value != getattr(before, key)}
    if found := _check(changes, is_ours=is_ours(handler)):
        raise InvalidParameters(violations=found)
    if "email" in changes:
        await prove(handler, fields.get("password", ""), fields.get("code", ""))
    source, is_unique = handler.request.remote_ip or "", handler.config.sign_up
    if await handler.db.run_exclusive(account.update_profile, name, changes, source, is_unique=is_unique):
        handler.application.settings.get("identities", {}).pop(name, None)
    if "email" in changes and before.email:
        handler.mail.post(write_mail(MOVED, handler.language, handler.config.site_name, name, before.email))


def is_ours(handler: HubUserHandler) -> bool:
    """Whether names and addresses are kept here."""
    return handler.config.directory == "local"


def _check(changes: Mapping[str, str], *, is_ours: bool) -> list[Violation]:
    found = []
    for key, value in changes.items():
        if key == "language":
            if value and value not in i18n.LANGUAGES:
                found.append(Violation(N_("There is no such language."), {}, key, "unknown"))
        elif not is_ours:
            found.append(Violation(_ELSEWHERE, {}, key, "elsewhere"))
        elif len(value) > LONGEST or not value.isprintable():
            found.append(Violation(N_("At most %(most)s characters on one line."), {"most": LONGEST}, key, "too-long"))
        elif key == "email" and value and not is_email(value):
            found.append(Violation(N_("This is not a mail address."), {}, key, "mail"))
    return found


class ProfilePage(AccountPage):
    """``account``: who one is here."""

    async def load(self) -> dict[str, Any]:
        found = await self.db.run(account.find_account, self.identity.name)
        return {"account": found, "is_ours": is_ours(self), "projects": self.identity.projects}

    async def act(self, fields: Mapping[str, str]) -> str:
        await change_profile(self, fields)
        self._keep_language(fields.get("language", "").strip())
        return "saved"

    def _keep_language(self, language: str) -> None:
        """The choice of this browser follows that of the account; without one the browser's own language counts again."""
        root = self.hub_auth.hub_prefix.removesuffix("hub/")
        if language:
            is_secure = self.request.protocol == "https"
            self.set_cookie(i18n.COOKIE, language, path=root, expires_days=365, samesite="Lax", secure=is_secure)
        else:
            self.clear_cookie(i18n.COOKIE, path=root)


default_handlers = [(r"account/?", ProfilePage)]
