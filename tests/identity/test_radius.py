"""Against the lab's FreeRADIUS, and against servers and strangers that one should not believe."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyrad import packet
from pyrad.packet import AuthPacket

from jupyterhub_backendai.errors import FactorUnavailable, InvalidParameters
from jupyterhub_backendai.identity.factors import FactorAnswer, SecondFactor
from tests import lab

from .factors import Memory, ask, connect

SECRET = lab.RADIUS_SECRET.encode()
Make = Callable[..., SecondFactor]
Answer = Callable[[AuthPacket], list[bytes]]
needs_radius = pytest.mark.radius


@pytest.fixture
def make_radius(tmp_path: Path) -> Make:
    def make(*servers: str, **settings: Any) -> SecondFactor:
        settings.setdefault("secret", lab.RADIUS_SECRET)
        return connect(tmp_path, "radius", otp_servers=list(servers or [lab.RADIUS_SERVER]), **settings)

    return make


class Server:
    """A RADIUS server whose answers a test writes."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[AuthPacket] = []
        self.raw: list[bytes] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, address = self._socket.recvfrom(4096)
                if not data:
                    return
                request = AuthPacket(packet=data, secret=SECRET)
                self.raw.append(data)
                self.requests.append(request)
                for reply in self._answer(request):
                    self._socket.sendto(reply, address)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"", self._socket.getsockname())
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    made: list[Server] = []

    def start(answer: Answer) -> Server:
        made.append(Server(answer))
        return made[-1]

    yield start
    for server in made:
        server.close()


def reply(request: AuthPacket, code: int = packet.AccessAccept, *, secret: bytes = SECRET, signed: bool = True, **attributes: Any) -> bytes:
    made = request.CreateReply(message_authenticator=signed, **attributes)
    made.code, made.secret = code, secret
    return made.ReplyPacket()


def accept(request: AuthPacket) -> list[bytes]:
    return [reply(request)]


def say_nothing(request: AuthPacket) -> list[bytes]:
    return []


def in_turn(*answers: Answer) -> Answer:
    rest = iter(answers)

    def answer(request: AuthPacket) -> list[bytes]:
        return next(rest)(request)

    return answer


# -- FreeRADIUS


@needs_radius
async def test_a_code_alone(make_radius: Make) -> None:
    radius = make_radius()
    assert (await ask(radius, "choi02", "000000")).outcome == "refused"
    assert await ask(radius, "choi02", lambda: lab.code("choi02")) == FactorAnswer("ok")
    assert (await ask(radius, "nobody", lambda: lab.code("choi02"))).outcome == "refused"


@needs_radius
async def test_password_and_code_in_one_field(make_radius: Make) -> None:
    radius = make_radius(otp_sends="password+code")
    assert (await ask(radius, "jung02", lambda: lab.code("jung02"), password="wrong")).outcome == "refused"
    assert (await ask(radius, "jung02", lambda: lab.code("jung02"))).outcome == "ok"
    assert (await ask(radius, "jung02")).reason == "no-code"


@needs_radius
async def test_the_server_asks_for_the_code(make_radius: Make) -> None:
    radius = make_radius(otp_sends="password")
    assert radius.asks_first
    asked = await ask(radius, "lim02")
    assert (asked.outcome, asked.message) == ("challenge", "Please enter the number on your card:")
    assert (await ask(radius, "lim02", "000000", state=asked.state)).outcome == "refused"
    asked = await ask(radius, "lim02")
    assert (await ask(radius, "lim02", lab.code("lim02"), state=asked.state)).outcome == "ok"
    assert (await ask(radius, "lim02", password="wrong")).outcome == "refused"


@needs_radius
async def test_a_challenge_is_nobody_elses(make_radius: Make) -> None:
    radius = make_radius(otp_sends="password")
    asked = await ask(radius, "lim02")
    assert (await ask(radius, "kang02", lambda: lab.code("kang02"), state=asked.state)).outcome == "refused"
    for state in (f"{lab.RADIUS_SERVER} bm9uZQ==", f"{lab.RADIUS_SERVER} ?", "127.0.0.1:9 bm9uZQ==", "none"):
        assert (await ask(radius, "lim02", lambda: lab.code("lim02"), state=state)).outcome == "refused"


