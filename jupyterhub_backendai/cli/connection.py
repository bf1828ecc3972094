"""The service, as the command line reaches it.

On the machine itself: the private socket, with the secret of the secrets file; the audit log has the Unix account. From anywhere
else: ``BACKENDAI_URL``, and a token of the hub in ``BACKENDAI_TOKEN`` or in the file ``BACKENDAI_TOKEN_FILE`` names.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from yarl import URL

from ..config import load_settings
from ..errors import BackendAIError, InvalidParameters, ServiceUnavailable, Unauthenticated, from_problem

SERVICE_PATH = "/services/backendai/"
TIMEOUT_S = 120.0  # an import of thousands of people is one request
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said: JSON (or text, when it is none) and the headers."""

    data: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where calls go, and what proves who makes them."""

    base: str
    headers: Mapping[str, str] = field(repr=False)
    socket: str = ""

    def call(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """One call; ``path`` is beneath ``rest/v1/``. ``body``: text goes as it is, anything else as JSON.

        Raises the error that the service answered with, ServiceUnavailable when it does not answer.
        """
        return asyncio.run(self._call(method, path, body, query or {}, headers))

    async def _call(self, method: str, path: str, body: Any, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        # Encoded already: what is read from the address must come out of it as it went in.
        url = URL(self.base + path + (f"?{urlencode(query)}" if query else ""), encoded=True)
        connector = aiohttp.UnixConnector(self.socket) if self.socket else None
        sent = {"data": body.encode()} if isinstance(body, str) else {"json": body}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=10)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=not self.socket) as http,
                http.request(method, url, headers={**self.headers, **names}, allow_redirects=False, **sent) as response,
            ):
                return _read(response.status, await response.text(), response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as exc:
            where = self.socket or url.host
            raise ServiceUnavailable(
                "The service does not answer at %(where)s: %(reason)s", where=where, reason=exc or "timed out"
            ) from exc


def _read(status: int, text: str, headers: Mapping[str, str]) -> Answer:
    data: Any = text
    if "json" in headers.get("Content-Type", ""):
        try:
            data = json.loads(text)
        except ValueError as exc:
            raise ServiceUnavailable("The service answered something that is not JSON.") from exc
    if status < 300 or status == 304:
        return Answer(data, headers)
    if not isinstance(data, dict) or "error_code" not in data:
        raise ServiceUnavailable("Whatever answered is not the service: status %(status)s. Is the address right?", status=status)
    if "title" not in data:
        raise from_problem(data)
    # problem+json is translated already
    violations = [{"message": item["message"], "field": item["field"], "rule": item["rule"]} for item in data["violations"]]
    raise from_problem({"error_code": data["error_code"], "message": data["title"], "violations": violations})


def connect(config: str, environ: Mapping[str, str] | None = None) -> Connection:
    """The connection that the environment or the configuration file names. Raises InvalidParameters, Unauthenticated."""
    environ = os.environ if environ is None else environ
    if environ.get("BACKENDAI_URL"):
        return _connect_public(environ["BACKENDAI_URL"], _read_token(environ), environ.get("LC_ALL") or environ.get("LANG") or "")
    settings = load_settings(config)
    headers = {"Authorization": f"Bearer {settings.read_secret('private')}", "X-BackendAI-Operator": find_operator()}
    if settings.private_url.startswith("unix://"):
        return Connection("http://service/private/rest/v1/", headers, settings.private_url.removeprefix("unix://"))
    return Connection(f"{settings.private_url.rstrip('/')}/private/rest/v1/", headers)


def find_operator() -> str:
    """The Unix account; its number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _connect_public(url: str, token: str, locale: str) -> Connection:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidParameters("BACKENDAI_URL must be an address such as https://hub.example.org/")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        print("jupyterhub-backendai: BACKENDAI_URL is not https: the token goes over the network in clear.", file=sys.stderr)
    path = parts.path.rstrip("/")
    if "/services/" not in path:
        path += SERVICE_PATH.rstrip("/")
    headers = {"Authorization": f"token {token}", "Accept-Language": "ko" if locale.startswith("ko") else "en"}
    return Connection(f"{parts.scheme}://{parts.netloc}{path}/rest/v1/", headers)


def _read_token(environ: Mapping[str, str]) -> str:
    token = environ.get("BACKENDAI_TOKEN", "")
    if not token and environ.get("BACKENDAI_TOKEN_FILE"):
        try:
            token = Path(environ["BACKENDAI_TOKEN_FILE"]).read_text().strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise InvalidParameters("The file of BACKENDAI_TOKEN_FILE cannot be read: %(reason)s", reason=exc) from exc
    if not token:
        raise Unauthenticated("BACKENDAI_URL is set, but neither BACKENDAI_TOKEN nor BACKENDAI_TOKEN_FILE.")
    if not token.isascii() or not token.isprintable():
        raise Unauthenticated("BACKENDAI_TOKEN is no token.")
    return token


def record_path(noun: str, key: str = "") -> str:
    """Where REST has a noun, or one record of it."""
    return f"admin/{noun}" + (f"/{quote(key, safe='')}" if key else "")


def list_complaints(error: BackendAIError) -> list[str]:
    """An error for the terminal: a line for each violation, under its field's name."""
    lines = [f"{item.field}: {item}" if item.field else str(item) for item in error.violations]
    if error.violations and error.message == error.violations[0].message:
        return lines
    return [str(error), *(f"  {line}" for line in lines)]
