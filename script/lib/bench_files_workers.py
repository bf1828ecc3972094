"""What it costs to open a file as somebody else: by a worker of theirs, and to have one more worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ != "__main__":
    from bench_rows import Figure, Row

if TYPE_CHECKING:
    from bench_files_place import Place

OPENS, AT_ONCE, STARTS = 500, 30, 8


def measure_workers(place: Place) -> list[Row]:
    """The program below, as the service's account: the helper serves nobody else."""
    from bench_files_place import USER

    path = place.data / "deep" / "er"
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"text")
    place.give(path.parent, path, path / "file")
    account, person = place.hub.instance.account, pwd.getpwnam(USER)
    hosts = place.hub.instance.read_settings().list_storage_hosts()
    host = next(name for name, found in hosts.items() if str(place.data).startswith(found.path))
    scope = place.data.parent.parent.name.replace("-", ":", 1)
    facts = {
        "socket": str(place.hub.instance.helper_socket),
        "hosts": {host: hosts[host].path},
        "host": host,
        "scope": scope,
        "folder": place.folder,
        "person": [person.pw_name, person.pw_uid, person.pw_gid, person.pw_dir],
    }
    command = [sys.executable, str(Path(__file__)), json.dumps(facts)]
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    with subprocess.Popen(command, stdout=subprocess.PIPE, user=account.pw_uid, group=account.pw_gid, extra_groups=groups) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        pss = [_pss(pid) for pid in _worker_pids(person.pw_uid)]
    inline = _open_inline(place.data)
    figures = {name: Figure(tuple(values)) for name, values in found.items()}
    return [
        Row("files", "open through the worker, one at a time", figures["one"], inline, "openat2 in this process", "us", "<= 25"),
        Row("files", f"open through the worker, {AT_ONCE} at a time", figures["many"], inline, "openat2 in this process", "us", "<= 10"),
        Row("files", "first use of a uid", figures["start"], figures["program"], "Popen of the worker", "ms", "<= 0.15"),
        Row("files", f"memory of each of {STARTS + 1} workers (PSS)", Figure(tuple(pss)), Figure((1.5,)), "limit", "MiB", "<= 1"),
    ]


def _worker_pids(uid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                is_worker = entry.stat().st_uid in (uid, 0) and "jupyterhub_backendai.helper" in (entry / "cmdline").read_text()
                if is_worker and f"\nUid:\t{uid}\t" in (entry / "status").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _pss(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def _open_inline(data: Path) -> Figure:
    from jupyterhub_backendai.helper.openat2 import open_beneath

    top, samples = os.open(data, os.O_PATH | os.O_DIRECTORY), []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(OPENS):
            descriptor = open_beneath(top, b"deep/er/file", os.O_RDONLY)
            os.fstat(descriptor)
            os.close(descriptor)
        samples.append(1e6 * (time.perf_counter() - begin) / OPENS)
    os.close(top)
    return Figure(tuple(samples))


async def measure(facts: dict) -> dict[str, list[float]]:
    from datetime import UTC, datetime

    from jupyterhub_backendai.core.identity import PosixAccount
    from jupyterhub_backendai.core.vfolders import Access, Folder, FolderStatus, OwnershipType, Permission, UsageMode
    from jupyterhub_backendai.errors import BackendAIError
    from jupyterhub_backendai.services.storage.hosts import Storage

    account = PosixAccount(*facts["person"])
    folder = Folder(
        id=facts["folder"],
        name="bench",
        host=facts["host"],
        quota_scope_id=facts["scope"],
        status=FolderStatus.READY,
        usage_mode=UsageMode.GENERAL,
        ownership_type=OwnershipType.USER,
        permission=Permission.READ_WRITE_DELETE,
        domain="",
        creator="",
        cloneable=False,
        created_at=datetime.now(UTC),
        status_changed_at=datetime.now(UTC),
    )
    storage = Storage(facts["hosts"], facts["socket"])
    access = Access(folder, Permission.READ_WRITE_DELETE, "owner")
    files = storage.files(access, account)

    async def open_one() -> None:
        os.close((await files.open(b"deep/er/file")).descriptor)

    async def open_some(count: int) -> None:
        for _ in range(count):
            await open_one()

    found: dict[str, list[float]] = {"one": [], "many": [], "start": [], "program": []}
    await open_some(50)
    for _ in range(5):
        begin = time.perf_counter()
        await open_some(OPENS)
        found["one"].append(1e6 * (time.perf_counter() - begin) / OPENS)
        begin = time.perf_counter()
        await asyncio.gather(*(open_some(OPENS // AT_ONCE) for _ in range(AT_ONCE)))
        found["many"].append(1e6 * (time.perf_counter() - begin) / (OPENS // AT_ONCE * AT_ONCE))
    others = []
    for _ in range(STARTS):
        for name, socket in (("start", facts["socket"]), ("program", "")):
            another = Storage(facts["hosts"], socket)
            begin = time.perf_counter()
            with contextlib.suppress(BackendAIError):  # our own account may not look; the worker is there all the same
                await another.files(access, account).stat(b"deep")
            found[name].append(1e3 * (time.perf_counter() - begin))
            others.append(another)
    print(json.dumps(found), flush=True)
    await asyncio.sleep(2)  # while the parent looks at the workers' memory
    for each in (storage, *others):
        each.close()
    return found


if __name__ == "__main__":
    asyncio.run(measure(json.loads(sys.argv[1])))
