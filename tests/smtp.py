"""A real mail server in the test's own loop, which keeps what it gets."""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import ipaddress
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PASSWORD = "mail-secret"


@dataclass
class MailServer:
    """Where it listens, what came, and how it answers: ``refusals`` maps an address to the answer that it gets instead."""

    port: int = 0
    came: list[EmailMessage] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    refuse_next: int = 0
    users: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuse_next:
            self.refuse_next -= 1
            return "451 4.3.0 Later"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.came.append(message)
        return "250 OK"

    async def mails(self, count: int) -> list[EmailMessage]:
        """The mails, when that many have come."""
        deadline = time.monotonic() + 10
        while len(self.came) < count:
            assert time.monotonic() < deadline, f"{len(self.came)} of {count} mails"
            await asyncio.sleep(0.01)
        return self.came

    def check(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.users.append(data.login.decode())
        return AuthResult(success=data.password.decode() == PASSWORD)


def text_of(message: EmailMessage) -> str:
    """What the person reads."""
    return message.get_content().replace("\r\n", "\n")


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of ``localhost`` that signs itself, and its key."""
    key, at = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(at).not_valid_after(at + dt.timedelta(days=1)).add_extension(names, False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    certificate = builder.sign(key, hashes.SHA256())
    certificate_file, key_file = directory / "mail.crt", directory / "mail.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    return certificate_file, key_file


@asynccontextmanager
async def mail_server(
    tls: str = "none", certificate: tuple[Path, Path] | None = None, *, wants_user: bool = False
) -> AsyncIterator[MailServer]:
    """A running server: ``none``, ``starttls`` (nothing without it) or ``ssl``."""
    kept, context = MailServer(), None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)

    def make() -> SMTP:
        started = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}
        user = {"authenticator": kept.check, "auth_required": True, "auth_require_tls": False} if wants_user else {}
        return SMTP(kept, hostname="localhost", enable_SMTPUTF8=True, **started, **user)

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context if tls == "ssl" else None)
    kept.port = server.sockets[0].getsockname()[1]
    yield kept
    server.close()


@contextmanager
def mail_thread() -> Iterator[MailServer]:
    """A running server in a thread of its own, for tests that wait without awaiting."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = mail_server()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(5)
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
