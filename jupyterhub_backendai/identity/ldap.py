"""Passwords checked by an LDAP directory.

A service account finds the person and the groups, then the person's own bind on a connection of its own says whether the password
is right. Everything blocks, so it runs in threads of its own; every step has a time-out; a server that failed is left alone for a
few seconds, so that a silent one costs its time-out once and not at each login.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPPasswordIsMandatoryError
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from ..config import BackendAI
from ..core.identity import LocalAccount, PasswordChange, PasswordCheck, Person, PosixAccount, Standing
from ..core.names import fold_name, is_name
from ..errors import DirectoryUnavailable, InvalidParameters
from .base import LOWEST_UID, system_account

log = logging.getLogger(__name__)

THREADS = 8
COOL_DOWN_S = 5.0
MAX_PASSWORD = 1024
MAX_GROUPS = 1000
PPOLICY_CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"
_SUCCESS, _INVALID_CREDENTIALS, _NO_SUCH_OBJECT, _INAPPROPRIATE = 0, 49, 32, 48
# Results of a person's bind that are the server's trouble, not an answer: operations or protocol error, confidentiality required,
# busy, unavailable, other.
_SERVER_TROUBLE = {1, 2, 8, 13, 51, 52, 80}
_PPOLICY_ERRORS = {0: "expired", 1: "locked", 2: "must-change"}
_ATTRIBUTES = (
    "cn",
    "displayName",
    "mail",
    "uidNumber",
    "gidNumber",
    "homeDirectory",
    "uid",
    "loginShell",
    "shadowExpire",
    "nsAccountLock",
    "pwdReset",
)


class _CheckedTls(ldap3.Tls):  # type: ignore[misc] # ldap3 has no types
    """TLS whose certificate and name OpenSSL itself checks. ldap3's own default accepts any certificate."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=context.verify_mode)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002 - ldap3's signature
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)


@dataclass(slots=True)
class _Server:
    """One server of the list and until when it is left alone."""

    host: str
    port: int
    use_ssl: bool
    bad_until: float = 0.0

    def __str__(self) -> str:
        return f"{'ldaps' if self.use_ssl else 'ldap'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Found:
    """A person's entry and groups."""

    dn: str
    name: str
    attributes: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]


