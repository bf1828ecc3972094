"""The lab's directory, and servers that are none."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_backendai import identity
from jupyterhub_backendai.config import BackendAI
from tests import lab
from tests.slapd import BASE, Slapd


@pytest.fixture
def make_directory(tmp_path: Path) -> Callable[..., identity.Directory]:
    """A function that makes a directory of the lab's settings, with changes."""
    quick = {"ldap_group_base": "dc=cm,dc=cluster", "ldap_connect_timeout_s": 2.0, "ldap_receive_timeout_s": 2.0}

    def make(**changes: Any) -> identity.Directory:
        return identity.connect(BackendAI(**lab.ldap_settings(tmp_path, **{**quick, **changes})))

    return make


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """An OpenLDAP of the tests' own."""
    server = Slapd(tmp_path_factory.mktemp("slapd") / "ldap")
    server.make()
    try:
        server.start()
        server.fill_groups()
        yield server
    finally:
        server.stop()


@pytest.fixture
def make_own(make_directory: Callable[..., identity.Directory], slapd: Slapd, tmp_path: Path) -> Callable[..., identity.Directory]:
    """The same for it; ``replaces=True`` names the account that may replace passwords that have expired."""

    def make(*, replaces: bool = False, **changes: Any) -> identity.Directory:
        settings: dict[str, Any] = {"ldap_servers": [slapd.url], "ldap_ca_file": str(slapd.ca)}
        if replaces:
            file = tmp_path / "replacing-password"
            file.write_text("pwadmin-secret")
            settings |= {"ldap_password_dn": f"cn=pwadmin,ou=services,{BASE}", "ldap_password_file": str(file)}
        return make_directory(**{**settings, **changes})

    return make


class StandIn:
    """A server on a thread: hands each connection to ``serve`` and keeps all that was received."""

    def __init__(self, serve: Callable[[StandIn, socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received = b""
        self.connections = 0
        self.accepted = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self.connections += 1
            self.accepted.set()
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._serve(self, connection)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def swallow(server: StandIn, connection: socket.socket) -> None:
    """Listen to all and say nothing."""
    while data := connection.recv(4096):
        server.received += data


@pytest.fixture
def stand_in() -> Iterator[Callable[..., StandIn]]:
    made = []

    def make(serve: Callable[[StandIn, socket.socket], None] = swallow) -> StandIn:
        made.append(StandIn(serve))
        return made[-1]

    yield make
    for server in made:
        server.close()


def with_certificate(name: str) -> Callable[[StandIn, socket.socket], None]:
    """A TLS server with one of the lab's certificates, which keeps what comes after the handshake."""

    def serve(server: StandIn, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = lab.BASE / "ldap" / "tls"
        context.load_cert_chain(tls / f"{name}.pem", tls / f"{name}.key")
        swallow(server, context.wrap_socket(connection, server_side=True))

    return serve
