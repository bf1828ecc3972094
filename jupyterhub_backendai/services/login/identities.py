"""Who somebody is now, for the hub's refreshes."""

from __future__ import annotations

from ...config import BackendAI
from ...core.identity import Identity
from ...store import users
from ...store.database import Database
from ..base import PrivateHandler


async def get_identity(settings: BackendAI, db: Database, name: str) -> Identity | None:
    """Who this is now; None for somebody who is closed, here or in the embedded directory, or never came."""
    identity = await db.run(users.get_identity, name)
    if identity is None or not identity.is_active:
        return None
    if settings.directory == "local":
        account = await db.run(users.get_local_account, name)
        if account is None or not account.is_active:
            return None
    return identity


class IdentityHandler(PrivateHandler):
    """``GET /private/identities/<name>``: who this is, null when there is nobody who may work here."""

    async def get(self, name: str) -> None:
        identity = await get_identity(self.config, self.db, name)
        self.answer({"identity": identity.to_json() if identity else None})
