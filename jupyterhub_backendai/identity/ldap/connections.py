"""Connections to the directory's servers: opened with time-outs, kept for the next login, left alone after a failure.

Nothing is done on a person's connection but what follows the bind at once, so it can be bound again as the next person: a bind
replaces whoever was bound before, whether it succeeds or not (RFC 4513, 4).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.protocol.rfc3062 import PasswdModifyRequestValue

from ...config import BackendAI
from ...errors import InvalidParameters
from .ppolicy import CONTROLS, SUCCESS, read_policy

log = logging.getLogger(__name__)

COOL_DOWN_S, LONGEST_COOL_DOWN_S, SHORT_COOL_DOWN_S = 5.0, 40.0, 1.0
KEPT_S = 60.0  # firewalls forget connections that say nothing
_SIZE_LIMIT = 4
_PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"  # noqa: S105 - the operation of RFC 3062
_TLS_VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class _CheckedTls(ldap3.Tls):  # type: ignore[misc] # ldap3 has no types
    """TLS whose certificate and name OpenSSL itself checks. ldap3's own default accepts any certificate."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        super().__init__(validate=context.verify_mode)
        self._context, self._name = context, name

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002 - ldap3's signature
        _send_at_once(connection.socket)
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._name or connection.server.host)


@dataclass(slots=True)
class Server:
    """One server of the list, and until when it is left alone."""

    host: str
    port: int
    use_ssl: bool
    bad_until: float = 0.0
    cool_down_s: float = 0.0

    def __str__(self) -> str:
        return f"{'ldaps' if self.use_ssl else 'ldap'}://{self.host}:{self.port}"


@dataclass(slots=True)
class Link:
    """One connection. ``is_kept``: it served an earlier login, so the server may have closed it meanwhile."""

    connection: Any
    is_kept: bool = False
    used_at: float = field(default_factory=time.monotonic)

    def bind(self, dn: str, password: bytes) -> dict[str, Any]:
        """Bind with a password; as bytes it is sent as it is. The result, whatever it is; the policy's control comes with it."""
        self.connection.user, self.connection.password, self.connection.authentication = dn, password, ldap3.SIMPLE
        _, result, *_ = self.connection.bind(read_server_info=False, controls=CONTROLS)
        return dict(result)

    def search(
        self, base: str, search_filter: str, attributes: list[str], *, limit: int, time_limit_s: int = 0, only_base: bool = False
    ) -> list[tuple[str, dict[str, list[bytes]]]]:
        """Entries with raw values; at most ``limit`` + what the server adds. Raises LDAPException for anything but an answer."""
        scope = ldap3.BASE if only_base else ldap3.SUBTREE
        ok, result, response, _ = self.connection.search(
            base, search_filter, search_scope=scope, attributes=attributes, size_limit=limit, time_limit=time_limit_s
        )
        is_nothing = only_base and result["result"] == 32
        if not ok and result["result"] not in {SUCCESS, _SIZE_LIMIT} and not is_nothing:
            raise LDAPException(f"search in {base}: {result['description']} {result['message']}")
        return [(item["dn"], item["raw_attributes"]) for item in response or () if item.get("type") == "searchResEntry"]

    def modify_password(self, dn: str, old: bytes | None, new: bytes) -> dict[str, Any]:
        """The Password Modify operation (RFC 3062) on an entry, or without a DN on who is bound: the result, with the policy's control."""
        value = PasswdModifyRequestValue()
        value["newPasswd"] = new
        if dn:
            value["userIdentity"] = dn
        if old is not None:
            value["oldPasswd"] = old
        _, result, *_ = self.connection.extended(_PASSWORD_MODIFY, value, controls=CONTROLS)
        return dict(result)

    def clear_reset(self, dn: str) -> None:
        """Take the mark away that an administrator's change of a password leaves; nothing where there is none or it is not ours to take."""
        self.connection.modify(dn, {"pwdReset": [(ldap3.MODIFY_DELETE, [])]})

    def replace_windows_password(self, dn: str, old: str, new: str) -> dict[str, Any]:
        """Active Directory's change: the old value is taken away and the new one added, both quoted and in UTF-16."""
        before, after = (f'"{text}"'.encode("utf-16-le") for text in (old, new))
        changes = {"unicodePwd": [(ldap3.MODIFY_DELETE, [before]), (ldap3.MODIFY_ADD, [after])]}
        _, result, *_ = self.connection.modify(dn, changes)
        return dict(result)

    def is_stale(self) -> bool:
        """Whether it should not be used again: too old, closed, or something unasked came (a notice that the server goes)."""
        if self.connection.closed or time.monotonic() - self.used_at > KEPT_S:
            return True
        look = select.poll()  # select() cannot look at a descriptor beyond the first 1,024, and a busy service has them
        look.register(self.connection.socket, select.POLLIN)
        return bool(look.poll(0))

    def close(self) -> None:
        """Close the socket without a farewell that could block."""
        if self.connection.socket is not None:
            self.connection.strategy.close()


