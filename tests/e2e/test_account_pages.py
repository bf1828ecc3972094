"""Logins end for real: at the hub, at our pages, and with the tokens that came of them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.logins import hash_session
from jupyterhub_backendai.identity.local import hash_password
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store import users
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.database import Database
from tests.e2e.marks import PLATFORM
from tests.e2e.test_administration import run

pytestmark = PLATFORM
PASSWORD = "a right long passw0rd!"


async def add_person(stack, name):
    """Somebody whom no other test logs in as."""
    secret = otp.format_secret(secrets.token_bytes(20))
    crypt = Crypt(json.loads(Path(stack.state, "secrets.json").read_text())["crypt"])
    db = Database(f"sqlite:///{stack.state}/backendai.sqlite")
    await db.run(users.set_local_account, name, hash_password(PASSWORD), name)
    await db.run(tokens.set_confirmed, name, crypt.encrypt(secret, tokens.purpose(name)))
    await db.close()
    stack.people[name] = {"login": name, "password": PASSWORD, "otp": secret}


async def enter(client):
    page = await client.enter()
    assert "/hub/login" not in page.url, page.read_message()
    await client.get(f"{client.stack.url}/services/backendai/account")
    assert await is_in(client)
    assert await count_tokens(client) > 0


def session_of(client) -> str:
    return next(cookie.value for cookie in client.http.cookie_jar if cookie.key == "jupyterhub-session-id")


async def count_tokens(client) -> int:
    """The hub's tokens that came of this browser's login."""
    status, answer = await client.stack.rest(client.program, "GET", f"/users/{client.name}/tokens")
    assert status == 200, answer
    return sum(token["session_id"] == session_of(client) for token in answer["api_tokens"])


async def is_in(client) -> bool:
    """Whether the hub and our service, each asked alone, know this browser."""
    answers = []
    for path in ("/hub/home", "/services/backendai/account"):
        async with client.http.get(f"{client.stack.url}{path}", allow_redirects=False) as answer:
            answers.append(answer.status == 200)
    assert answers[0] == answers[1], answers
    return answers[0]


async def end(client, **fields):
    page = await client.get(f"{client.stack.url}/services/backendai/account/logins")
    xsrf = page.find_form("_xsrf")["fields"]["_xsrf"]
    page = await client.post(page, {"action": "/services/backendai/account/logins", "fields": {"_xsrf": xsrf}}, **fields)
    assert (page.status, page.url.partition("?")[2][:5]) == (200, "done="), page.read_message()


async def test_one_login_ends_at_once_and_whoever_is_closed_is_out_everywhere(local):
    await add_person(local, "park09")
    async with local.client("park09") as here, local.client("park09") as there:
        await enter(here)
        await enter(there)
        await end(here, id=hash_session(session_of(there)))
        assert await count_tokens(there) == 0
        assert not await is_in(there)
        assert await is_in(here)
        status, _, err = await run(local, "user", "set", "park09", "--status", "inactive")
        assert status == 0, err
        assert not await is_in(here)
        status, _, err = await run(local, "user", "set", "park09", "--status", "active")
        assert status == 0, err
        assert not await is_in(here)


async def test_all_other_logins_end_at_once(local):
    await add_person(local, "lee09")
    async with local.client("lee09") as here, local.client("lee09") as there:
        await enter(there)
        await enter(here)
        await end(here, others="1")
        assert await count_tokens(there) == 0
        assert not await is_in(there)
        assert await is_in(here)
        await here.get(f"{local.url}/hub/logout")
        assert not await is_in(here)
