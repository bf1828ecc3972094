"""Mail against a real server: what is sent, to whom not, and what a server that refuses or says nothing costs."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.errors import InvalidParameters, MailRefused, MailUnavailable
from jupyterhub_backendai.identity.mail import Mail, make_mailer
from tests.smtp import PASSWORD, mail_server, make_certificate, text_of

MAIL = Mail("lee01@example.kr", "비밀번호 재설정", "안녕하세요, 링크: https://hub.example.kr/hub/reset?token=abc\n")


@asynccontextmanager
async def mailing(address: str, **settings):
    mailer = make_mailer(
        BackendAI(mail_server=address, mail_from="hub@example.kr", site_name="슈퍼컴, 센터", **{"mail_tls": "none", **settings})
    )
    yield mailer
    await mailer.close()


async def test_a_mail_as_it_arrives():
    async with mail_server() as server, mailing(server.address) as mailer:
        await mailer.send(MAIL)
    (mail,) = server.came
    assert (mail["To"], mail["Subject"]) == (MAIL.to, MAIL.subject)
    assert mail["From"].addresses[0].addr_spec == "hub@example.kr"
    assert mail["From"].addresses[0].display_name == "슈퍼컴, 센터"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"]
    assert mail["Message-ID"].endswith("@example.kr>")
    assert text_of(mail) == MAIL.text


@pytest.mark.parametrize("tls", ["starttls", "ssl"])
async def test_over_tls_with_an_account(tmp_path, tls):
    certificate = make_certificate(tmp_path)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    options = {"mail_tls": tls, "mail_user": "hub", "mail_password_file": str(tmp_path / "password")}
    async with mail_server(tls, certificate, wants_user=True) as server:
        async with mailing(server.address, mail_ca_file=str(certificate[0]), **options) as mailer:
            await mailer.send(MAIL)
        async with mailing(server.address, **options) as mailer:  # the system does not know this CA
            with pytest.raises(MailUnavailable):
                await mailer.send(MAIL)
        async with mailing(server.address, mail_verify=False, **options) as mailer:
            await mailer.send(MAIL)
    assert len(server.came) == 2
    assert server.users == ["hub", "hub"]


async def test_no_password_goes_over_a_connection_in_clear(tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    async with mail_server(wants_user=True) as server:
        options = {"mail_user": "hub", "mail_password_file": str(tmp_path / "password")}
        async with mailing(server.address, mail_tls="starttls", **options) as mailer:
            with pytest.raises(MailUnavailable):
                await mailer.send(MAIL)
    assert (server.users, server.came) == ([], [])


async def test_refused_for_ever_and_for_now():
    async with mail_server() as server, mailing(server.address) as mailer:
        server.refusals = {"gone@example.kr": "550 5.1.1 No such person", "busy@example.kr": "450 4.2.1 Later"}
        with pytest.raises(MailRefused):
            await mailer.send(Mail("gone@example.kr", "x", "x"))
        with pytest.raises(MailUnavailable):
            await mailer.send(Mail("busy@example.kr", "x", "x"))
    assert server.came == []


@pytest.mark.parametrize("address", ["", "no-address", "a@b@c", "a@b.kr\nBcc: c@d.kr", "a@b.kr, c@d.kr", "Bcc: <c@d.kr>"])
async def test_what_is_no_address_gets_nothing(address):
    async with mail_server() as server, mailing(server.address) as mailer:
        with pytest.raises(MailRefused):
            await mailer.send(Mail(address, "x", "x"))
    assert server.came == []


async def test_a_subject_makes_no_header():
    async with mail_server() as server, mailing(server.address) as mailer:
        await mailer.send(Mail("lee01@example.kr", "hello\r\nBcc: c@d.kr", "x"))
    assert server.came[0]["Bcc"] is None
    assert server.came[0]["Subject"] == "hello Bcc: c@d.kr"


async def test_posted_mail_is_tried_again():
    async with mail_server() as server, mailing(server.address) as mailer:
        mailer.retries_s = (0.01, 0.01)
        server.refuse_next = 2
        mailer.post(MAIL)
        assert not server.came  # nobody waits for it
        assert len(await server.mails(1)) == 1


async def test_what_cannot_be_sent_is_logged_without_its_text(caplog):
    caplog.set_level(logging.INFO)
    async with mail_server() as server, mailing(server.address) as mailer:
        mailer.retries_s = (0.01,)
        server.refuse_next = 9
        mailer.post(MAIL)
        while "given up" not in caplog.text:
            await asyncio.sleep(0.01)
    assert "token=abc" not in caplog.text
    assert server.came == []


async def test_a_silent_server_stops_nobody():
    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with mailing(f"127.0.0.1:{port}", mail_timeout_s=0.3) as mailer:
        sending = asyncio.create_task(mailer.send(MAIL))
        worst = last = 0.0
        while not sending.done():
            last = time.monotonic()
            await asyncio.sleep(0.005)
            worst = max(worst, time.monotonic() - last)
        with pytest.raises(MailUnavailable):
            await sending
    server.close()
    assert worst < 0.25


async def test_without_a_server_nothing_is_sent():
    mailer = make_mailer(BackendAI())
    assert not mailer.is_on
    mailer.post(MAIL)
    with pytest.raises(MailUnavailable):
        await mailer.send(MAIL)
    await mailer.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"mail_server": "localhost"},
        {"mail_server": "localhost:smtp"},
        {"mail_from": ""},
        {"mail_from": "hub"},
        {"mail_tls": "tls"},
        {"mail_ca_file": "/nowhere", "mail_tls": "ssl"},
    ],
)
async def test_settings_that_cannot_work_are_said_at_the_start(settings):
    with pytest.raises(InvalidParameters):
        make_mailer(BackendAI(**{"mail_server": "localhost:25", "mail_from": "hub@example.kr", **settings}))
