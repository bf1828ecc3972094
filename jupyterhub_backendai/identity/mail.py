"""Mail to people: one message at a time over SMTP, in threads of its own, so that a slow server stops nobody.

Two ways to send. :meth:`Mailer.send` waits for the server's word, for pages that say whether a mail went out. :meth:`Mailer.post`
hands a message over and returns at once, so that an answer takes as long whether there was somebody to write to or not.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol

from ..config import BackendAI
from ..errors import N_, InvalidParameters, MailRefused, MailUnavailable

log = logging.getLogger(__name__)
THREADS = 2
MOST_WAITING = 1000
RETRIES_S = (10.0, 60.0, 300.0)
TLS = ("starttls", "ssl", "none")


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to one person, plain text. ``text`` may hold a link that is a secret, so it is in no log."""

    to: str
    subject: str
    text: str = field(repr=False)


class Mailer(Protocol):
    """Somebody who sends mail. ``is_on`` is false where a site has named no mail server: then nothing is ever sent."""

    is_on: bool

    async def send(self, mail: Mail) -> None:
        """Send it now. Raises MailUnavailable, and MailRefused for what will never be taken."""

    def post(self, mail: Mail) -> None:
        """Send it soon, trying again for a few minutes; what cannot be sent is logged. Never blocks, never raises."""

    async def close(self) -> None:
        """Finish what is under way, give up what waits."""


def make_mailer(settings: BackendAI) -> Mailer:
    """The mailer that the settings name. Raises InvalidParameters for settings that cannot work."""
    return SMTPMailer(settings) if settings.mail_server else NoMailer()


class NoMailer:
    """A site without a mail server."""

    is_on = False

    async def send(self, mail: Mail) -> None:  # noqa: ARG002 - the protocol's signature
        """There is nobody to send it."""
        raise MailUnavailable(N_("This site sends no mail."))

    def post(self, mail: Mail) -> None:
        """Nothing happens, by the site's wish."""

    async def close(self) -> None:
        """Nothing is open."""


class SMTPMailer:
    """A connection for each message: there are few, and a server that was restarted is no trouble."""

    is_on = True

    def __init__(self, settings: BackendAI) -> None:
        host, _, port = settings.mail_server.rpartition(":")
        if not host or not port.isascii() or not port.isdigit():
            raise InvalidParameters("c.BackendAI.mail_server: %(value)s is not host:port.", value=settings.mail_server)
        if settings.mail_tls not in TLS:
            raise InvalidParameters("c.BackendAI.mail_tls: %(value)s is none of starttls, ssl, none.", value=settings.mail_tls)
        self._host, self._port = host.strip("[]"), int(port)
        self._settings = settings
        self._from = _read_sender(settings)
        self._tls = _make_context(settings) if settings.mail_tls != "none" else None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")
        self._waiting: set[asyncio.Task[None]] = set()
        self.retries_s = RETRIES_S

    async def send(self, mail: Mail) -> None:
        """See :class:`Mailer`."""
        message = self._build(mail)
        await asyncio.get_running_loop().run_in_executor(self._threads, self._deliver, message)

    def post(self, mail: Mail) -> None:
        """See :class:`Mailer`."""
        if len(self._waiting) >= MOST_WAITING:
            log.error("A mail is not sent: %s others wait already", len(self._waiting))
            return
        task = asyncio.get_running_loop().create_task(self._try_on(mail))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """See :class:`Mailer`."""
        if self._waiting:
            _, left = await asyncio.wait(self._waiting, timeout=2)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _try_on(self, mail: Mail) -> None:
        for wait_s in (*self.retries_s, None):
            try:
                await self.send(mail)
            except MailRefused as exc:
                log.warning("A mail (%s) is not sent: %s", mail.subject, exc)
                return
            except MailUnavailable as exc:
                if wait_s is None:
                    log.error("A mail (%s) is given up: %s", mail.subject, exc)  # noqa: TRY400 - no fault of ours
                    return
                log.warning("A mail (%s) is tried again in %.0f s: %s", mail.subject, wait_s, exc)
                await asyncio.sleep(wait_s)
            else:
                return

    def _build(self, mail: Mail) -> EmailMessage:
        """The message. Raises MailRefused for an address that is none: a line break in one would be a header of somebody's."""
        message = EmailMessage()
        try:
            message["To"] = Address(addr_spec=mail.to)
            message["Subject"] = " ".join(mail.subject.split())
        except (ValueError, IndexError, AttributeError, MessageError) as exc:
            raise MailRefused from exc
        message["From"] = self._from
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=self._from.domain or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message

    def _deliver(self, message: EmailMessage) -> None:
        try:
            with self._connect() as server:
                if self._settings.mail_tls == "starttls":
                    server.starttls(context=self._tls)
                if self._settings.mail_user:
                    server.login(self._settings.mail_user, _read_password(self._settings))
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as exc:
            code = max((answer[0] for answer in exc.recipients.values()), default=550)
            raise (MailRefused if code >= 500 else MailUnavailable) from exc
        except smtplib.SMTPNotSupportedError as exc:
            log.error("The mail server cannot do what the settings want: %s", exc)  # noqa: TRY400
            raise MailUnavailable from exc
        except (smtplib.SMTPException, OSError, ValueError) as exc:
            # Its class only: what the server says back may repeat what was sent.
            log.warning("The mail server %s:%s: %s", self._host, self._port, type(exc).__name__)
            raise MailUnavailable from exc

    def _connect(self) -> smtplib.SMTP:
        timeout = self._settings.mail_timeout_s
        if self._settings.mail_tls == "ssl":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=timeout, context=self._tls)
        return smtplib.SMTP(self._host, self._port, timeout=timeout)


def _read_sender(settings: BackendAI) -> Address:
    try:
        sender = Address(display_name=settings.site_name, addr_spec=settings.mail_from)
    except (ValueError, IndexError, MessageError) as exc:
        raise InvalidParameters("c.BackendAI.mail_from: %(value)s is no mail address.", value=settings.mail_from) from exc
    if not sender.username or not sender.domain:
        raise InvalidParameters("c.BackendAI.mail_from: %(value)s is no mail address.", value=settings.mail_from)
    return sender


def _make_context(settings: BackendAI) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.mail_ca_file or None)
    except OSError as exc:
        raise InvalidParameters("c.BackendAI.mail_ca_file: %(reason)s", reason=str(exc)) from exc
    if not settings.mail_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _read_password(settings: BackendAI) -> str:
    """Read at each use: a site changes it without a restart. Raises OSError."""
    return Path(settings.mail_password_file).read_text().strip() if settings.mail_password_file else ""
