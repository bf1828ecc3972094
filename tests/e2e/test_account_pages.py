"""Logins end for real: at the hub, at our pages, and with the tokens that came of them."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.core.logins import hash_session

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]
NAME = "user2"


def session_of(client) -> str:
    return next(cookie.value for cookie in client.http.cookie_jar if cookie.key == "jupyterhub-session-id")


async def count_tokens(client) -> int:
    """The hub's tokens that came of this browser's login."""
    status, answer = await client.stack.rest(client.program, "GET", f"/users/{NAME}/tokens")
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


async def test_one_login_ends_at_once_and_then_all_others(local):
    async with local.client(NAME) as here, local.client(NAME) as there, local.client(NAME) as elsewhere:
        for client in (here, there, elsewhere):
            page = await client.enter()
            assert "/hub/login" not in page.url, page.read_message()
            await client.get(f"{local.url}/services/backendai/account")
            assert await is_in(client)
            assert await count_tokens(client) > 0
        page = await here.get(f"{local.url}/services/backendai/account/logins")
        xsrf = page.find_form("_xsrf")["fields"]["_xsrf"]
        form = {"action": "/services/backendai/account/logins", "fields": {"_xsrf": xsrf}}
        page = await here.post(page, form, id=hash_session(session_of(there)))
        assert page.status == 200, page.read_message()
        assert await count_tokens(there) == 0
        assert not await is_in(there)
        assert await is_in(elsewhere)
        assert await is_in(here)
        page = await here.post(page, form, others="1")
        assert page.status == 200, page.read_message()
        assert await count_tokens(elsewhere) == 0
        assert not await is_in(elsewhere)
        assert not await is_in(there)
        assert await is_in(here)
        await here.get(f"{local.url}/hub/logout")
        assert not await is_in(here)
