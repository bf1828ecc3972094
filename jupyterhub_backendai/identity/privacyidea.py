"""Codes checked by privacyIDEA, over its HTTP interface (``/validate/check``)."""

from __future__ import annotations

import ipaddress
import json
import logging
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ..config import BackendAI
from ..errors import FactorUnavailable, InvalidParameters
from .factors import FactorAnswer, FactorQuestion, field_to_send, plain_message
from .servers import Servers

log = logging.getLogger(__name__)

MAX_ANSWER = 256 * 1024
_UNKNOWN_USER = 904
_NOTHING_ASSIGNED = "The user has no tokens assigned"  # not translated, for we ask in no language


class _NoAnswer(Exception):
    """This server cannot say; the next one may."""


class PrivacyIdea:
    """One installation, of which several servers may share the database; asked in order."""

    joins_password = False

    def __init__(self, settings: BackendAI, api_key: str = "") -> None:
        self._settings, self._api_key = settings, api_key
        self._servers = Servers([_check_address(address) for address in settings.otp_servers])
        if not settings.otp_servers:
            raise InvalidParameters("c.BackendAI.otp_servers is needed with otp_backend = 'privacyidea'.")
        self.wants_password = settings.otp_sends != "code"
        self.asks_first = settings.otp_sends == "password"
        try:
            self._tls = ssl.create_default_context(cafile=settings.otp_ca_file or None)
        except (OSError, ssl.SSLError) as exc:
            raise InvalidParameters("c.BackendAI.otp_ca_file: %(path)s cannot be read.", path=settings.otp_ca_file) from exc
        self._http: aiohttp.ClientSession | None = None

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """One question; see :class:`identity.factors.SecondFactor`."""
        if not question.code and not question.state and not self.asks_first:
            return FactorAnswer("refused", "no-code")
        try:
            fields = self._fields(question)
        except UnicodeEncodeError:
            return FactorAnswer("refused", "wrong-password")
        for server in self._servers.usable():
            try:
                status, answer = await self._ask(server, fields)
            except _NoAnswer as exc:
                self._servers.mark(server, is_good=False)
                log.warning("The privacyIDEA server %s cannot be used: %s", server, exc)
                continue
            self._servers.mark(server, is_good=True)
            return _read_answer(status, answer)
        raise FactorUnavailable

    async def close(self) -> None:
        """End the connections."""
        if self._http is not None:
            await self._http.close()

    def _fields(self, question: FactorQuestion) -> dict[str, str]:
        typed = field_to_send(question, self._settings.otp_sends)
        typed.encode()  # half a character pair cannot be sent
        fields = {"user": self._settings.otp_name.replace("{name}", question.name), "pass": typed}
        if self._settings.otp_realm:
            fields["realm"] = self._settings.otp_realm
        if question.state:
            fields["transaction_id"] = question.state
        if question.source:
            fields["client"] = question.source  # believed from the hosts that its setting OverrideAuthorizationClient names
        return fields

    async def _ask(self, server: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._settings.otp_timeout_s)
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._tls, limit=20), timeout=timeout, trust_env=False)
        headers = {"User-Agent": "jupyterhub-backendai"} | ({"Authorization": self._api_key} if self._api_key else {})
        try:
            # A redirect would carry the password to wherever it leads.
            async with self._http.post(f"{server}/validate/check", data=fields, headers=headers, allow_redirects=False) as response:
                answer = json.loads(await _read_body(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _NoAnswer(f"{type(exc).__name__} {exc}") from exc
        except (ValueError, RecursionError) as exc:
            raise _NoAnswer(f"HTTP status {response.status} without JSON") from exc
        if response.status >= 500 or not isinstance(answer, dict) or not isinstance(answer.get("result"), dict):
            raise _NoAnswer(f"HTTP status {response.status}")
        return response.status, answer


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while piece := await response.content.read(MAX_ANSWER):
        body += piece
        if len(body) > MAX_ANSWER:
            raise _NoAnswer("an answer without end")
    return body


def _read_answer(status: int, answer: dict[str, Any]) -> FactorAnswer:
    """What an answer means; whatever is not clearly an acceptance is none."""
    result, detail = answer["result"], answer.get("detail")
    detail = detail if isinstance(detail, dict) else {}
    error = result.get("error")
    if status != 200 or result.get("status") is not True or error:
        error = error if isinstance(error, dict) else {}
        # Said as a wrong code is, because an unknown name is answered so too; our own faults (no API key) are in the log.
        if error.get("code") != _UNKNOWN_USER:
            log.warning("privacyIDEA refuses to say: HTTP status %s, %s", status, plain_message(str(error.get("message"))))
        return FactorAnswer("refused", "unknown" if error.get("code") == _UNKNOWN_USER else "server-refused")
    if result.get("value") is True:
        return FactorAnswer("ok")
    # Older servers do not say in a word which kind of answer this is.
    if result.get("authentication", "CHALLENGE") == "CHALLENGE" and detail.get("transaction_id"):
        return FactorAnswer("challenge", "challenge", plain_message(str(detail.get("message") or "")), str(detail["transaction_id"]))
    if detail.get("message") == _NOTHING_ASSIGNED:
        return FactorAnswer("enrol", "no-token")
    return FactorAnswer("refused", "wrong-code")


def _check_address(address: str) -> str:
    """An address without the slash at its end. In clear only on this machine: the password may be in it."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"https", "http"} or parts.query or parts.fragment or parts.username:
        raise InvalidParameters("c.BackendAI.otp_servers: %(address)s is no address of a privacyIDEA server.", address=address)
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidParameters("c.BackendAI.otp_servers: %(address)s would be asked in clear; use https.", address=address)
    return address.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
