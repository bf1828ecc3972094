"""One's own keypairs: what programs sign their calls with. A secret is shown once, when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...errors import InvalidParameters
from ...store import account
from ..base import HubUserHandler
from .base import AccountPage
from .proof import prove


async def list_keypairs(handler: HubUserHandler) -> list[dict[str, Any]]:
    """One's keypairs, without secrets."""
    found = await handler.db.run(account.list_keypairs, handler.identity.name)
    return [asdict(keypair) for keypair in found]


async def add_keypair(handler: HubUserHandler, fields: Mapping[str, str]) -> tuple[str, str]:
    """A new keypair, proven with ``password`` or ``code``: access key and secret."""
    await prove(handler, fields.get("password", ""), fields.get("code", ""))
    most = handler.config.keypairs_per_user
    return await handler.db.run(account.add_keypair, handler.identity.name, most, handler.request.remote_ip or "")


async def rotate_keypair(handler: HubUserHandler, access_key: str, fields: Mapping[str, str]) -> str:
    """A new secret, proven likewise."""
    await prove(handler, fields.get("password", ""), fields.get("code", ""))
    return await handler.db.run(account.rotate_keypair, handler.identity.name, access_key, handler.request.remote_ip or "")


async def switch_keypair(handler: HubUserHandler, access_key: str, fields: Mapping[str, str], *, is_active: bool) -> None:
    """Switch a keypair off; or on again, which is to be proven."""
    if is_active:
        await prove(handler, fields.get("password", ""), fields.get("code", ""))
    source = handler.request.remote_ip or ""
    await handler.db.run(account.set_keypair_active, handler.identity.name, access_key, source, is_active=is_active)


class KeypairsPage(AccountPage):
    """``account/keypairs``: ``act`` is ``create``, ``rotate``, ``activate`` or ``deactivate``, of ``access_key``."""

    part = "keypairs"

    async def load(self) -> dict[str, Any]:
        keypairs = await list_keypairs(self)
        return {"keypairs": keypairs, "has_room": len(keypairs) < self.config.keypairs_per_user}

    async def act(self, fields: Mapping[str, str]) -> str:
        access_key = fields.get("access_key", "")
        match fields.get("act", ""):
            case "create":
                self._show_secret(*await add_keypair(self, fields))
                return ""
            case "rotate":
                self._show_secret(access_key, await rotate_keypair(self, access_key, fields))
                return ""
            case "activate" | "deactivate" as word:
                await switch_keypair(self, access_key, fields, is_active=word == "activate")
                return "switched"
        raise InvalidParameters

    def _show_secret(self, access_key: str, secret_key: str) -> None:
        self.show_page("account/secret.html", access_key=access_key, secret_key=secret_key)


default_handlers = [(r"account/keypairs", KeypairsPage)]
