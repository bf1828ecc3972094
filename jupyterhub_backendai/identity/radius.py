"""Codes checked by RADIUS servers (RFC 2865), with PAP.

The shared secret hides the password on the way by MD5 only: use a network that one trusts. Every answer must carry a
Message-Authenticator; without it somebody on the way can turn a refusal into an acceptance (CVE-2024-3596).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyrad import packet
from pyrad.packet import AuthPacket, PacketError

from ..config import BackendAI
from ..errors import FactorUnavailable, InvalidParameters
from .factors import FactorAnswer, FactorQuestion, field_to_send, plain_message
from .servers import Servers

log = logging.getLogger(__name__)

PORT = 1812
TRIES = 2
MAX_PASSWORD, MAX_ATTRIBUTE = 128, 253
_AUTHENTICATE_ONLY = (8).to_bytes(4, "big")
# attributes by number: the names would need a dictionary file
_USER_NAME, _USER_PASSWORD, _SERVICE_TYPE, _REPLY_MESSAGE, _STATE = 1, 2, 6, 18, 24
_CALLING_STATION, _NAS_IDENTIFIER = 31, 32


@dataclass(frozen=True, slots=True)
class _Server:
    """One server of the list."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Radius:
    """Servers that know the same people, asked in order."""

    joins_password = False

    def __init__(self, settings: BackendAI, secret: str) -> None:
        self._settings, self._secret = settings, secret.encode()
        self._servers = Servers([_parse_server(address) for address in settings.otp_servers])
        if not settings.otp_servers:
            raise InvalidParameters("c.BackendAI.otp_servers is needed with otp_backend = 'radius'.")
        self.wants_password = settings.otp_sends != "code"
        self.asks_first = settings.otp_sends == "password"

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """One exchange; see :class:`identity.factors.SecondFactor`."""
        if not question.code and not question.state and not self.asks_first:
            return FactorAnswer("refused", "no-code")
        name = self._settings.otp_name.replace("{name}", question.name).encode()
        secret = field_to_send(question, self._settings.otp_sends).encode("utf-8", "surrogatepass")
        if len(secret) > MAX_PASSWORD or b"\0" in secret or len(name) > MAX_ATTRIBUTE:
            return FactorAnswer("refused", "wrong-password")
        asked, state = self._of_state(question.state)
        if question.state and asked is None:
            return FactorAnswer("refused", "challenge-over")
        for server in [asked] if asked else self._servers.usable():
            reply = await self._exchange(server, self._build(name, secret, question.source, state))
            self._servers.mark(server, is_good=reply is not None)
            if reply is not None:
                return self._answer(server, reply)
            log.warning("The RADIUS server %s does not answer, or does not know our secret", server)
        raise FactorUnavailable

    async def close(self) -> None:
        """Nothing stays open between two questions."""

    def _of_state(self, state: str) -> tuple[_Server | None, bytes]:
        """Whose challenge it was, and what it wants back."""
        address, _, text = state.partition(" ")
        server = self._servers.get(address)
        try:
            return server, base64.b64decode(text, validate=True) if server else b""
        except binascii.Error:
            return None, b""

    def _build(self, name: bytes, password: bytes, source: str, state: bytes) -> AuthPacket:
        request = AuthPacket(id=secrets.randbelow(256), secret=self._secret, authenticator=secrets.token_bytes(16))
        request.add_message_authenticator()
        request[_USER_NAME] = [name]
        request[_USER_PASSWORD] = [request.PwCrypt(password)]
        request[_SERVICE_TYPE] = [_AUTHENTICATE_ONLY]
        request[_NAS_IDENTIFIER] = [self._settings.otp_nas_identifier.encode()[:MAX_ATTRIBUTE]]
        if source:
            request[_CALLING_STATION] = [source.encode()[:MAX_ATTRIBUTE]]
        if state:
            request[_STATE] = [state]
        return request

    async def _exchange(self, server: _Server, request: AuthPacket) -> AuthPacket | None:
        """The server's answer to a request, sent again as it is when nothing comes; None for silence."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.otp_timeout_s):  # names are looked up here
                transport, waiting = await loop.create_datagram_endpoint(lambda: _Waiting(request), remote_addr=(server.host, server.port))
        except (OSError, UnicodeError):
            return None
        try:
            for _ in range(TRIES):
                transport.sendto(request.RequestPacket())
                done, _ = await asyncio.wait([waiting.reply], timeout=self._settings.otp_timeout_s / TRIES)
                if done:
                    return waiting.reply.result()
            return None
        finally:
            transport.close()

    def _answer(self, server: _Server, reply: AuthPacket) -> FactorAnswer:
        if reply.code == packet.AccessAccept:
            return FactorAnswer("ok")
        if reply.code == packet.AccessChallenge:
            text = b"".join(reply.get(_REPLY_MESSAGE, [])).decode("utf-8", "replace")
            state = base64.b64encode(b"".join(reply.get(_STATE, []))).decode()
            return FactorAnswer("challenge", "challenge", plain_message(text), f"{server} {state}")
        return FactorAnswer("refused", "wrong-code")


class _Waiting(asyncio.DatagramProtocol):
    """Waits for the one answer that belongs to a request; whatever else arrives is somebody else's."""

    def __init__(self, request: AuthPacket) -> None:
        self._request = request
        self.reply: asyncio.Future[AuthPacket | None] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - asyncio's signature
        try:
            reply = AuthPacket(packet=data, secret=self._request.secret)
            is_good = self._request.VerifyReply(reply, data, enforce_ma=True)
        except (PacketError, ValueError, IndexError):
            return
        known = {packet.AccessAccept, packet.AccessReject, packet.AccessChallenge}
        if is_good and reply.code in known and not self.reply.done():
            self.reply.set_result(reply)

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - asyncio's signature
        # Nobody listens there. The next try may find somebody, but not within the time that a login has.
        if not self.reply.done():
            self.reply.set_result(None)


def _parse_server(address: str) -> _Server:
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.path or parts.query or "@" in address:
        raise InvalidParameters("c.BackendAI.otp_servers: %(address)s is no host:port.", address=address)
    return _Server(host, port or PORT)