class LdapDirectory:
    """A directory of one or more servers with the same content, asked in order."""

    def __init__(self, settings: BackendAI) -> None:
        self._settings = settings
        self._servers = [_parse_server(address) for address in settings.ldap_servers]
        if not self._servers or not settings.ldap_user_base:
            raise InvalidParameters("c.BackendAI.ldap_servers and c.BackendAI.ldap_user_base are needed with directory = 'ldap'.")
        if settings.ldap_tls not in {"starttls", "none"}:
            raise InvalidParameters("c.BackendAI.ldap_tls: %(value)s is neither `starttls` nor `none`.", value=settings.ldap_tls)
        self._password = Path(settings.ldap_bind_password_file).read_text().strip() if settings.ldap_bind_password_file else ""
        self._tls = _CheckedTls(_make_context(settings))
        self._connect_s = math.ceil(settings.ldap_connect_timeout_s)
        self._receive_s = math.ceil(settings.ldap_receive_timeout_s)  # ldap3 packs it into a C long
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ldap")
        self._kept = threading.local()

    async def check(self, name: str, password: str, account: LocalAccount | None = None) -> PasswordCheck:  # noqa: ARG002 - the protocol
        """Whether the password is this person's; see :class:`identity.base.Directory`."""
        try:
            secret = password.encode()
        except UnicodeEncodeError:
            return PasswordCheck(None, "wrong-password")
        answer: PasswordCheck = await self._in_thread(self._check, name, secret)
        return answer

    async def change_password(self, name: str, old: str, new: str, account: LocalAccount | None = None) -> PasswordChange:
        """Change somebody's own password; see :class:`identity.base.Directory`."""
        raise NotImplementedError

    async def find(self, name: str, account: LocalAccount | None = None) -> Standing:  # noqa: ARG002 - the protocol
        """Who this is now; see :class:`identity.base.Directory`."""
        found: Standing = await self._in_thread(self._find, name)
        return found

    async def close(self) -> None:
        """End the threads; their connections go with them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        limit = len(self._servers) * (self._connect_s + 3 * self._receive_s)
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, function, *args), limit)
        except TimeoutError as exc:
            # Either a server that sends a byte now and then, or every thread waits for one that is silent.
            raise DirectoryUnavailable from exc

    # -- in a thread

    def _check(self, name: str, password: bytes) -> PasswordCheck:
        if not password or len(password) > MAX_PASSWORD:
            return PasswordCheck(None, "empty-password" if not password else "wrong-password")
        for server in self._usable():
            try:
                return self._check_at(server, name, password)
            except Exception as exc:
                # Everything, because ldap3 raises IndexError and others on an answer that is not LDAP.
                server.bad_until = time.monotonic() + COOL_DOWN_S
                is_known = isinstance(exc, LDAPException | OSError)
                log.warning("The directory %s cannot be used: %s: %s", server, type(exc).__name__, exc, exc_info=None if is_known else exc)
        raise DirectoryUnavailable

    def _find(self, name: str) -> Standing:
        for server in self._usable():
            try:
                found, reason = self._look_up(server, name)
            except Exception as exc:
                server.bad_until = time.monotonic() + COOL_DOWN_S
                log.warning("The directory %s cannot be used: %s: %s", server, type(exc).__name__, exc, exc_info=exc)
                continue
            if found is None:
                return Standing(None, "removed", detail=reason)
            return Standing(self._person(found), "closed" if _is_closed(found.attributes) else "", found.dn)
        raise DirectoryUnavailable

    def _usable(self) -> Iterator[_Server]:
        for server in self._servers:
            if server.bad_until <= time.monotonic():
                yield server

    def _check_at(self, server: _Server, name: str, password: bytes) -> PasswordCheck:
        found, reason = self._look_up(server, name)
        # An unknown person's bind is made all the same, as somebody who cannot exist.
        base = self._settings.ldap_user_base
        dn = found.dn if found else f"{self._settings.ldap_name_attribute}={escape_rdn(secrets.token_hex(8))},{base}"
        refusal = self._bind_as(server, dn, password)
        if found is None:
            return PasswordCheck(None, reason)
        if refusal and refusal != "must-change":
            return PasswordCheck(None, refusal)
        if _is_closed(found.attributes):
            return PasswordCheck(None, "closed")
        if _first(found.attributes, "pwdReset").upper() == "TRUE":
            refusal = "must-change"
        return PasswordCheck(self._person(found), refusal)

    def _look_up(self, server: _Server, name: str) -> tuple[_Found | None, str]:
        """The one entry of a name, or why there is none. The groups are asked for either way, so that both take as long."""
        settings = self._settings
        attribute = settings.ldap_name_attribute
        asked = name if is_name(name) else secrets.token_hex(8)
        user_filter = settings.ldap_user_filter.replace("{name}", escape_filter_chars(asked))
        wanted = list(dict.fromkeys([attribute, *_ATTRIBUTES]))
        entries = self._search(server, settings.ldap_user_base, user_filter, wanted, limit=2)
        reason = "" if len(entries) == 1 else ("ambiguous" if entries else "unknown")
        dn, attributes = entries[0] if len(entries) == 1 else (f"{attribute}={escape_rdn(asked)},{settings.ldap_user_base}", {})
        # Some directories answer to spellings that are not the name (a mail address, an alias): those would be a second account.
        spelling = next((value for value in attributes.get(attribute, ()) if fold_name(value) == name), "")
        groups = self._list_groups(server, dn, spelling or asked, attributes)
        if reason or not spelling:
            return None, reason or "other-spelling"
        return _Found(dn, spelling, attributes, groups), ""

    def _list_groups(self, server: _Server, dn: str, name: str, attributes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        settings = self._settings
        if not settings.ldap_group_base:
            return ()
        values = {"{dn}": dn, "{name}": name, "{gid}": _first(attributes, "gidNumber") or "-"}
        group_filter = settings.ldap_group_filter
        for place, value in values.items():
            group_filter = group_filter.replace(place, escape_filter_chars(value))
        entries = self._search(server, settings.ldap_group_base, group_filter, ["cn"], limit=MAX_GROUPS)
        return tuple(dict.fromkeys(name for group_dn, found in entries for name in (*found.get("cn", ()), group_dn)))

    def _person(self, found: _Found) -> Person:
        attributes = found.attributes
        hub_name = fold_name(found.name)
        posix = _posix(attributes, found.name) or (system_account(hub_name) if self._settings.local_posix else None)
        return Person(
            name=hub_name,
            display_name=_first(attributes, "displayName") or _first(attributes, "cn") or found.name,
            email=_first(attributes, "mail"),
            groups=found.groups,
            posix=posix,
            attributes=attributes,
        )

    # -- connections

    def _search(
        self, server: _Server, base: str, search_filter: str, attributes: list[str], *, limit: int
    ) -> list[tuple[str, dict[str, tuple[str, ...]]]]:
        """Entries as the service account sees them, on this thread's kept connection; opened again once if it went away."""
        for attempt in range(2):
            connection, is_fresh = self._service_connection(server)
            try:
                ok, result, response, _ = connection.search(
                    base, search_filter, attributes=attributes, size_limit=limit, time_limit=self._receive_s
                )
                break
            except Exception:
                self._drop(server)
                if is_fresh or attempt:
                    raise
        if not ok and result["result"] not in {_SUCCESS, _NO_SUCH_OBJECT, 4}:  # 4: more than the limit, which is an answer here
            self._drop(server)
            raise LDAPException(f"search: {result['description']} {result['message']}")
        entries = [item for item in response or () if item.get("type") == "searchResEntry"]
        return [(item["dn"], _decode(item["raw_attributes"], attributes)) for item in entries]

    def _service_connection(self, server: _Server) -> tuple[Any, bool]:
        kept: dict[int, Any] = self._kept.__dict__.setdefault("connections", {})
        connection = kept.get(id(server))
        if connection is not None and not connection.closed:
            return connection, False
        connection = self._open(server, self._settings.ldap_bind_dn or None, self._password.encode() or None)
        try:
            ok, result, *_ = connection.bind(read_server_info=False)
            if not ok:
                raise LDAPException(f"service account: {result['description']} {result['message']}")
        except Exception:
            _close(connection)
            raise
        kept[id(server)] = connection
        return connection, True

    def _drop(self, server: _Server) -> None:
        connection = self._kept.__dict__.get("connections", {}).pop(id(server), None)
        if connection is not None:
            _close(connection)

    def _bind_as(self, server: _Server, dn: str, password: bytes) -> str:
        """Bind as a person on a connection of its own: "" or why not. As bytes, the password is sent as it is."""
        connection = self._open(server, dn, password)
        try:
            ok, result, *_ = connection.bind(read_server_info=False, controls=[(PPOLICY_CONTROL, False, None)])
        except LDAPPasswordIsMandatoryError:
            return "empty-password"
        finally:
            _close(connection)
        if not ok and result["result"] in _SERVER_TROUBLE:
            raise LDAPException(f"bind: {result['description']} {result['message']}")
        reason = _read_ppolicy(result)
        if ok:
            return reason
        if result["result"] in {_INVALID_CREDENTIALS, _INAPPROPRIATE, _NO_SUCH_OBJECT}:
            return reason or "wrong-password"
        return reason or f"refused-{result['result']}"

    def _open(self, server: _Server, dn: str | None, password: bytes | None) -> Any:
        target = ldap3.Server(
            server.host, port=server.port, use_ssl=server.use_ssl, tls=self._tls, get_info=ldap3.NONE, connect_timeout=self._connect_s
        )
        connection = ldap3.Connection(
            target,
            user=dn,
            password=password,
            client_strategy=ldap3.SAFE_SYNC,
            receive_timeout=self._receive_s,
            auto_referrals=False,
            raise_exceptions=False,
        )
        try:
            connection.open(read_server_info=False)
            if not server.use_ssl and self._settings.ldap_tls == "starttls":
                connection.start_tls(read_server_info=False)
        except Exception:
            _close(connection)
            raise
        return connection


