"""Workers that the helper forks: each is one person for good, and who passes a folder's gate is decided by root alone."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.errors import BackendUnavailable, Forbidden, NoPosixAccount, NotFound, StorageUnavailable
from jupyterhub_backendai.helper.acl import DEFAULT, Acl
from tests.helper.folders_site import OWNER, FoldersSite, account, folders_helper, folders_site, grant
from tests.helperd import RunningHelper, wait_until
from tests.services.storage.folders_on_disk import HOST, access, make_folder

pytestmark = pytest.mark.root
KIM, LEE = (pwd.getpwnam(name).pw_uid for name in ("kim01", "lee01"))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[RunningHelper, Path]]:
    with folders_helper() as found:
        yield found


@pytest_asyncio.fixture
async def site(running: tuple[RunningHelper, Path]) -> AsyncIterator[FoldersSite]:
    with folders_site(*running) as found:
        yield found


def workers_of(site: FoldersSite, uid: int = KIM) -> list[int]:
    """The helper's worker processes of an account that still live."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                status = (path / "status").read_text()
            except OSError:
                continue
            if f"PPid:\t{site.helper.process.pid}\n" in status and f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status:
                found.append(int(path.name))
    return found


def can_read(user: str, path: Path) -> bool:
    return subprocess.run(["runuser", "-u", user, "--", "cat", str(path)], capture_output=True, check=False).returncode == 0


def can_write(user: str, path: Path) -> bool:
    return subprocess.run(["runuser", "-u", user, "--", "touch", str(path)], capture_output=True, check=False).returncode == 0


async def test_a_worker_is_its_person_and_nothing_more(site: FoldersSite):
    folder = await site.make()
    files = site.files(folder)
    await files.make_directory(b"d")
    status = (site.data(folder) / "d").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (KIM, 0o700)
    (pid,) = workers_of(site)
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert lines["Gid"].split() == [str(pwd.getpwnam("kim01").pw_gid)] * 4
    assert lines["NoNewPrivs"] == "1"
    assert int(lines["CapEff"], 16) == int(lines["CapPrm"], 16) == 0
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # not dumpable: another process of the person's cannot look into it
    opened = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    assert not [name for name in opened if "helper.sock" in name]
    assert len([name for name in opened if name.startswith("socket:")]) == 1


async def test_the_helper_gives_workers_to_people_only(site: FoldersSite):
    folder = await site.make()
    with pytest.raises(Forbidden):
        await site.storage.files(access(folder), account("root")).list(b"")
    with pytest.raises(Forbidden):
        await site.storage.files(access(folder), account("daemon")).list(b"")
    with pytest.raises(NoPosixAccount):
        site.storage.files(access(folder), None)
    answer = site.helper.ask("worker", "kim01", host="no:host")
    assert answer["status"] == 404
    answer = site.helper.ask("worker", "kim01", uid=LEE, host=HOST)
    assert answer["status"] == 403
    with pytest.raises(Forbidden):
        await site.storage.make_folder(make_folder(9), [grant("daemon", "wd", is_owner=True)])


async def test_who_passes_is_decided_at_the_gate_at_once(site: FoldersSite):
    folder = await site.make()
    file = site.data(folder) / "a"
    await site.files(folder).write(b"a", b"hello")
    assert can_read("kim01", file)
    assert not can_read("lee01", file)
    with pytest.raises(Forbidden):
        await site.files(folder, "lee01").open(b"a")

    await site.storage.set_gate(folder, [grant(OWNER, "wd", is_owner=True), grant("lee01", "ro")])
    assert await site.storage.apply_access(folder, [grant(OWNER, "wd", is_owner=True), grant("lee01", "ro")], account(OWNER)) >= 1
    assert can_read("lee01", file)
    assert not can_write("lee01", file)
    assert not can_write("lee01", site.data(folder) / "new")
    opened = await site.files(folder, "lee01").open(b"a")
    assert os.read(opened.descriptor, 9) == b"hello"
    os.close(opened.descriptor)
    # what the owner makes from now on is lee's to read without anybody doing anything
    await site.files(folder).write(b"b", b"later")
    assert can_read("lee01", site.data(folder) / "b")
    subprocess.run(
        ["runuser", "-u", "kim01", "--", "sh", "-c", f"umask 077; mkdir {site.data(folder)}/d; echo x > {site.data(folder)}/d/c"],
        check=True,
    )
    assert can_read("lee01", site.data(folder) / "d" / "c")

    await site.storage.set_gate(folder, [grant(OWNER, "wd", is_owner=True)])
    assert not can_read("lee01", file)
    with pytest.raises(Forbidden):
        await site.files(folder, "lee01").open(b"a")


