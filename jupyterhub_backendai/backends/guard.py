"""Connections to addresses that somebody named: judged by the address that is connected to, at the moment of connecting.

A name is not judged when it is looked up, because whoever owns it can answer otherwise a moment later; and not as it is written,
because ``2130706433``, ``127.1`` and ``①②⑦.0.0.1`` are this machine too.
"""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address

import aiohttp
from yarl import URL

from ..core.addresses import AddressRules, is_own_machine, parse_address
from ..errors import N_, AddressRefused

CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S = 5.0, 60.0
MAX_URL = 2048
CONNECTIONS = 8


def open_session(rules: AddressRules, *, is_here: bool = False) -> aiohttp.ClientSession:
    """A client that connects only where the rules permit, keeps no cookies, and takes nothing from the environment.

    ``is_here``: an administrator named this machine, so that it may be connected to. For what is refused, :func:`is_refusal` is true of
    the ClientConnectorError. Redirects are the caller's, each to be checked anew (:func:`check_url`): give ``allow_redirects=False``.
    """

    def open_socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        family, kind, protocol, _, where = info
        host = str(where[0])
        if not rules.permits(ip_address(host.partition("%")[0]), is_own_machine_named=is_here):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))  # whatever else is raised here is lost on the way
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(socket_factory=open_socket, limit_per_host=CONNECTIONS, use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def is_refusal(error: Exception) -> bool:
    """Whether a connection failed because the rules do not permit it."""
    return isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno == errno.EACCES


def check_url(text: str, rules: AddressRules, *, is_here: bool = False) -> URL:
    """The address as it will be asked for. Raises AddressRefused for one that is none of ours to fetch.

    https everywhere; without TLS only this machine, and that only where an administrator named it (``is_here``), whatever a server
    elsewhere says. The name is judged again when it is connected to.
    """
    try:
        url = URL(text)
        host, _ = url.host or "", url.port
    except ValueError as exc:
        raise AddressRefused(host=text[:64]) from exc
    may_be_here = is_here and is_own_machine(host)
    schemes = ("https", "http") if may_be_here else ("https",)
    is_odd = len(text) > MAX_URL or any(ord(char) <= 32 or ord(char) == 127 or char == "\\" for char in text)
    if is_odd or url.scheme not in schemes or not host or url.user is not None or url.password is not None or url.fragment:
        raise AddressRefused(N_("This address is not one that we fetch from: %(host)s"), host=host or text[:64])
    address = parse_address(host)
    if address is not None and not rules.permits(address, is_own_machine_named=may_be_here):
        raise AddressRefused(host=host)
    return url


async def read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """An answer's body, whatever length it announces. Raises ValueError when there is more than ``most`` bytes of it."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(65536):
        size += len(part)
        if size > most:
            raise ValueError("too long")
        parts.append(part)
    return b"".join(parts)
