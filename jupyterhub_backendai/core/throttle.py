"""How long somebody who failed has to wait, without clock and without memory."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person or a source may get wrong: ``free`` failures without waiting; one more is forgiven every ``decay_s`` seconds."""

    free: int
    decay_s: float

    def count(self, failures: int, quiet_s: float) -> int:
        """The failures that count after one more, ``quiet_s`` after the last. Never more than what the longest wait needs."""
        return min(max(0, failures - int(max(0.0, quiet_s) // self.decay_s)) + 1, self.free + 6)

    def wait_s(self, failures: int) -> float:
        """Seconds until the next attempt: none for the first ones, then 1, 2, 4 … and never more than a minute."""
        return 0.0 if failures < self.free else min(LONGEST_S, 2.0 ** (failures - self.free))


# A code has three of a million chances; a person who fails on and on gets one try a minute.
PERSON = Allowance(free=3, decay_s=60.0)
# A whole class may sit behind one address.
SOURCE = Allowance(free=30, decay_s=10.0)
# Whoever sees the key needs no guessing: a handful of slips, then the ticket is void.
TICKET = Allowance(free=10, decay_s=3600.0)


def source_net(address: str) -> str:
    """The network that an address counts for: /24, or /64 in IPv6; anything else is one source of its own."""
    try:
        ip = ipaddress.ip_address(address.strip())
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 64}", strict=False))


def find_source(peer: str, forwarded: str, trusted: Iterable[str]) -> str:
    """Where a request comes from: the nearest address that is no proxy of the site.

    ``peer`` is who connected ("" for a socket of this machine), ``forwarded`` the whole ``X-Forwarded-For``: everybody may begin it,
    and each proxy adds at its end whom it heard. ``trusted`` are addresses and networks. What is no address counts as said by a
    stranger.
    """
    networks = [ipaddress.ip_network(text, strict=False) for text in trusted]
    source = peer
    for said in reversed([text.strip() for text in forwarded.split(",") if text.strip()]):
        if source and not _is_in(source, networks):
            break
        source = said
    return source


def _is_in(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks if ip.version == network.version)
