"""Password and code in one bind, against a real slapo-otp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import ldap3
import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import otp
from jupyterhub_backendai.errors import DirectoryUnavailable, InvalidParameters
from jupyterhub_backendai.identity import make_factor
from jupyterhub_backendai.identity.factors import FactorQuestion
from tests import lab
from tests.slapo_otp import DN, NAME, connect_as_root, otp_person  # noqa: F401 - a fixture

from .factors import Memory, ask

pytestmark = pytest.mark.ldap
Make = Callable[..., Any]


@pytest.fixture
def make_append(make_directory: Make, otp_person: str) -> Make:  # noqa: F811
    def make(memory: Memory | None = None, **changes: Any) -> Any:
        settings = BackendAI(directory="ldap", otp_backend="ldap-append")
        return make_factor(settings, make_directory(**changes), (memory or Memory()).take)

    return make


def code(step: int = 0) -> str:
    return lab.code(NAME, step)


async def test_password_and_code(make_append: Make) -> None:
    factor = make_append()
    assert factor.joins_password
    answer = await ask(factor, NAME, code)
    assert (answer.outcome, answer.reason, answer.check.person.name) == ("ok", "", NAME)


async def test_refusals(make_append: Make) -> None:
    factor = make_append()
    answers = {
        "no code": await ask(factor, NAME, ""),
        "no password": await ask(factor, NAME, code, password=""),
        "wrong code": await ask(factor, NAME, "000000"),
        "no number": await ask(factor, NAME, "x" * 100),
        "unknown": await ask(factor, "nobody", code),
    }
    assert {what: (answer.outcome, answer.reason) for what, answer in answers.items()} == {
        "no code": ("refused", "no-code"),
        "no password": ("refused", "empty-password"),
        "wrong code": ("refused", "wrong-password"),
        "no number": ("refused", "wrong-code"),
        "unknown": ("refused", "unknown"),
    }
    assert all(answer.check is None or answer.check.person is None for answer in answers.values())


async def test_a_code_is_good_once(make_append: Make) -> None:
    first = await ask(make_append(), NAME, code)
    again = await ask(make_append(), NAME, code)  # the overlay sees to it: these remember nothing of one another
    assert (first.outcome, again.outcome) == ("ok", "refused")


async def test_a_code_is_good_once_at_the_same_moment_too(make_append: Make) -> None:
    """The overlay alone (2.5.13) lets several in then: several binds read the last step before one writes it."""
    memory = Memory()
    doors = [make_append(memory) for _ in range(8)]
    while otp.step_of(time.time() + 5) != otp.step_of(time.time()):
        await asyncio.sleep(0.1)  # all within one step
    answers = await asyncio.gather(*(ask(door, NAME, code()) for door in doors))
    assert [answer.outcome for answer in answers].count("ok") == 1


async def test_somebody_without_a_token(make_append: Make) -> None:
    """The password alone never does. What the site must do against the end of a password as the code is in docs/howto-otp.md."""
    assert (await ask(make_append(), "kang04", "")).reason == "no-code"
    assert (await ask(make_append(), "kang04", "123456")).outcome == "refused"
    half, rest = lab.password("kang04")[:-2], lab.password("kang04")[-2:]
    only_with_token = "(&(uid={name})(objectClass=oathTOTPUser))"
    question = FactorQuestion("kang04", rest, half)
    assert (await make_append().verify(question)).outcome == "ok"
    assert (await make_append(ldap_user_filter=only_with_token).verify(question)).reason == "unknown"
    assert (await ask(make_append(ldap_user_filter=only_with_token), NAME, code)).outcome == "ok"


async def test_who_must_change_the_password(make_append: Make, make_directory: Make) -> None:
    """The reason comes with the person, as from the directory itself; the old password goes with the next code."""
    with connect_as_root() as root:
        root.modify(DN, {"pwdReset": [(ldap3.MODIFY_REPLACE, ["TRUE"])]})
    answer = await ask(make_append(), NAME, code)
    assert (answer.outcome, answer.check.reason, answer.check.person.name) == ("ok", "must-change", NAME)
    directory = make_directory()
    assert not (await directory.change_password(NAME, lab.password(NAME), "An0ther!password")).ok
    assert (await directory.change_password(NAME, lab.password(NAME) + code(1), "An0ther!password")).ok


async def test_a_directory_that_is_away(make_append: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await ask(make_append(ldap_servers=["ldap://127.0.0.1:9"]), NAME, code)


def test_settings_that_cannot_work() -> None:
    for settings in ({"otp_backend": "ldap-append", "directory": "local"}, {"otp_backend": "none"}):
        with pytest.raises(InvalidParameters):
            make_factor(BackendAI(**settings), None, Memory().take)
    assert make_factor(BackendAI(), None, Memory().take) is None
