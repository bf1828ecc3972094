"""Connections to addresses that somebody named: judged by the address that is connected to, at the moment of connecting."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from ..core.addresses import AddressRules, is_own_machine, parse_address
from ..errors import N_, AddressRefused

CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S = 5.0, 60.0
MAX_URL = 2048


class GuardedResolver(AbstractResolver):
    """Finds a name's addresses and refuses the name when any of them may not be connected to: nobody can hide one among others."""

    def __init__(self, rules: AddressRules, *, is_here: bool = False) -> None:
        self._rules, self._is_here = rules, is_here
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for entry in found:
            address = parse_address(entry["host"])
            if address is None or not self._rules.permits(address, is_own_machine_named=self._is_here and is_own_machine(host)):
                raise AddressRefused(host=host)
        return found

    async def close(self) -> None:
        await self._inner.close()


def check_url(url: str, rules: AddressRules, *, is_here: bool = False) -> None:
    """Refuse an address that is none of ours to fetch. Raises AddressRefused.

    ``is_here``: an administrator named this machine, so that it may be connected to, without TLS too; else it may not, whatever
    a server elsewhere says. An address that is written as a number never comes to the resolver, so it is judged here.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as exc:
        raise AddressRefused(host=url[:64]) from exc
    may_be_here = is_here and is_own_machine(host)
    is_odd = len(url) > MAX_URL or any(ord(char) <= 32 or ord(char) == 127 or char == "\\" for char in url)
    if (
        is_odd
        or parts.scheme not in (("https", "http") if may_be_here else ("https",))
        or not host
        or "@" in parts.netloc
        or parts.fragment
    ):
        raise AddressRefused(N_("This address is not one that we fetch from: %(host)s"), host=host or url[:64])
    address = parse_address(host)
    if address is not None and not rules.permits(address, is_own_machine_named=may_be_here):
        raise AddressRefused(host=host)


def open_session(rules: AddressRules, *, is_here: bool = False) -> aiohttp.ClientSession:
    """A client that connects only where the rules permit, keeps no cookies, and takes nothing from the environment.

    Redirects are the caller's, each to be checked anew: give ``allow_redirects=False``.
    """
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(rules, is_here=is_here), limit_per_host=8, use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


async def read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """An answer's body, whatever length it announces. Raises ValueError when there is more than ``most`` bytes of it."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(65536):
        size += len(part)
        if size > most:
            raise ValueError("too long")
        parts.append(part)
    return b"".join(parts)
