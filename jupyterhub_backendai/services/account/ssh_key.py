"""One's own public SSH key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.ssh_keys import parse_ssh_key
from ...store import account
from ..base import HubUserHandler
from .base import AccountPage
from .proof import prove


async def set_ssh_key(handler: HubUserHandler, fields: Mapping[str, str]) -> None:
    """Keep ``ssh_public_key``, proven with ``password`` or ``code``. Raises InvalidParameters."""
    key = parse_ssh_key(fields.get("ssh_public_key", ""))
    await prove(handler, fields.get("password", ""), fields.get("code", ""))
    await handler.db.run(account.set_ssh_key, handler.identity.name, key.line, key.fingerprint, handler.request.remote_ip or "")


async def remove_ssh_key(handler: HubUserHandler) -> None:
    """Take it away; that needs no proof."""
    await handler.db.run(account.set_ssh_key, handler.identity.name, "", "", handler.request.remote_ip or "")


async def load_ssh_key(handler: HubUserHandler) -> dict[str, str]:
    """The key and what it is recognised by; "" without any."""
    line = (await handler.db.run(account.find_account, handler.identity.name)).ssh_public_key
    return {"ssh_public_key": line, "fingerprint": parse_ssh_key(line).fingerprint if line else ""}


class SSHKeyPage(AccountPage):
    """``account/ssh-key``."""

    part = "ssh-key"

    async def load(self) -> dict[str, Any]:
        return await load_ssh_key(self)

    async def act(self, fields: Mapping[str, str]) -> str:
        if "remove" in fields:
            await remove_ssh_key(self)
            return "ssh-key-removed"
        await set_ssh_key(self, fields)
        return "ssh-key"


default_handlers = [(r"account/ssh-key", SSHKeyPage)]
