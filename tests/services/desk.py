"""The login's desk with a directory that knows what a test tells it."""

from __future__ import annotations

import time
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import func, select, update

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.identity import LocalAccount, PasswordChange, PasswordCheck, Person, Standing
from jupyterhub_backendai.errors import DirectoryUnavailable
from jupyterhub_backendai.identity.factors import SecondFactor
from jupyterhub_backendai.services import login
from jupyterhub_backendai.services.login import Attempt, Desk
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.database import Database

SECRET = b"12345678901234567890"
PASSWORD = "right"


class FakeDirectory:
    """A directory of people whose password is ``right``."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.reasons: dict[str, str] = {}
        self.is_away = False
        self.asked: list[str] = []
        self.changed: list[tuple[str, str, str]] = []

    async def check(self, name: str, password: str, account: LocalAccount | None = None) -> PasswordCheck:
        self.asked.append(name)
        if self.is_away:
            raise DirectoryUnavailable
        person = self.people.get(name)
        if person is None:
            return PasswordCheck(None, "unknown")
        return PasswordCheck(person, self.reasons.get(name, "")) if password == PASSWORD else PasswordCheck(None, "wrong-password")

    async def change_password(self, name: str, old: str, new: str, account: LocalAccount | None = None) -> PasswordChange:
        if old != PASSWORD or len(new) < 8:
            return PasswordChange(False, "wrong-password" if old != PASSWORD else "too-short", "Password fails quality checking policy")
        self.changed.append((name, old, new))
        self.reasons.pop(name, None)
        return PasswordChange(True)

    async def find(self, name: str, account: LocalAccount | None = None) -> Standing:
        if self.is_away:
            raise DirectoryUnavailable
        person = self.people.get(name)
        return Standing(person, self.reasons.get(name, "")) if person else Standing(None, "removed")

    async def close(self) -> None:
        """Nothing is open."""


class Counter:
    """A desk with a directory, a database, and short ways to use them."""

    def __init__(self, db: Database, factor: SecondFactor | None = None, **settings: Any) -> None:
        self.db, self.directory = db, FakeDirectory()
        self.crypt = Crypt(Fernet.generate_key().decode())
        self.settings = BackendAI(directory="ldap", site_name="Test", **{"login_pace_s": 0, **settings})
        self.desk = Desk(self.settings, db, self.directory, self.crypt, factor)
        self.identities = login.IdentityDesk(self.settings, db, self.directory)

    async def add(self, name: str, *, token: bool = True, **fields: Any) -> None:
        self.directory.people[name] = Person(name, **fields)
        if token:
            encrypted = self.crypt.encrypt(otp.format_secret(SECRET), tokens.purpose(name))
            await self.db.run(tokens.set_confirmed, name, encrypted)

    async def log_in(
        self, name: str, code: str = "", password: str = PASSWORD, source: str = "10.0.0.1", next_url: str = ""
    ) -> dict[str, Any]:
        return await self.desk.login(Attempt(name, password, code, source, next_url))

    async def go_on(self, answer: dict[str, Any], **fields: str) -> dict[str, Any]:
        """Confirm the step that an answer led to."""
        return await self.desk.confirm_step(answer["ticket"], fields)

    async def show(self, answer: dict[str, Any]) -> dict[str, Any]:
        return await self.desk.show_step(answer["ticket"])

    async def reasons(self) -> list[str]:
        def read(db: Any) -> list[str]:
            rows = db.scalars(select(models.AuditEntry).where(models.AuditEntry.action == "login").order_by(models.AuditEntry.at))
            return [row.details.get("reason", row.result) for row in rows]

        return await self.db.run(read)

    async def forgive(self) -> None:
        """Let the time pass that people have to wait."""
        await self.db.run(lambda db: db.execute(update(models.LoginFailure).values(until=None)))

    async def count(self, table: type[models.Base]) -> int:
        return await self.db.run(lambda db: db.scalar(select(func.count()).select_from(table)))


def code(ahead: int = 0) -> str:
    return otp.code_at(SECRET, otp.step_of(time.time()) + ahead)
