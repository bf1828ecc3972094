"""The way in for an administrator while the service does not answer: a name and a hash in a file, off by default."""

from __future__ import annotations

import asyncio
import hmac
import logging
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..core.names import fold_name
from ..core.throttle import source_net
from ..identity.local import verify

log = logging.getLogger(__name__)
EVERY_S = 3.0
MOST_NETWORKS = 10_000
_thread = ThreadPoolExecutor(1, thread_name_prefix="emergency")
_next_at: dict[str, float] = {}  # by network; the hub is one process


async def check(path: str, username: str, password: str, source: str) -> bool:
    """Whether this is the administrator of the file. One attempt every few seconds from each network: strangers keep nobody out."""
    name, password_hash = await asyncio.get_running_loop().run_in_executor(_thread, _read, path)
    if not name or not password or not hmac.compare_digest(name.encode(), fold_name(username).encode("utf-8", "replace")):
        return False
    if not _may_try(source_net(source), time.monotonic()):
        return False
    return await asyncio.get_running_loop().run_in_executor(_thread, verify, password_hash, password)


def _may_try(network: str, at: float) -> bool:
    for past in [key for key, until in _next_at.items() if until <= at]:
        del _next_at[past]
    if network in _next_at or len(_next_at) >= MOST_NETWORKS:
        return False
    _next_at[network] = at + EVERY_S
    return True


def _read(path: str) -> tuple[str, str]:
    file = Path(path)
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            log.error("%s can be read by others; chmod 600 it", path)
            return "", ""
        name, _, password_hash = file.read_text().strip().partition(":")
    except OSError as exc:
        log.error("%s cannot be read: %s", path, exc.strerror)  # noqa: TRY400 - the reason says it all
        return "", ""
    return fold_name(name), password_hash
