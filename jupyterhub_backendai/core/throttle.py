"""How long somebody who failed has to wait, without clock and without memory."""

from __future__ import annotations

import ipaddress

LONGEST_S = 60.0
FORGET_AFTER_S = 900.0


def wait_s(failures: int, free: int) -> float:
    """Seconds until the next attempt: none for the first ``free`` failures, then 1, 2, 4 … and never more than a minute."""
    if failures < free:
        return 0.0
    return float(min(LONGEST_S, 2.0 ** min(failures - free, 10)))


def source_net(address: str) -> str:
    """The network that an address counts for: /24, or /64 in IPv6; anything else is one source of its own."""
    try:
        ip = ipaddress.ip_address(address.strip())
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network(f"{ip}/{24 if ip.version == 4 else 64}", strict=False))
