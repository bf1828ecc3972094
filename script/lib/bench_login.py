"""`login`: logging in with a directory of 50,000 people, ours against jupyterhub-ldapauthenticator 2.0.2, in turns.

``authenticate()`` alone runs in a loop of the benchmark's own: the peer's asks LDAP there, ours asks the service, which asks LDAP.
``POST /hub/login`` goes through the proxy to a whole hub of each side; a page in each hub says how long its loop stood still. Both
check the server's certificate, find the person by a service account and bind as the person; ours reads the groups, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

from bench_gap import Heart
from bench_login_hubs import LDAP_CA, Client, OurLogin, PeerLogin, close_ours, our_authenticator, peer_authenticator
from bench_machine import wait_until_quiet
from bench_rows import Figure, Row

PEER = "ldapauthenticator 2.0.2"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LOGINS = int(os.environ.get("BENCH_LOGINS", "30"))
SILENT_S = 7.0
PASSWORD = "bigpass"

LogIn = Callable[[str], Awaitable[bool]]


class _Round:
    """What one round of logins took: each login, all of them, and the worst gap of the loop, in seconds."""

    def __init__(self, latencies: list[float], wall_s: float, gap_s: float) -> None:
        self.per_s, self.gap_ms = len(latencies) / wall_s, 1000 * gap_s
        self.median_ms, self.p95_ms = 1000 * median(latencies), 1000 * quantiles(latencies, n=20, method="inclusive")[18]


def run() -> list[Row]:
    if not LDAP_CA.is_file():
        raise RuntimeError("the lab's directories are down (script/lab up ldap bigldap)")
    directory = Path(tempfile.mkdtemp(prefix="backendai-bench-"))
    directory.chmod(0o755)
    ours, peer = OurLogin(directory / "ours"), PeerLogin(directory / "peer")
    try:
        ours.start()
        peer.start()
        return asyncio.run(_measure(ours, peer))
    except BaseException:
        for hub, logs in (("ours", directory / "ours" / "state" / "log" / "hub.log"), ("peer", directory / "peer" / "hub.log")):
            if logs.is_file():
                print(f"[bench] {hub}:", "\n".join(logs.read_text(errors="replace").splitlines()[-15:]), sep="\n")
        raise
    finally:
        ours.stop()
        peer.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _measure(ours: OurLogin, peer: PeerLogin) -> list[Row]:
    rows = await _measure_alone(ours)
    rows += await _measure_silent(ours)
    await close_ours()
    rows += await _measure_hubs(ours, peer)
    await asyncio.to_thread(ours.restart, with_codes=True)
    return [*rows, *await _measure_codes(ours, peer)]


# -- authenticate() alone


async def _measure_alone(ours: OurLogin) -> list[Row]:
    rows = []
    for many in (1, 10):
        row = f"authenticate(), {many} at once"
        rounds = await _in_turns(our_authenticator(ours.settings()), peer_authenticator(), many)
        rows += [_row(f"{row}: logins", rounds, "per_s", "1/s", ">= 6"), *_latency_rows(row, rounds)]
        rows.append(_row(f"{row}: worst gap", rounds, "gap_ms", "ms", "<= 0.05" if many > 1 else "<= 1.0"))
    group = "cn=peveryone,ou=project,dc=big,dc=test"
    rounds = await _in_turns(our_authenticator(ours.settings()), peer_authenticator(allowed_groups=[group]), 10)
    rows.append(_row("authenticate(), 10 at once, a group of 50,000: logins", rounds, "per_s", "1/s", ">= 6"))
    rows.append(_row("authenticate(), 10 at once, a group of 50,000: worst gap", rounds, "gap_ms", "ms", "<= 0.05"))
    return rows


async def _in_turns(our: LogIn, peer: LogIn, many: int) -> tuple[list[_Round], list[_Round]]:
    ours, others = [], []
    for side in (our, peer):
        await _play(side, _names(0, many + 1), many)
    wait_until_quiet(limit_s=10)
    for number in range(ROUNDS):
        names = _names(number, LOGINS)
        ours.append(await _play(our, names, many))
        others.append(await _play(peer, names, many))
    return ours, others


async def _play(log_in: LogIn, names: list[str], many: int) -> _Round:
    """Waves of ``many`` logins at once; each took from the beginning of its wave, also where it was not looked at for long."""
    latencies: list[float] = []

    async def one(name: str, sent: float) -> None:
        if not await log_in(name):
            raise RuntimeError(f"{name} could not log in")
        latencies.append(time.perf_counter() - sent)

    heart = Heart()
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    for first in range(0, len(names), many):
        sent = time.perf_counter()
        await asyncio.gather(*(one(name, sent) for name in names[first : first + many]))
    wall_s = time.perf_counter() - started
    await asyncio.sleep(0.01)
    heart.stop()
    return _Round(latencies, wall_s, heart.worst_s)


# -- a directory that accepts connections and says nothing


async def _measure_silent(ours: OurLogin) -> list[Row]:
    gaps: dict[str, list[float]] = {"ours": [], "peer": []}
    for side, samples in gaps.items():
        for _ in range(3):
            with _silent_server() as (port, close):
                if side == "ours":  # each time anew: a server that was silent is not asked again at once
                    await asyncio.to_thread(ours.restart, server=f"ldaps://127.0.0.1:{port}")
                    wait_until_quiet(limit_s=10)
                log_in = our_authenticator(ours.settings()) if side == "ours" else peer_authenticator(port=port)
                samples.append(await _wait_for_silence(log_in, close))
    await asyncio.to_thread(ours.restart)
    figures = Figure(tuple(gaps["ours"])), Figure(tuple(gaps["peer"]))
    return [Row("login", f"authenticate(), silent for {SILENT_S:.0f} s: worst gap", *figures, PEER, "ms", "<= 0.01")]


async def _wait_for_silence(log_in: LogIn, close: Callable[[], None]) -> float:
    """The worst gap in milliseconds of a login at a server that says nothing and hangs up after a while."""
    timer = threading.Timer(SILENT_S, close)
    timer.start()
    heart = Heart()
    await asyncio.sleep(0.05)
    with suppress(Exception):
        await log_in("u00001")
    await asyncio.sleep(0.05)
    timer.cancel()
    heart.stop()
    return 1000 * heart.worst_s


@contextmanager
def _silent_server() -> Iterator[tuple[int, Callable[[], None]]]:
    """A port that accepts connections and says nothing, and how it is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    def close() -> None:
        for one in (listener, *accepted):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], close
    finally:
        close()


