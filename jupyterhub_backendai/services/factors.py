"""The second factor that the settings name, with our own memory of codes that were used."""

from __future__ import annotations

from ..config import BackendAI
from ..identity import Directory, make_factor
from ..identity.factors import SecondFactor
from ..store import used_codes
from ..store.database import Database
from ..store.models import now


def connect_factor(settings: BackendAI, db: Database, people: Directory) -> SecondFactor | None:
    """Who is asked about one-time passwords; None when they are in our own database. Raises InvalidParameters."""

    async def take(name: str, code: str) -> bool:
        return await db.run_exclusive(used_codes.take_code, name, code, now())

    return make_factor(settings, people, take)