class Connections:
    """The servers in their order, and the connections that are kept to them. For several threads."""

    def __init__(self, settings: BackendAI) -> None:
        self._settings = settings
        self.servers = [_parse_server(address) for address in settings.ldap_servers]
        if not self.servers or not settings.ldap_user_base:
            raise InvalidParameters("c.BackendAI.ldap_servers and c.BackendAI.ldap_user_base are needed with directory = 'ldap'.")
        if settings.ldap_tls not in {"starttls", "none"}:
            raise InvalidParameters("c.BackendAI.ldap_tls: %(value)s is neither `starttls` nor `none`.", value=settings.ldap_tls)
        self._tls = _CheckedTls(make_context(settings), settings.ldap_tls_name)
        self.connect_s = math.ceil(settings.ldap_connect_timeout_s)
        self.receive_s = math.ceil(settings.ldap_receive_timeout_s)  # ldap3 packs it into a C long
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], list[Link]] = defaultdict(list)
        self._is_closed = False
        read_secret(settings.ldap_bind_password_file, settings.ldap_bind_password_env)  # a missing one stops the start

    def usable(self) -> Iterator[Server]:
        """The servers that are not left alone, in order. One that failed is tried by one thread alone, so that it costs one time-out."""
        for server in self.servers:
            with self._lock:
                if server.bad_until > time.monotonic():
                    continue
                if server.cool_down_s:
                    server.bad_until = time.monotonic() + self.connect_s + self.receive_s
            yield server

    def note_success(self, server: Server) -> None:
        """The server answered."""
        server.bad_until = server.cool_down_s = 0.0

    def note_failure(self, server: Server, took_s: float) -> None:
        """Leave a server alone: longer each time when it was silent, a moment only when it said at once that it cannot."""
        if took_s < 1:
            server.cool_down_s = SHORT_COOL_DOWN_S
        else:
            server.cool_down_s = min(LONGEST_COOL_DOWN_S, max(COOL_DOWN_S, 2 * server.cool_down_s))
        server.bad_until = time.monotonic() + server.cool_down_s
        self.forget(server)

    def has_kept(self, server: Server) -> bool:
        """Whether there are connections to a server that it may have closed meanwhile."""
        with self._lock:
            return any(links for key, links in self._kept.items() if key[0] == str(server))

    def forget(self, server: Server) -> None:
        """Close all that is kept to a server."""
        with self._lock:
            links = [link for key in list(self._kept) if key[0] == str(server) for link in self._kept.pop(key)]
        for link in links:
            link.close()

    def close(self) -> None:
        """Close all that is kept, and keep nothing from now on."""
        self._is_closed = True
        for server in self.servers:
            self.forget(server)

    @contextlib.contextmanager
    def person(self, server: Server) -> Iterator[Link]:
        """A connection to bind as somebody."""
        with self._borrowed(server, "person") as link:
            yield link

    @contextlib.contextmanager
    def service(self, server: Server) -> Iterator[Link]:
        """A connection of the account that looks people up; anonymous where the site names none."""
        settings = self._settings
        with self._borrowed(server, "service") as link:
            if not link.connection.bound:
                secret = read_secret(settings.ldap_bind_password_file, settings.ldap_bind_password_env)
                self._bind_account(link, settings.ldap_bind_dn, secret, is_external=settings.ldap_bind_external)
            yield link

    @contextlib.contextmanager
    def password_account(self, server: Server) -> Iterator[Link]:
        """A connection of the account that may set a password that has expired. Not kept: it may do more than others."""
        link = self._open(server)
        try:
            self._bind_account(link, self._settings.ldap_password_dn, read_secret(self._settings.ldap_password_file, ""))
            yield link
        finally:
            link.close()

    @contextlib.contextmanager
    def _borrowed(self, server: Server, kind: str) -> Iterator[Link]:
        link = self._take(server, kind) or self._open(server)
        try:
            yield link
        except BaseException:
            link.close()
            raise
        link.used_at, link.is_kept = time.monotonic(), True
        with self._lock:
            if not self._is_closed:
                self._kept[str(server), kind].append(link)
                return
        link.close()

    def _take(self, server: Server, kind: str) -> Link | None:
        while True:
            with self._lock:
                links = self._kept[str(server), kind]
                link = links.pop() if links else None
            if link is None or not link.is_stale():
                return link
            link.close()

    def _open(self, server: Server) -> Link:
        target = ldap3.Server(
            server.host, port=server.port, use_ssl=server.use_ssl, tls=self._tls, get_info=ldap3.NONE, connect_timeout=self.connect_s
        )
        connection = ldap3.Connection(
            target,
            client_strategy=ldap3.SAFE_SYNC,
            receive_timeout=self.receive_s,
            auto_referrals=False,
            raise_exceptions=False,
            check_names=False,
        )
        link = Link(connection)
        try:
            connection.open(read_server_info=False)
            if not server.use_ssl and self._settings.ldap_tls == "starttls":
                connection.start_tls(read_server_info=False)
            elif not server.use_ssl:
                _send_at_once(connection.socket)
        except BaseException:
            link.close()
            raise
        return link

    def _bind_account(self, link: Link, dn: str, secret: str, *, is_external: bool = False) -> None:
        connection = link.connection
        if is_external:
            connection.authentication, connection.sasl_mechanism = ldap3.SASL, ldap3.EXTERNAL
            connection.sasl_credentials = ""  # whom the certificate names; without it a server asks back
        elif dn:
            connection.authentication, connection.user, connection.password = ldap3.SIMPLE, dn, secret.encode()
        ok, result, *_ = connection.bind(read_server_info=False, controls=CONTROLS)
        if not ok:
            raise LDAPException(f"{dn or 'the service account'}: {result['description']} {result['message']}")
        policy = read_policy(result)
        if policy.error or policy.grace_left is not None:
            log.warning("The password of %s has to be changed in the directory", dn or "the service account")


