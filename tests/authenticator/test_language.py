"""In which language the messages of somebody's sessions come."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jupyterhub_backendai.authenticator.authenticator import BackendAIAuthenticator
from jupyterhub_backendai.core.identity import Identity
from jupyterhub_backendai.errors import BackendUnavailable

ANN = SimpleNamespace(name="ann")


class ServiceAway:
    async def refresh_identity(self, name):
        raise BackendUnavailable


class Authenticator(BackendAIAuthenticator):
    service = ServiceAway()


def person(name):
    return Identity(name, name, "", "default", ("default",), is_admin=False, is_active=True, access_key="", language="ko")


def request(headers, cookie=""):
    return SimpleNamespace(request=SimpleNamespace(headers=headers), get_cookie=lambda name: cookie)


@pytest.mark.parametrize(
    ("headers", "cookie", "language"),
    [
        ({}, "", "ko"),  # a notebook server that asks whose token it has
        ({"Accept-Language": "en"}, "", "en"),
        ({"Accept-Language": "en"}, "ko", "ko"),
        ({}, "en", "en"),
    ],
)
async def test_a_request_that_says_no_language_changes_none(headers, cookie, language):
    authenticator = Authenticator()
    authenticator.remember_language("ann", "ko")
    assert await authenticator.refresh_user(ANN, request(headers, cookie)) is True
    assert authenticator.language_of("ann") == language


def test_the_accounts_language_holds_only_for_whom_no_page_is_known():
    authenticator = Authenticator()
    authenticator.remember_language("ann", "en")
    for name in ("ann", "bob"):
        authenticator.model_of(person(name))
    assert (authenticator.language_of("ann"), authenticator.language_of("bob")) == ("en", "ko")
