"""`files`: downloads, uploads, listings and archives, each against nginx or the command line's own tool, in turns.

Our side is the platform as it runs: the service as an ordinary account, descriptors from a worker of the person, the hub asked who
calls. Files are in the page cache. Beside the downloads somebody asks for next to nothing: what an answer costs then is a row, too,
because what never lets go looks fastest. For a quick look: BENCH_MB=64 BENCH_FILES=1000 BENCH_FILE_ROUNDS=2.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from bench_files_place import Place, make_file
from bench_files_workers import measure_workers
from bench_machine import cpu_s, wait_until_quiet
from bench_rows import Figure, Row

MB = int(os.environ.get("BENCH_MB", "1024"))
FILES = int(os.environ.get("BENCH_FILES", "10000"))
ENTRIES = int(os.environ.get("BENCH_ENTRIES", "100000"))
ROUNDS = int(os.environ.get("BENCH_FILE_ROUNDS", "5"))
MANY = 8
PING_S = 3.0


def run() -> list[Row]:
    place = Place()
    try:
        asyncio.run(place.start())
        rows: list[Row] = []
        for part in (_downloads, _others, _uploads, _listings, _archives, measure_workers):
            found = part(place)
            for row in found:
                print(f"[bench] files: {row.row}: {row.ratio:.3f} ({row.aim})", flush=True)
            rows += found
        return rows
    finally:
        place.stop()


def row(name: str, ours: list[float], other: list[float], other_is: str, unit: str, aim: str) -> Row:
    return Row("files", name, Figure(tuple(ours)), Figure(tuple(other)), other_is, unit, aim)


def in_turns(*works: Callable[[], float], rounds: int = ROUNDS) -> list[list[float]]:
    """Each in its turn, so that a busy moment of the machine costs every side the same; once before it counts."""
    for work in works:
        work()
    found: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for samples, work in zip(found, works, strict=True):
            samples.append(work())
    return found


def _downloads(place: Place) -> list[Row]:
    small = max(MB // 4, 1)
    for name, size in (("one", MB), ("many", small)):
        make_file(place.data / name, size)
        place.give(place.data / name)
        shutil.copyfile(place.data / name, place.nginx.root / name)
    rows = []
    for way, aim in (("direct", ">= 0.7"), ("proxy", ">= 0.9")):
        for clients, name, size in ((1, "one", MB), (MANY, "many", small * MANY)):
            costs: dict[str, list[float]] = {"ours": [], "nginx": []}

            def fetch(side: str) -> float:
                path = f"{place.rest}/download?path={name}" if side == "ours" else f"/peer/{name}"  # noqa: B023
                pids = [place.pid] if side == "ours" else place.nginx.pids
                before = sum(map(cpu_s, pids))
                rate = size / place.run_client("get", side, way, path, 0, clients)  # noqa: B023
                costs[side].append((sum(map(cpu_s, pids)) - before) * 1024 / size)  # noqa: B023
                return rate

            wait_until_quiet(0.3, 10)
            ours, other = in_turns(lambda: fetch("ours"), lambda: fetch("nginx"))
            rows.append(row(f"download, {clients} client{'s' * (clients > 1)}, {way}", ours, other, "nginx sendfile", "MiB/s", aim))
            if way == "direct":
                title = f"CPU of a download, {clients} client{'s' * (clients > 1)}"
                rows.append(row(title, costs["ours"][1:], costs["nginx"][1:], "nginx", "s/GiB", "<= 1.5"))
    return rows


def _others(place: Place) -> list[Row]:
    """What somebody else waits for while eight people download."""

    def ping() -> list[float]:
        command = place.client("ping", "ours", "direct", f"{place.rest}/uploads", PING_S, "-")
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
        return sorted(json.loads(done.stdout))

    idle, busy, worst = [], [], []
    for _ in range(ROUNDS):
        times = ping()
        idle.append(times[int(len(times) * 0.95)])
        load = place.client("get", "ours", "direct", f"{place.rest}/download?path=one", 0, MANY)
        until = time.monotonic() + PING_S + 2
        loading = subprocess.Popen(
            [sys.executable, "-c", _AGAIN, str(until - time.monotonic()), *load], stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(0.5)
        times = ping()
        loading.wait()
        busy.append(times[int(len(times) * 0.95)])
        worst.append(times[-1])
    return [
        row(f"p95 of a tiny request beside {MANY} downloads", busy, idle, "the same, idle", "ms", "<= 10"),
        row(f"longest tiny request beside {MANY} downloads", worst, [50.0], "limit", "ms", "<= 1"),
    ]


_AGAIN = """
import subprocess, sys, time
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    subprocess.run(sys.argv[2:], check=True)
"""


def _uploads(place: Place) -> list[Row]:
    def ours(way: str) -> float:
        rate = MB / place.run_client("tus", "ours", way, f"{place.rest}/uploads", MB)
        _remove_uploads(place)
        return rate

    def peer(way: str) -> float:
        target = place.nginx.root / "put"
        target.unlink(missing_ok=True)
        begin = time.perf_counter()
        place.run_client("put", "nginx", way, "/peer/put", MB)
        return MB / (time.perf_counter() - begin - START_S + _sync(target))

    def plain() -> float:
        target = place.directory / "dd"
        target.unlink(missing_ok=True)
        begin = time.perf_counter()
        subprocess.run(["dd", "if=/dev/zero", f"of={target}", "bs=1M", f"count={MB}", "conv=fsync", "status=none"], check=True)
        return MB / (time.perf_counter() - begin)

    START_S = _start_s(place)  # noqa: N806 - of a client, which our side's seconds are without
    rows = []
    wait_until_quiet(0.3, 10)
    through, through_peer = in_turns(lambda: ours("proxy"), lambda: peer("proxy"))
    rows.append(row("upload by TUS, proxy", through, through_peer, "nginx WebDAV + sync", "MiB/s", ">= 0.9"))
    direct, direct_peer, disk = in_turns(lambda: ours("direct"), lambda: peer("direct"), plain)
    rows.append(row("upload by TUS, direct", direct, direct_peer, "nginx WebDAV + sync", "MiB/s", ">= 0.6"))
    rows.append(row("upload by TUS, direct, and the disk", direct, disk, "dd conv=fsync", "MiB/s", ">= 0.4"))
    grown = []
    for _ in range(2):
        Path(f"/proc/{place.pid}/clear_refs").write_text("5")
        before = _memory(place.pid, "VmRSS")
        ours("direct")
        grown.append(_memory(place.pid, "VmHWM") - before)
    rows.append(row("memory of an upload, at most above before", grown, [16.0], "limit", "MiB", "<= 1"))
    return rows


def _start_s(place: Place) -> float:
    """How long a client takes to begin."""
    begin = time.perf_counter()
    spent = place.run_client("put", "nginx", "direct", "/peer/nothing", 0)
    return time.perf_counter() - begin - spent


def _sync(path: Path) -> float:
    begin = time.perf_counter()
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - begin


def _remove_uploads(place: Place) -> None:
    for path in place.data.iterdir():
        if len(path.name) == 12:  # as the client names them
            path.unlink()


def _memory(pid: int, name: str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) / 1024


def _listings(place: Place) -> list[Row]:
    for name, count in (("hundred", ENTRIES), ("ten", ENTRIES // 10)):
        directory = place.data / name
        directory.mkdir()
        made = [directory / f"{'자료' if number % 2 else 'file'}-{number:06}.txt" for number in range(count)]
        for path in made:
            path.touch()
        place.give(directory, *made)
    rows = []
    listings = (
        (f"first page of {ENTRIES}", "files?path=hundred&limit=100", ["ls", "-U", "hundred"], "ls -U", "<= 1.5"),
        (f"all of {ENTRIES // 10}, with what they are", "entries?path=ten", ["ls", "-lnU", "ten"], "ls -lnU", "<= 1.0"),
    )
    for title, path, command, other_is, aim in listings:
        ours, other = in_turns(lambda: _ask(place, f"{place.rest}/{path}"), lambda: _command(command, place.data), rounds=7)  # noqa: B023
        rows.append(row(title, ours, other, other_is, "ms", aim))
    return rows


def _ask(place: Place, path: str) -> float:
    """One answer, on a connection that is there, in ms."""
    import http.client

    host, port = place.address("ours", "direct")
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.connect()
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"token {place.token}"})
    answer = connection.getresponse()
    body = answer.read()
    spent = 1000 * (time.perf_counter() - begin)
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return spent


def _command(command: list[str], directory: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return 1000 * (time.perf_counter() - begin)


def _archives(place: Place) -> list[Row]:
    directory = place.data / "files"
    directory.mkdir()
    size, made = MB * 1024 * 1024 // FILES, [directory]
    for number in range(FILES):
        path = directory / f"{number % 100:02}" / f"자료-{number}.bin"
        if not path.parent.exists():
            path.parent.mkdir()
            made.append(path.parent)
        path.write_bytes(os.urandom(size))
        made.append(path)
    place.give(*made)
    first: list[float] = []

    def ours() -> float:
        import http.client

        host, port = place.address("ours", "direct")
        connection = http.client.HTTPConnection(host, port, timeout=120)
        begin = time.perf_counter()
        connection.request("GET", f"{place.rest}/archive?path={quote('files')}", headers={"Authorization": f"token {place.token}"})
        answer = connection.getresponse()
        expected, buffer, got = int(answer.headers["Content-Length"]), bytearray(1024 * 1024), 0
        while count := answer.readinto(buffer):
            if not got:
                first.append(time.perf_counter() - begin)
            got += count
        connection.close()
        if answer.status != 200 or got != expected:
            raise RuntimeError(f"the archive is {answer.status}, {got} of {expected} bytes")
        return time.perf_counter() - begin

    def peer() -> float:
        begin = time.perf_counter()
        subprocess.run("zip -0 -q -r - files | cat >/dev/null", shell=True, cwd=place.data, check=True)
        return time.perf_counter() - begin

    mine, other = in_turns(ours, peer)
    return [
        row(f"zip of {FILES} files, {MB} MiB", mine, other, "zip -0 -q -r - | cat", "s", "<= 0.6"),
        row("zip, first byte", first[1:], [1.0], "limit", "s", "<= 1"),
    ]