@needs_radius
async def test_a_code_is_good_once_although_the_server_takes_it_twice(make_radius: Make) -> None:
    memory = Memory()
    code = lab.code("choi02")
    first, second = make_radius(memory=memory), make_radius(memory=memory)
    answers = await asyncio.gather(*(ask(one, "choi02", code) for one in [first, second] * 8))
    if any(answer.reason == "wrong-code" for answer in answers):  # its thirty seconds ended
        answers = await asyncio.gather(*(ask(one, "choi02", lab.code("choi02")) for one in [first, second] * 8))
    assert [answer.outcome for answer in answers].count("ok") == 1
    assert {answer.reason for answer in answers if answer.outcome != "ok"} == {"used-code"}
    assert (await ask(make_radius(), "choi02", lambda: lab.code("choi02"))).outcome == "ok"  # the server itself would


@needs_radius
async def test_a_code_with_blanks_and_in_wide_digits_is_the_same_code(make_radius: Make) -> None:
    radius = make_radius()
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    assert (await ask(radius, "choi02", lambda: f" {lab.code('choi02')[:3]} {lab.code('choi02')[3:]} ")).outcome == "ok"
    assert (await ask(radius, "choi02", lambda: lab.code("choi02").translate(wide))).reason in {"used-code", ""}


@needs_radius
async def test_a_wrong_secret_is_our_trouble(make_radius: Make) -> None:
    with pytest.raises(FactorUnavailable):
        await ask(make_radius(secret="another", otp_timeout_s=0.2), "choi02", lab.code("choi02"))


@needs_radius
async def test_the_second_server_answers_for_a_silent_first(make_radius: Make, serve: Any) -> None:
    silent = serve(say_nothing)
    radius = make_radius(silent.address, lab.RADIUS_SERVER, otp_timeout_s=0.2)
    for _ in range(3):
        assert (await ask(radius, "choi02", "000000")).reason == "wrong-code"
    assert len(silent.requests) == 2  # both tries of the first question; then it is left alone
    assert silent.raw[0] == silent.raw[1]


# -- what is sent


async def test_what_a_server_is_told(make_radius: Make, serve: Any) -> None:
    server = serve(accept)
    radius = make_radius(server.address, otp_name="{name}@hpc.example.kr", otp_nas_identifier="hub1")
    assert (await ask(radius, "kim01", "123 456", source="192.0.2.7")).outcome == "ok"
    request = server.requests[0]
    assert request[1] == [b"kim01@hpc.example.kr"]
    assert request.PwDecrypt(request[2][0]) == "123456"
    assert (request[31], request[32], request[6]) == ([b"192.0.2.7"], [b"hub1"], [b"\x00\x00\x00\x08"])
    assert request.verify_message_authenticator()
    assert next(iter(request)) == 80  # first, as CVE-2024-3596 asks for
    assert b"Pa55" not in server.raw[0]


@pytest.mark.parametrize(
    ("code", "password", "reason"),
    [("", "x", "no-code"), ("1" * 65, "x", "wrong-code"), ("12345\x00", "x", "wrong-code"), ("일이삼", "x", "wrong-code"), ("1" * 60, "y" * 80, "wrong-password")],
)  # fmt: skip
async def test_what_is_not_sent(make_radius: Make, serve: Any, code: str, password: str, reason: str) -> None:
    server = serve(accept)
    assert (await ask(make_radius(server.address, otp_sends="password+code"), "kim01", code, password=password)).reason == reason
    assert not server.requests


async def test_a_name_that_is_too_long_is_nobodys(make_radius: Make, serve: Any) -> None:
    server = serve(accept)
    assert (await ask(make_radius(server.address), "\U00020000" * 64, "123456", password="x")).outcome == "refused"
    assert not server.requests


@pytest.mark.parametrize("word", ["push", "Phone2", "sms"])
async def test_words_that_ask_for_a_call_are_no_codes(make_radius: Make, serve: Any, word: str) -> None:
    radius = make_radius(serve(accept).address)
    assert [(await ask(radius, "kim01", word)).outcome for _ in range(2)] == ["ok", "ok"]


# -- whom one should not believe


@pytest.mark.parametrize(
    "forge",
    [
        lambda request: reply(request, signed=False),
        lambda request: reply(request, secret=b"another"),
        lambda request: reply(request)[:-1],
        lambda request: reply(request)[:1] + bytes([request.id ^ 1]) + reply(request)[2:],
        lambda request: bytes([2]) + reply(request, packet.AccessReject)[1:],
        lambda request: reply(request, packet.AccountingResponse),
        lambda request: b"",
        lambda request: b"\x02\x00\x00\x14" + b"\x00" * 16,
        lambda request: b"\xff" * 4096,
    ],
)
async def test_forged_answers_are_not_heard(make_radius: Make, serve: Any, forge: Callable[[AuthPacket], bytes]) -> None:
    liar = serve(lambda request: [forge(request)])
    with pytest.raises(FactorUnavailable):
        await ask(make_radius(liar.address, otp_timeout_s=0.2), "kim01", "123456")
    honest = serve(lambda request: [forge(request), reply(request, packet.AccessReject)])
    assert (await ask(make_radius(honest.address), "kim01", "123456")).outcome == "refused"


