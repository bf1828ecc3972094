"""Against real PAM services (pam_oath, pam_exec): codes, both in one field, one after the other, and a module that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_backendai.errors import FactorUnavailable, InvalidParameters
from jupyterhub_backendai.identity.factors import SecondFactor
from tests import lab

from .factors import ask, connect

Make = Callable[..., SecondFactor]
pytestmark = pytest.mark.pam


@pytest.fixture
def make_pam(tmp_path: Path) -> Make:
    """Fresh keys for each test: kim03 has a code, lee03 a password before it."""
    lines = [
        f"HOTP/T30/6 {name} {password} {lab.seed(name).hex()}" for name, password in (("kim03", "-"), ("lee03", lab.password("lee03")))
    ]
    lab.PAM_KEYS.write_text("\n".join(lines) + "\n")
    lab.PAM_KEYS.chmod(0o600)

    def make(service: str = "code", **settings: Any) -> SecondFactor:
        return connect(tmp_path, "pam", otp_pam_service=f"backendai-lab-{service}", **settings)

    return make


async def test_a_code_alone(make_pam: Make) -> None:
    pam = make_pam()
    assert (await ask(pam, "kim03", "000000")).reason == "wrong-code"
    assert (await ask(pam, "nobody", lab.code("kim03"))).outcome == "refused"
    code = lab.code("kim03")
    assert (await ask(pam, "kim03", code)).outcome == "ok"
    assert (await ask(pam, "kim03", "")).reason == "no-code"


async def test_the_module_too_takes_a_code_once(make_pam: Make) -> None:
    code = lab.code("kim03")
    answers = [(await ask(pam, "kim03", code)).outcome for pam in (make_pam(), make_pam())]  # neither remembers what the other took
    assert answers == ["ok", "refused"]


async def test_password_and_code_in_one_field(make_pam: Make) -> None:
    pam = make_pam(otp_sends="password+code")
    assert (await ask(pam, "lee03", lambda: lab.code("lee03"), password="wrong")).outcome == "refused"
    assert (await ask(pam, "lee03", lambda: lab.code("lee03"))).outcome == "ok"


async def test_one_after_the_other(make_pam: Make) -> None:
    pam = make_pam("password", otp_sends="password")
    assert (await ask(pam, "kim03", lambda: lab.code("kim03"), password="wrong")).outcome == "refused"
    assert (await ask(pam, "kim03", "000000")).outcome == "refused"
    assert (await ask(pam, "kim03", lambda: lab.code("kim03"))).outcome == "ok"
    assert (await ask(make_pam("password"), "kim03", lambda: lab.code("kim03"))).outcome == "refused"  # it asks for more than a code


async def test_an_account_that_may_not(make_pam: Make) -> None:
    assert (await ask(make_pam("closed"), "kim03", "123456")).outcome == "refused"


@pytest.mark.parametrize("name", ["", "kim03 ", "../kim03", "-", "kim03\n", "x" * 5000, "김01"])
async def test_odd_names_are_nobody(make_pam: Make, name: str) -> None:
    assert (await ask(make_pam(), name, lab.code("kim03"), password="x")).outcome == "refused"


async def test_a_module_that_hangs_is_ended(make_pam: Make) -> None:
    pam = make_pam("slow", otp_timeout_s=0.5)
    begin = time.monotonic()
    waiting = [asyncio.create_task(ask(pam, "kim03", "123456")) for _ in range(6)]  # two of them wait for their turn
    turns = 0
    while not all(task.done() for task in waiting):
        await asyncio.sleep(0.01)
        turns += 1
    assert all(isinstance(task.exception(), FactorUnavailable) for task in waiting)
    assert time.monotonic() - begin < 30
    assert turns > 10  # the loop went on
    assert not conversations()


async def test_a_conversation_that_dies_is_our_trouble(make_pam: Make) -> None:
    asking = asyncio.create_task(ask(make_pam("slow", otp_timeout_s=10.0), "kim03", "123456"))
    deadline = time.monotonic() + 10
    while not (found := conversations()) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    for pid in found:
        os.kill(pid, signal.SIGSEGV)
    with pytest.raises(FactorUnavailable):
        await asking


def conversations() -> list[int]:
    """The processes of ours that talk with PAM."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = f"PPid:\t{os.getpid()}\n" in (entry / "status").read_text() and b"pam_child" in (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if is_ours:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize("service", ["no-such", "../passwd", "", "other\n"])
def test_settings_that_cannot_work(tmp_path: Path, service: str) -> None:
    with pytest.raises(InvalidParameters):
        connect(tmp_path, "pam", otp_pam_service=service)
