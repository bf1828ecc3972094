"""Somebody with a password and a one-time password, for what people do to their own accounts."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.logins import hash_session
from jupyterhub_backendai.identity.local import LocalDirectory, hash_password
from jupyterhub_backendai.store import active_logins, models, users
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store.active_logins import BrowserLogin
from jupyterhub_backendai.store.crypt import Crypt

PASSWORD = "a right long passw0rd!"
_hashes: list[str] = []


async def give_password(site, name="kim01"):
    """The embedded directory knows them, with PASSWORD."""
    if not site.application.settings["people"]:
        site.application.settings["people"] = LocalDirectory(site.settings)
    if not _hashes:
        _hashes.append(hash_password(PASSWORD))
    await site.db.run(users.set_local_account, name, _hashes[0], name, f"{name}@example.org")


async def give_token(site, name="kim01"):
    """They have a one-time password; its key."""
    secret = secrets.token_bytes(20)
    sealed = Crypt(site.settings.read_secret("crypt")).encrypt(otp.format_secret(secret), tokens.purpose(name))
    await site.db.run(tokens.set_confirmed, name, sealed)
    return secret


def code_of(secret, ahead=0):
    return otp.code_at(secret, otp.step_of(time.time()) + ahead)


async def add_login(site, session, name="kim01"):
    at = models.now()
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    await site.db.run(
        active_logins.open_login, BrowserLogin(hash_session(session), name, "10.1.2.3", agent, at, at, at + timedelta(days=1))
    )
    return hash_session(session)


async def list_audit(site, *actions):
    def read(db):
        rows = db.query(models.AuditEntry).order_by(models.AuditEntry.at)
        return [(row.actor, row.action, row.object, row.result, row.details) for row in rows if not actions or row.action in actions]

    return await site.db.run(read)