# -- whole hubs


async def _measure_hubs(ours: OurLogin, peer: PeerLogin) -> list[Row]:
    rows = []
    for many in (1, 10):
        rounds = await _hubs_in_turns(ours, peer, many)
        row = f"POST /hub/login, {many} at once"
        rows += [_row(f"{row}: logins", rounds, "per_s", "1/s", ">= 2"), *_latency_rows(row, rounds)]
        rows.append(_row(f"{row}: the hub's worst gap", rounds, "gap_ms", "ms", "<= 0.05" if many > 1 else "<= 1.0"))
    return rows


async def _hubs_in_turns(ours: OurLogin, peer: PeerLogin, many: int) -> tuple[list[_Round], list[_Round]]:
    found: dict[str, list[_Round]] = {"ours": [], "peer": []}
    sides = (("ours", ours), ("peer", peer))
    for _, hub in sides:  # what a first login leaves behind is not measured: both hubs know everybody
        await _play_hub(hub.url, _names(0, LOGINS), 5)
    wait_until_quiet(limit_s=10)
    for _ in range(ROUNDS):
        for side, hub in sides:
            found[side].append(await _play_hub(hub.url, _names(0, LOGINS), many))
    return found["ours"], found["peer"]


async def _play_hub(url: str, names: list[str], many: int, codes: Callable[[str], str] = lambda _: "") -> _Round:
    async with Client(url) as client:
        forms = {name: await client.open_form() for name in names}
        await client.read_gap()

        async def log_in(name: str) -> bool:
            return await client.post(forms[name], name, PASSWORD, codes(name))

        played = await _play(log_in, names, many)
        played.gap_ms = 1000 * await client.read_gap()
        return played


async def _measure_codes(ours: OurLogin, peer: PeerLogin) -> list[Row]:
    """The peer has no codes. Everybody's key is set anew before each round, so that a code of the same thirty seconds is good again."""
    names = _names(0, LOGINS)
    found: dict[str, list[_Round]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS + 1):
        codes = await asyncio.to_thread(ours.add_tokens, names)
        found["ours"].append(await _play_hub(ours.url, names, 10, codes))
        found["peer"].append(await _play_hub(peer.url, names, 10))
    rounds = found["ours"][1:], found["peer"][1:]
    row = "POST /hub/login, 10 at once, ours with one-time passwords"
    return [_row(f"{row}: logins", rounds, "per_s", "1/s", ">= 1.0"), *_latency_rows(row, rounds)]


# -- rows


def _names(start: int, count: int) -> list[str]:
    return [f"u{(start * LOGINS + number) * 37 % 50_000:05d}" for number in range(count)]


def _row(name: str, rounds: tuple[list[_Round], list[_Round]], what: str, unit: str, aim: str) -> Row:
    ours, other = (Figure(tuple(getattr(one, what) for one in side)) for side in rounds)
    return Row("login", name, ours, other, PEER, unit, aim)


def _latency_rows(name: str, rounds: tuple[list[_Round], list[_Round]]) -> list[Row]:
    return [_row(f"{name}: {word}", rounds, f"{word}_ms", "ms", "<= 1.0") for word in ("median", "p95")]