def _close(connection: Any) -> None:
    """Close the socket without a farewell that could block."""
    if connection.socket is not None:
        connection.strategy.close()


def _parse_server(address: str) -> _Server:
    parts = urlsplit(address)
    if parts.scheme not in {"ldap", "ldaps"} or not parts.hostname:
        raise InvalidParameters("c.BackendAI.ldap_servers: %(address)s is not ldap://host:port or ldaps://host:port.", address=address)
    use_ssl = parts.scheme == "ldaps"
    return _Server(parts.hostname, parts.port or (636 if use_ssl else 389), use_ssl)


def _make_context(settings: BackendAI) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ldap_ca_file or None)
    if not settings.ldap_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _decode(raw: Mapping[str, list[bytes]], wanted: list[str]) -> dict[str, tuple[str, ...]]:
    """Attribute values as text, under the names that we asked for; values that are not text are left out."""
    canonical = {name.lower(): name for name in wanted}
    attributes = {}
    for name, values in raw.items():
        texts = []
        for value in values:
            try:
                texts.append(value.decode())
            except UnicodeDecodeError:
                continue
        attributes[canonical.get(name.lower(), name)] = tuple(texts)
    return attributes


def _first(attributes: Mapping[str, tuple[str, ...]], name: str) -> str:
    return next(iter(attributes.get(name, ())), "")