LOOK = """
import os, sys
print("ready", flush=True)
for line in sys.stdin:
    break
count = 0
while not os.path.exists(sys.argv[2]):
    os.stat(sys.argv[1])
    count += 1
print(count)
"""


async def test_a_change_for_others_shuts_nobody_out_for_a_moment(site: FoldersSite):
    stays = [grant(OWNER, "wd", is_owner=True), grant("lee01", "ro")]
    folder = await site.make(None, stays[1])
    await site.files(folder).write(b"a", b"x")
    end = Path("/dev/shm", f"end-{os.getpid()}")
    command = ["runuser", "-u", "lee01", "--", "/usr/bin/python3", "-c", LOOK, str(site.data(folder) / "a"), str(end)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    for number in range(20):
        await site.storage.set_gate(folder, [*stays, *([grant("park04", "rw")] if number % 2 else [])])
    end.touch()
    try:
        said, _ = process.communicate(timeout=20)
    finally:
        end.unlink()
    assert process.returncode == 0
    assert int(said) > 0


async def test_who_may_write_and_the_owner_share_what_either_makes(site: FoldersSite):
    grants = [grant(OWNER, "wd", is_owner=True), grant("lee01", "rw")]
    folder = await site.make(None, grants[1])
    data = site.data(folder)
    lee = site.files(folder, "lee01")
    await lee.make_directory(b"d")
    descriptor = await lee.begin_upload("ab" * 16)
    os.write(descriptor, b"lee's")
    os.close(descriptor)
    await lee.finish_upload("ab" * 16, b"d/upload")
    assert (data / "d" / "upload").stat().st_uid == LEE
    assert can_read("kim01", data / "d" / "upload")
    assert can_write("kim01", data / "d" / "upload")
    assert can_write("lee01", data / "d" / "mine")
    kim = site.files(folder)
    assert (await kim.write(b"d/upload", b"kim's")).size == 5
    assert can_write("lee01", data / "d" / "upload")
    assert await kim.remove([b"d"], recursive=True) == 3


async def test_the_lists_follow_a_change(site: FoldersSite):
    owner = grant(OWNER, "wd", is_owner=True)
    folder = await site.make()
    data = site.data(folder)
    await site.files(folder).make_directory(b"d/e")
    await site.files(folder).write(b"d/script", b"#!/bin/sh\n")
    os.chmod(data / "d" / "script", 0o744)
    os.mkfifo(data / "pipe")
    os.chown(data / "pipe", KIM, -1)
    os.symlink("/etc/passwd", data / "link")
    for grants in ([owner, grant("lee01", "rw")], [owner, grant("lee01", "ro")], [owner]):
        await site.storage.set_gate(folder, grants)
        await site.storage.apply_access(folder, grants, account(OWNER))
        assert await site.storage.apply_access(folder, grants, account(OWNER)) == 0  # nothing left to do
        assert can_read("lee01", data / "d" / "script") is (len(grants) == 2)
        assert can_write("lee01", data / "d" / "script") is (grants[-1].permission is Permission.READ_WRITE)
    assert not os.listxattr(data / "d" / "script")
    assert not os.listxattr(data / "d")
    assert (data / "d" / "script").stat().st_mode & 0o777 == 0o704
    await site.storage.set_gate(folder, [owner, grant("lee01", "ro")])
    await site.storage.apply_access(folder, [owner, grant("lee01", "ro")], account(OWNER))
    script = Acl.from_bytes(os.getxattr(data / "d" / "script", "system.posix_acl_access"))
    assert script.users == {KIM: 7, LEE: 5}
    inner = Acl.from_bytes(os.getxattr(data / "d" / "e", DEFAULT))
    assert inner.users == {KIM: 7, LEE: 5}


async def test_the_gate_is_out_of_everybodys_reach(site: FoldersSite):
    folder = await site.make(None, grant("lee01", "rw"))
    gate = site.data(folder).parent
    for user in ("kim01", "lee01"):
        for command in (
            ["mv", str(gate / "data"), str(gate / "other")],
            ["ln", "-s", "/etc", str(gate / "x")],
            ["rm", "-rf", str(gate / "data")],
            ["ls", str(gate)],
            ["ls", str(gate.parent)],
            ["ls", str(site.host)],
            ["chmod", "777", str(gate)],
            ["setfattr", "-x", "system.posix_acl_access", str(gate)],
        ):
            done = subprocess.run(["runuser", "-u", user, "--", *command], capture_output=True, check=False)
            assert done.returncode != 0, (user, command)
    assert (gate / "data").is_dir()
    assert gate.stat().st_uid == 0


async def test_trash_and_deletion(site: FoldersSite):
    folder = await site.make()
    await site.files(folder).write(b"a", b"x")
    os.makedirs(site.data(folder) / "deep" / "er")
    await site.storage.set_gate(folder, [])
    assert not can_read("kim01", site.data(folder) / "a")
    await site.storage.set_gate(folder, [grant(OWNER, "wd", is_owner=True)])
    assert can_read("kim01", site.data(folder) / "a")
    assert await site.storage.list_folders(HOST) == [(f"user-{7:032x}", folder.id)]
    await site.storage.remove_folder(folder)
    await site.storage.remove_folder(folder)
    assert await site.storage.list_folders(HOST) == []
    with pytest.raises(NotFound):
        await site.files(folder).list(b"")
    with pytest.raises(NotFound):
        await site.storage.set_gate(folder, [])


async def test_a_worker_that_was_killed_is_replaced(site: FoldersSite):
    folder = await site.make()
    files = site.files(folder)
    await files.make_directory(b"d")
    (pid,) = workers_of(site)
    os.kill(pid, signal.SIGKILL)
    assert [entry.name for entry in (await files.list(b"")).entries] == [b"d"]
    assert workers_of(site) != [pid]


async def test_a_worker_that_its_person_stopped_costs_that_person_and_is_ended(site: FoldersSite):
    folder = await site.make(None, grant("lee01", "rw"))
    site.storage.workers._deadline_s = 0.5
    await site.files(folder).list(b"")
    (pid,) = workers_of(site)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(StorageUnavailable):
        await site.files(folder).list(b"")
    with pytest.raises(StorageUnavailable):
        await site.files(folder).list(b"")
    assert (await site.files(folder, "lee01").list(b"")).total == 0
    wait_until(lambda: pid not in workers_of(site))
    site.storage.workers._places[KIM, HOST].not_before = 0.0
    assert (await site.files(folder).list(b"")).total == 0


async def test_idle_workers_end(site: FoldersSite):
    folder = await site.make()
    await site.files(folder).list(b"")
    assert workers_of(site)
    site.storage.workers.reap_idle(asyncio.get_running_loop().time() + 301)
    wait_until(lambda: not workers_of(site))
    assert (await site.files(folder).list(b"")).total == 0


async def test_workers_end_with_the_service_and_with_the_helper(site: FoldersSite):
    folder = await site.make()
    await site.files(folder).list(b"")
    site.storage.close()
    wait_until(lambda: not workers_of(site))
    with pytest.raises(StorageUnavailable):
        await site.files(folder).list(b"")


async def test_without_the_helper_nothing_is_made_up():
    with folders_helper() as (helper, host), folders_site(helper, host) as site:
        folder = await site.make()
        await site.files(folder).list(b"")
        helper.process.send_signal(signal.SIGTERM)
        helper.process.wait(10)
        wait_until(lambda: not workers_of(site))
        with pytest.raises(BackendUnavailable):
            await site.files(folder).list(b"")
        with pytest.raises(BackendUnavailable):
            await site.storage.set_gate(folder, [])