async def test_an_answer_without_a_signature_is_believed_nowhere(make_radius: Make, serve: Any) -> None:
    """CVE-2024-3596: a refusal that somebody on the way made into an acceptance has none."""
    server = serve(lambda request: [reply(request, signed=False)])
    with pytest.raises(FactorUnavailable):
        await ask(make_radius(server.address, otp_timeout_s=0.2), "kim01", "123456")


async def test_a_server_that_comes_back(make_radius: Make, serve: Any) -> None:
    server = serve(in_turn(say_nothing, say_nothing, accept))
    radius = make_radius(server.address, otp_timeout_s=0.2)
    with pytest.raises(FactorUnavailable):
        await ask(radius, "kim01", "123456")
    assert (await ask(radius, "kim01", "123456")).outcome == "ok"  # the only one is asked although it was silent just now


async def test_a_lost_packet_is_sent_again(make_radius: Make, serve: Any) -> None:
    server = serve(in_turn(say_nothing, accept))
    assert (await ask(make_radius(server.address, otp_timeout_s=0.4), "kim01", "123456")).outcome == "ok"
    assert server.raw[0] == server.raw[1]


async def test_nobody_there(make_radius: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    begin = time.monotonic()
    with pytest.raises(FactorUnavailable):
        await ask(make_radius(f"127.0.0.1:{port}", "no.such.host.invalid"), "kim01", "123456")
    assert time.monotonic() - begin < 5


async def test_silence_stops_nobody_else(make_radius: Make, serve: Any) -> None:
    radius = make_radius(serve(say_nothing).address, otp_timeout_s=0.5)
    waiting = asyncio.create_task(ask(radius, "kim01", "123456"))
    turns = 0
    while not waiting.done():
        await asyncio.sleep(0)
        turns += 1
    assert isinstance(waiting.exception(), FactorUnavailable)
    assert turns > 100


async def test_a_servers_words_are_one_plain_line(make_radius: Make, serve: Any) -> None:
    words = "번호를\r\n\x1b[31m입력 <b>하세요".encode()
    server = serve(lambda request: [_challenge(request, words)])
    asked = await ask(make_radius(server.address, otp_sends="password"), "kim01")
    assert asked.message == "번호를 [31m입력 <b>하세요"


def _challenge(request: AuthPacket, words: bytes) -> bytes:
    made = request.CreateReply(message_authenticator=True)
    made.code = packet.AccessChallenge
    made[18] = [words[:10], words[10:]]
    made[24] = [b"\x00state\xff"]
    return made.ReplyPacket()


async def test_the_state_goes_back_to_the_server_that_gave_it(make_radius: Make, serve: Any) -> None:
    first, second = serve(lambda request: [_challenge(request, b"?")]), serve(accept)
    asked = await ask(make_radius(first.address, second.address, otp_sends="password"), "kim01")
    again = make_radius(second.address, first.address, otp_sends="password")
    assert (await ask(again, "kim01", "123456", state=asked.state)).outcome == "challenge"
    assert not second.requests
    answer = first.requests[-1]
    assert (answer[24], answer.PwDecrypt(answer[2][0])) == ([b"\x00state\xff"], "123456")


# -- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"otp_servers": []},
        {"otp_servers": ["http://radius"]},
        {"otp_servers": ["radius:port"]},
        {"otp_servers": ["radius:99999"]},
        {"otp_servers": [":1812"]},
        {"secret": ""},
        {"otp_sends": "all"},
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters):
        connect(tmp_path, "radius", **{"otp_servers": ["127.0.0.1"], "secret": "x", **settings})


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    connect(tmp_path, "radius", secret="x", otp_servers=["127.0.0.1", "[::1]:1645"])
    (tmp_path / "otp-secret").chmod(0o644)
    with pytest.raises(InvalidParameters):
        connect(tmp_path, "radius", otp_secret_file=str(tmp_path / "otp-secret"), otp_servers=["127.0.0.1"])
