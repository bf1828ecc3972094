"""Which addresses the platform itself may connect to when somebody names one. Pure: the caller has the addresses already.

A name must be judged by the address that is connected to, at the moment of connecting: whoever owns a name can answer with one
address when it is checked and with another one a moment later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# Forms of IPv6 that carry an address of IPv4 in their last 32 bits: NAT64 (both), and the old "compatible" one.
_CARRIERS = tuple(IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
# What Python takes for public and is not: the old site-local addresses of IPv6.
_NEVER = tuple(IPv6Network(text) for text in ("fec0::/10",))


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Public addresses may be connected to, and those of ``allowed``; those of ``denied`` never (the site's own public ones)."""

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()

    def permits(self, address: Address, *, is_own_machine_named: bool = False) -> bool:
        """Whether to connect. ``is_own_machine_named``: an administrator wrote a loopback address as such, not a name that led there."""
        inner = unwrap(address)
        if _is_in(self.denied, address, inner):
            return False
        if inner.is_loopback and is_own_machine_named:
            return True
        return _is_in(self.allowed, address, inner) or is_public(address)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks such as ``10.20.0.0/16``, or single addresses. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def unwrap(address: Address) -> Address:
    """The address that a packet goes to in the end: that of IPv4 inside one of IPv6."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.is_loopback or address.is_unspecified:
        return address
    if any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large. ``is_global`` alone lets multicast and some old forms through."""
    inner = unwrap(address)
    if isinstance(inner, IPv6Address) and any(inner in network for network in _NEVER):
        return False
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def parse_address(host: str) -> Address | None:
    """The address that a host is written as, None for a name."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_own_machine(host: str) -> bool:
    """Whether somebody wrote this machine as such: ``localhost`` or a loopback address."""
    address = parse_address(host)
    return address.is_loopback if address else host == "localhost"


def _is_in(networks: Sequence[Network], *addresses: Address) -> bool:
    return any(address in network for network in networks for address in addresses if address.version == network.version)