def _posix(attributes: Mapping[str, tuple[str, ...]], name: str) -> PosixAccount | None:
    try:
        uid, gid = int(_first(attributes, "uidNumber")), int(_first(attributes, "gidNumber"))
    except ValueError:
        return None
    names = attributes.get("uid", ())
    posix_name = name if name in names else _first(attributes, "uid")
    if not posix_name or uid < LOWEST_UID:
        return None
    return PosixAccount(posix_name, uid, gid, _first(attributes, "homeDirectory") or "/")


def _is_closed(attributes: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether an entry is closed although its password works: expired the Unix way, no log-in shell, or 389's lock."""
    if _first(attributes, "loginShell").rsplit("/", 1)[-1] in {"nologin", "false"}:
        return True
    if any(value.lower() == "true" for value in attributes.get("nsAccountLock", ())):
        return True
    today = (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    return any(0 < int(value) <= today for value in attributes.get("shadowExpire", ()) if value.isdecimal())


def _read_ppolicy(result: Mapping[str, Any]) -> str:
    """What the password policy's answer says against a login, "" for nothing.

    The value is SEQUENCE { [0] { [0] seconds until expiry | [1] grace logins left } OPTIONAL, [1] error OPTIONAL }.
    """
    control = (result.get("controls") or {}).get(PPOLICY_CONTROL)
    value = control.get("value") if control else None
    if not isinstance(value, bytes) or len(value) < 2 or value[0] != 0x30:
        return ""
    reason = ""
    rest = value[2:]
    while len(rest) >= 2:
        tag, length = rest[0], rest[1]
        content, rest = rest[2 : 2 + length], rest[2 + length :]
        if tag == 0xA0 and content[:1] == b"\x81":
            reason = reason or "expired"  # a grace login: the password is too old already
        if tag == 0x81:
            reason = _PPOLICY_ERRORS.get(int.from_bytes(content, "big"), "policy")
    return reason
