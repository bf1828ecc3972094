"""Against a real privacyIDEA, and against web servers that answer as none should."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from jupyterhub_backendai.errors import FactorUnavailable, InvalidParameters
from jupyterhub_backendai.identity.factors import FactorAnswer
from tests import lab

from .factors import Memory, ask, connect

Make = Callable[..., Any]
needs_privacyidea = pytest.mark.privacyidea


@pytest_asyncio.fixture
async def make_factor(tmp_path: Path) -> Any:
    made = []

    def make(*servers: str, **settings: Any) -> Any:
        settings = {"otp_ca_file": str(lab.LDAP_CA), **settings}
        made.append(connect(tmp_path, "privacyidea", otp_servers=list(servers or [lab.PRIVACYIDEA_URL]), **settings))
        return made[-1]

    yield make
    for factor in made:
        await factor.close()


@pytest.fixture
def fresh_tokens() -> None:
    """As if nobody had used any code yet."""
    with contextlib.closing(sqlite3.connect(lab.PRIVACYIDEA_DATABASE, timeout=10)) as database, database:
        database.execute("UPDATE token SET count = 0, failcount = 0")


class Web:
    """A web server on loopback whose answers a test writes: status and body."""

    def __init__(self, answer: Callable[[dict[str, str]], tuple[int, Any]]) -> None:
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.asked.append(
                    {"path": self.path, **{name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}}
                )
                outer.headers.append(dict(self.headers))
                status, content = answer(outer.asked[-1])
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Location", outer.url)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # who asks may have waited long enough
                    self.wfile.write(data)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Web]]:
    made: list[Web] = []

    def start(answer: Any) -> Web:
        made.append(Web(answer if callable(answer) else lambda asked: answer))
        return made[-1]

    yield start
    for web in made:
        web.close()


def result(value: bool, detail: Any = None, **more: Any) -> tuple[int, Any]:
    return 200, {"result": {"status": True, "value": value, **more}, "detail": detail}


# -- the real one


@needs_privacyidea
@pytest.mark.usefixtures("fresh_tokens")
async def test_a_code_alone(make_factor: Make) -> None:
    factor = make_factor()
    assert (await ask(factor, "choi03", "000000")).reason == "wrong-code"
    assert await ask(factor, "choi03", lab.code("choi03")) == FactorAnswer("ok")
    assert (await ask(make_factor(), "choi03", lab.code("choi03"))).outcome == "refused"  # by the server: this one remembers nothing
    assert (await ask(factor, "nobody", lab.code("choi03"))).reason == "unknown"
    assert (await ask(factor, "yoon03", "123456")) == FactorAnswer("enrol", "no-token")


@needs_privacyidea
@pytest.mark.usefixtures("fresh_tokens")
async def test_password_and_code_in_one_field(make_factor: Make) -> None:
    factor = make_factor(otp_sends="password+code", otp_realm="both")
    assert (await ask(factor, "jung03", lab.code("jung03"), password="wrong")).outcome == "refused"
    assert (await ask(factor, "jung03", lab.code("jung03"))).outcome == "ok"
    assert (await ask(factor, "jung03")).reason == "no-code"


@needs_privacyidea
@pytest.mark.usefixtures("fresh_tokens")
async def test_the_server_asks_for_the_code(make_factor: Make) -> None:
    factor = make_factor(otp_sends="password", otp_realm="asks")
    assert factor.asks_first
    assert (await ask(factor, "lim03", password="wrong")).outcome == "refused"
    asked = await ask(factor, "lim03")
    assert (asked.outcome, asked.message) == ("challenge", "Please enter the number on your card:")
    assert (await ask(factor, "jung03", lab.code("jung03"), state=asked.state)).outcome == "refused"  # nobody else's
    assert (await ask(factor, "lim03", "000000", state=asked.state)).outcome == "refused"
    assert (await ask(factor, "lim03", lab.code("lim03"), state=asked.state)).outcome == "ok"


@needs_privacyidea
@pytest.mark.usefixtures("fresh_tokens")
async def test_a_code_that_was_typed_before_the_server_asked(make_factor: Make) -> None:
    factor = make_factor(otp_sends="password", otp_realm="asks")
    assert (await ask(factor, "choi03", "000000")).outcome == "refused"
    assert (await ask(factor, "choi03", lab.code("choi03"))).outcome == "ok"


@needs_privacyidea
async def test_a_certificate_that_nobody_signed(make_factor: Make) -> None:
    with pytest.raises(FactorUnavailable):
        await ask(make_factor(otp_ca_file=""), "choi03", "123456")


@needs_privacyidea
@pytest.mark.usefixtures("fresh_tokens")
async def test_the_second_server_answers_for_a_broken_first(make_factor: Make, serve: Any) -> None:
    broken = serve((502, b"<h1>Bad gateway</h1>"))
    factor = make_factor(broken.url, lab.PRIVACYIDEA_URL)
    assert (await ask(factor, "choi03", "000000")).outcome == "refused"
    assert (await ask(factor, "choi03", lab.code("choi03"))).outcome == "ok"
    assert len(broken.asked) == 1  # then it is left alone


# -- what is sent


async def test_what_a_server_is_told(make_factor: Make, serve: Any) -> None:
    web = serve(result(True))
    factor = make_factor(web.url + "/pi/", otp_name="{name}@hpc", otp_realm="cluster", secret="key-1")
    assert (await ask(factor, "kim01", "123 456", source="192.0.2.7", state="42")).outcome == "ok"
    assert web.asked == [
        {
            "path": "/pi/validate/check",
            "user": "kim01@hpc",
            "pass": "123456",
            "realm": "cluster",
            "transaction_id": "42",
            "client": "192.0.2.7",
        }
    ]
    assert web.headers[0]["Authorization"] == "key-1"


@pytest.mark.parametrize("sends", ["code", "password+code", "password"])
async def test_the_answer_to_a_challenge_is_the_code_alone(make_factor: Make, serve: Any, sends: str) -> None:
    web = serve(result(True))
    await ask(make_factor(web.url, otp_sends=sends), "kim01", "123456", password="secret", state="42")
    assert web.asked[0]["pass"] == "123456"


async def test_each_code_once_whatever_the_server_says(make_factor: Make, serve: Any) -> None:
    web = serve(result(True))
    memory = Memory()
    answers = [await ask(make_factor(web.url, memory=memory), name, "cccccbCdef") for name in ("kim01", "kim01", "lee01")]
    assert [answer.outcome for answer in answers] == ["ok", "refused", "ok"]
    assert (await ask(make_factor(web.url, memory=memory), "kim01", "CCCCCbcdef")).reason == "used-code"


async def test_somebody_who_confirms_on_the_phone(make_factor: Make, serve: Any) -> None:
    web = serve(result(True))
    factor = make_factor(web.url, otp_sends="password")
    assert [(await ask(factor, "kim01", "", state="42")).outcome for _ in range(2)] == ["ok", "ok"]


# -- what is believed


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (result(True), "ok"),
        (result(False), "refused"),
        (result(False, {"transaction_id": "1", "message": "?"}), "challenge"),
        (result(False, {"transaction_id": "1"}, authentication="REJECT"), "refused"),
        (result(False, {"transaction_id": "1"}, authentication="CHALLENGE"), "challenge"),
        (result(False, {"message": "The user has no tokens assigned"}), "enrol"),
        (result(False, []), "refused"),
        ((200, {"result": {"value": True}}), "refused"),
        ((200, {"result": {"status": True, "value": "true"}}), "refused"),
        ((200, {"result": {"status": True, "value": 1}}), "refused"),
        ((200, {"result": {"status": True, "value": True, "error": {"code": 1}}}), "refused"),
        ((400, {"result": {"status": False, "error": {"code": 904, "message": "ERR904"}}}), "refused"),
        ((401, {"result": {"status": True, "value": True}}), "refused"),
        ((403, {"result": {"status": False, "error": {"code": 303, "message": "No valid API key"}}}), "refused"),
        ((302, {"result": {"status": True, "value": True}}), "refused"),
        ((302, b""), "unavailable"),
        ((500, {"result": {"status": True, "value": True}}), "unavailable"),
        ((200, b"{"), "unavailable"),
        ((200, b"\xff\xfe"), "unavailable"),
        ((200, b"[" * 100_000), "unavailable"),
        ((200, b'{"result": {"status": true, "value": true}}' + b" " * 200_000), "ok"),
        ((200, b'{"result": {"status": true, "value": true}}' + b" " * 300_000), "unavailable"),
        ((200, []), "unavailable"),
        ((200, {"result": True}), "unavailable"),
    ],
)
async def test_answers(make_factor: Make, serve: Any, answer: tuple[int, Any], outcome: str) -> None:
    web = serve(answer)
    factor = make_factor(web.url)
    if outcome == "unavailable":
        with pytest.raises(FactorUnavailable):
            await ask(factor, "kim01", "123456")
    else:
        assert (await ask(factor, "kim01", "123456")).outcome == outcome
    assert len(web.asked) == 1  # a redirect is not followed: it would carry the password along


async def test_a_silent_server_stops_nobody_else(make_factor: Make, serve: Any) -> None:
    is_over = threading.Event()
    web = serve(lambda asked: (is_over.wait(60), result(True))[1])
    waiting = asyncio.create_task(ask(make_factor(web.url, otp_timeout_s=0.5), "kim01", "123456"))
    begin, turns = time.monotonic(), 0
    while not waiting.done():
        await asyncio.sleep(0.001)
        turns += 1
    is_over.set()
    assert isinstance(waiting.exception(), FactorUnavailable)
    assert time.monotonic() - begin < 30
    assert turns > 50


# -- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"otp_servers": []},
        {"otp_servers": ["127.0.0.1"]},
        {"otp_servers": ["ftp://127.0.0.1"]},
        {"otp_servers": ["http://otp.example"]},
        {"otp_servers": ["https://a:b@otp.example"]},
        {"otp_servers": ["https://otp.example?x"]},
        {"otp_servers": ["https://otp.example:port"]},
        {"otp_ca_file": "/no/such/file"},
        {"otp_secret_file": "/no/such/file"},
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters):
        connect(tmp_path, "privacyidea", **{"otp_servers": ["https://otp.example"], **settings})
