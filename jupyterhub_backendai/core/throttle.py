"""How long somebody who failed has to wait, without clock and without memory."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

LONGEST_S = 60.0
LONGEST_DELAY_S = 5.0


class Limit(Protocol):
    """What may be got wrong."""

    def count(self, failures: int, quiet_s: float) -> int:
        """The failures that count after one more, ``quiet_s`` after the last."""

    def wait_s(self, failures: int) -> float:
        """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a person or a source may get wrong: ``free`` failures without waiting; one more is forgiven every ``decay_s`` seconds."""

    free: int
    decay_s: float

    def left(self, failures: int, quiet_s: float) -> int:
        """The failures that still count, ``quiet_s`` after the last."""
        return max(0, failures - int(max(0.0, quiet_s) // self.decay_s))

    def count(self, failures: int, quiet_s: float) -> int:
        """The failures that count after one more, ``quiet_s`` after the last. Never more than what the longest wait needs."""
        return min(self.left(failures, quiet_s) + 1, self.free + 6)

    def wait_s(self, failures: int) -> float:
        """Seconds until the next attempt: none for the first ones, then 1, 2, 4 … and never more than a minute."""
        return 0.0 if failures < self.free else min(LONGEST_S, 2.0 ** (failures - self.free))

    def delay_s(self, failures: int) -> float:
        """Seconds that an attempt is slowed down by where nobody may be made to wait: a quarter, a half … and never more than five."""
        return 0.0 if failures < self.free else min(LONGEST_DELAY_S, 0.25 * 2.0 ** (failures - self.free))


@dataclass(frozen=True, slots=True)
class Budget:
    """So many wrong passwords within ``within_s`` seconds of the last, so that the directory does not lock the account."""

    most: int
    within_s: float

    def count(self, failures: int, quiet_s: float) -> int:
        """The failures that count after one more: all of the window."""
        return 1 if quiet_s >= self.within_s else failures + 1

    def wait_s(self, failures: int) -> float:
        """The whole window, once the budget is used up."""
        return self.within_s if failures >= self.most else 0.0


# A code has three of a million chances; a person who fails on and on from one network gets one try a minute.
PERSON = Allowance(free=3, decay_s=60.0)
# A whole class may sit behind one address.
SOURCE = Allowance(free=30, decay_s=10.0)
# One name, tried from networks where its owner never was; and all names together. Strangers are slowed down, nobody is locked out.
STRANGERS = Allowance(free=20, decay_s=15.0)
OVERALL = Allowance(free=300, decay_s=0.5)
# Wrong codes after the right password, from networks where its owner never was: more are refused without being looked at.
CODES = Allowance(free=10, decay_s=30.0)
# Whoever sees the key needs no guessing: a handful of slips, then the ticket is void.
TICKET = Allowance(free=10, decay_s=3600.0)


def share_budget(locks_after: int, within_s: float) -> Budget | None:
    """What may be got wrong below a directory that locks after so many failures (0: never).

    It is one half: once for the networks that the person was in before, and once for strangers, who cannot use up what the owner
    needs. The halves are equal, or the number of attempts would say whether the name is somebody's who was here before.
    """
    if locks_after <= 0:
        return None
    return Budget(max(1, (locks_after - 1) // 2), within_s)


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