def read_secret(file: str, variable: str) -> str:
    """A password from a file (without the line's end) or from an environment variable; "" when neither is named."""
    if variable:
        try:
            return os.environ[variable]
        except KeyError as exc:
            raise InvalidParameters("The environment variable %(name)s is not set.", name=variable) from exc
    if not file:
        return ""
    try:
        return Path(file).read_text().strip("\r\n")
    except OSError as exc:
        raise InvalidParameters("The file %(path)s cannot be read: %(reason)s", path=file, reason=exc.strerror or "") from exc


def make_context(settings: BackendAI) -> ssl.SSLContext:
    """What is asked of the servers' certificates, and the certificate that we show, if any."""
    ca = settings.ldap_ca_file or None
    try:
        context = ssl.create_default_context(capath=ca) if ca and Path(ca).is_dir() else ssl.create_default_context(cafile=ca)
        context.minimum_version = _TLS_VERSIONS[settings.ldap_tls_minimum]
        if settings.ldap_ciphers:
            context.set_ciphers(settings.ldap_ciphers)
        if settings.ldap_client_cert_file:
            context.load_cert_chain(settings.ldap_client_cert_file, settings.ldap_client_key_file or None)
    except (OSError, ssl.SSLError, KeyError) as exc:
        raise InvalidParameters("The settings of TLS to the directory cannot work: %(reason)s", reason=str(exc)) from exc
    if not settings.ldap_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _parse_server(address: str) -> Server:
    wrong = InvalidParameters("c.BackendAI.ldap_servers: %(address)s is not ldap://host:port or ldaps://host:port.", address=address)
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as exc:
        raise wrong from exc
    if parts.scheme not in {"ldap", "ldaps"} or not parts.hostname:
        raise wrong
    use_ssl = parts.scheme == "ldaps"
    return Server(parts.hostname, port or (636 if use_ssl else 389), use_ssl)


def _send_at_once(connected: socket.socket) -> None:
    # A server that waits for our acknowledgement between two parts of its handshake would wait 40 ms for it.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_QUICKACK"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
