"""In which language the messages of somebody's sessions come."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jupyterhub_backendai.authenticator.authenticator import BackendAIAuthenticator
from jupyterhub_backendai.core.identity import Identity
from jupyterhub_backendai.errors import BackendUnavailable

KIM01 = SimpleNamespace(name="kim01")


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
    authenticator.remember_language("kim01", "ko")
    assert await authenticator.refresh_user(KIM01, request(headers, cookie)) is True
    assert authenticator.language_of("kim01") == language


def test_the_accounts_language_holds_only_for_whom_no_page_is_known():
    authenticator = Authenticator()
    authenticator.remember_language("kim01", "en")
    for name in ("kim01", "lee01"):
        authenticator.model_of(person(name))
    assert (authenticator.language_of("kim01"), authenticator.language_of("lee01")) == ("en", "ko")
