"""What somebody could do with a folder of theirs to get at what is not theirs, one test for each (and what must still work beside it)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.files import EntryKind, decode_ref
from jupyterhub_backendai.core.vfolders import Folder, Permission
from jupyterhub_backendai.errors import BackendAIError, Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.helper.openat2 import _walk, has_openat2, open_beneath
from jupyterhub_backendai.services.storage.files import FolderFiles
from jupyterhub_backendai.services.storage.hosts import Storage
from tests.helper.folders_site import OWNER, FoldersSite, account, folders_helper, folders_site, grant
from tests.helperd import RunningHelper
from tests.services.storage.folders_on_disk import HOST, access, make_folder, own_grant

pytestmark = pytest.mark.root
UPLOAD = "ab" * 16
KIM, LEE = (pwd.getpwnam(name).pw_uid for name in ("kim01", "lee01"))
Act = Callable[[FolderFiles, bytes], Coroutine[Any, Any, Any]]

# everything that takes a path
READS: list[Act] = [lambda files, path: files.stat(path), lambda files, path: files.open(path), lambda files, path: files.list(path)]
WRITES: list[Act] = [
    lambda files, path: files.make_directory(path),
    lambda files, path: files.write(path, b"x"),
    lambda files, path: files.move(b"own", path),
    lambda files, path: files.move(path, b"moved"),
    lambda files, path: files.remove([path], recursive=True),
    lambda files, path: files.finish_upload(UPLOAD, path),
]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[RunningHelper, Path]]:
    with folders_helper() as found:
        yield found


@pytest_asyncio.fixture
async def site(running: tuple[RunningHelper, Path]) -> AsyncIterator[FoldersSite]:
    with folders_site(*running) as found:
        yield found


@pytest_asyncio.fixture
async def folder(site: FoldersSite) -> Folder:
    """Kim's folder, with a file and an upload that has arrived; a folder of Lee's beside it, with a secret."""
    folder = await site.make()
    other = await site.make(make_folder(2), owner="lee01")
    secret = site.data(other) / "secret"
    secret.write_text("lee's secret")
    os.chown(secret, LEE, -1)
    secret.chmod(0o644)
    own = site.data(folder) / "own"
    own.write_text("own")
    os.chown(own, KIM, -1)
    os.close(await site.files(folder).begin_upload(UPLOAD))
    return folder


def as_kim(script: str) -> None:
    subprocess.run(["runuser", "-u", "kim01", "--", "sh", "-c", script], check=True)


SPELLINGS = (
    *(b"..", b".", b"/", b"/etc/passwd", b"../x", b"own/..", b"own/../../x", b"./own", b"own/", b"//own", b"a//b", b"a\0b"),
    *(b"../" * 30 + b"etc/passwd", b"a/" * 200 + b"b", b"x" * 256, b"a/.." * 3, b"\xff/../..", b"/proc/self/root/etc/passwd"),
)


async def test_no_spelling_leads_out(site: FoldersSite, folder: Folder):
    files = site.files(folder)
    for path in SPELLINGS:
        for act in (*READS, *WRITES):
            with pytest.raises(InvalidParameters):
                await act(files, path)
    for path in (b"..%2f..", b"%2e%2e", "․․".encode(), b"..\\..\\etc", b"...", b"own\\..", "／etc".encode()):
        with pytest.raises((NotFound, InvalidParameters)):
            await files.open(path)
    assert sorted(os.listdir(site.data(folder))) == ["own"]
    assert (site.data(folder).parent / "work" / f"upload-{UPLOAD}").exists()


async def test_the_worker_itself_believes_nothing(site: FoldersSite, folder: Folder):
    scope, name = f"user-{7:032x}", folder.id
    ask = site.storage.workers.call
    for wrong in (
        "",
        "..",
        f"{scope}/{name}/data",
        f"{scope}/../{scope}/{name}",
        f"{scope}/{name}/..",
        f"{scope}/.new-{name}",
        f"/{scope}/{name}",
        f"{scope}/{name}\n",
        7,
        None,
        [scope],
    ):
        with pytest.raises(InvalidParameters):
            await ask(account(OWNER), HOST, "list", {"folder": wrong, "path": ""})
    for fields in (
        {"path": "../x"},
        {"path": 7},
        {"path": "/etc"},
        {"path": "a\0"},
        {"path": None},
        {"path": "", "limit": "x"},
        {"path": "", "after": "!"},
        {"path": "", "sort": "x"},
    ):
        with pytest.raises(InvalidParameters):
            await ask(account(OWNER), HOST, "list", {"folder": f"{scope}/{name}", **fields})
    for upload in ("../own", "x", f"{UPLOAD}/..", "", UPLOAD.upper(), f"{UPLOAD}\n"):
        for operation in ("begin_upload", "open_upload", "drop_upload", "finish_upload"):
            with pytest.raises(InvalidParameters):
                await ask(account(OWNER), HOST, operation, {"folder": f"{scope}/{name}", "upload": upload, "path": "x"})
    for operation in ("", "nothing", "__init__", "make_folder", "set_gate", "remove_folder"):
        with pytest.raises(BackendAIError):
            await ask(
                account(OWNER), HOST, operation, {"folder": f"{scope}/{name}", "owner_uid": KIM, "owner_gid": 1, "grants": [[LEE, "rw"]]}
            )
    assert (site.data(folder) / "own").read_text() == "own"
    assert site.data(folder).parent.stat().st_uid == 0


async def test_links_that_lead_out_lead_nowhere(site: FoldersSite, folder: Folder):
    data, files = site.data(folder), site.files(folder)
    secret = site.data(make_folder(2)) / "secret"
    links = {
        "absolute": "/etc/passwd",
        "etc": "/etc",
        "up": "../../../../../../../etc",
        "sibling": f"../../{make_folder(2).id}/data/secret",
        "other": str(secret),
        "root": "/proc/self/root",
        "cwd": "/proc/self/cwd",
        "descriptor": "/proc/self/fd/3",
        "gate": "..",
        "work": "../work",
        "loop": "loop",
    }
    for name, target in links.items():
        (data / name).symlink_to(target)
        os.chown(data / name, KIM, -1, follow_symlinks=False)
    for name in links:
        path = name.encode()
        assert (await files.stat(path)).kind is EntryKind.SYMLINK
        for act in (
            files.open(path),
            files.list(path),
            files.open(path + b"/passwd"),
            files.list(path + b"/x"),
            files.stat(path + b"/passwd"),
        ):
            with pytest.raises(NotFound):
                await act
    before = {path: os.lstat(path).st_ino for path in (Path("/etc/passwd"), secret)}
    for name in links:
        path = name.encode() + b"/new"
        for write in (
            files.make_directory(path),
            files.write(path, b"x"),
            files.move(b"own", path),
            files.move(path, b"moved"),
            files.remove([path]),
            files.finish_upload(UPLOAD, path),
        ):
            with pytest.raises((NotFound, Conflict)):
                await write
        for write in (files.write(name.encode(), b"x"), files.make_directory(name.encode()), files.finish_upload(UPLOAD, name.encode())):
            with pytest.raises(Conflict):
                await write
    assert await files.remove([name.encode() for name in links], recursive=True) == len(links)
    assert before == {path: os.lstat(path).st_ino for path in before}
    assert secret.read_text() == "lee's secret"


async def test_links_that_stay_inside_are_followed_for_reading_only(site: FoldersSite, folder: Folder):
    data, files = site.data(folder), site.files(folder)
    as_kim(f"cd {data}; mkdir d; echo inside > d/file; ln -s d link; ln -s d/file short; ln -s ../own d/up")
    opened = await files.open(b"link/file")
    assert os.read(opened.descriptor, 20) == b"inside\n"
    os.close(opened.descriptor)
    for path in (b"short", b"d/up", b"link/up"):
        os.close((await files.open(path)).descriptor)
    assert [entry.text for entry in (await files.list(b"link")).entries] == ["file", "up"]
    for write in (
        files.write(b"link/new", b"x"),
        files.make_directory(b"link/new"),
        files.move(b"own", b"link/own"),
        files.remove([b"link/file"]),
    ):
        with pytest.raises((NotFound, Conflict)):
            await write
    assert await files.remove([b"link"], recursive=True) == 1
    assert (data / "d" / "file").exists()


async def test_what_is_no_file_is_listed_and_removed_and_never_opened(site: FoldersSite, folder: Folder):
    data, files = site.data(folder), site.files(folder)
    os.mkfifo(data / "fifo")
    os.mknod(data / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(data / "disk", 0o666 | stat.S_IFBLK, os.makedev(7, 200))
    as_kim(f"cd {data} && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'")
    for name in (b"fifo", b"null", b"disk", b"socket"):
        assert (await files.stat(name)).kind is EntryKind.OTHER
        with pytest.raises(NotFound):
            await asyncio.wait_for(files.open(name), 5)
        with pytest.raises(Conflict):
            await files.write(name, b"x")
    assert await files.remove([b"fifo", b"null", b"disk", b"socket"]) == 4


async def test_a_lease_keeps_nobody_waiting(site: FoldersSite, folder: Folder):
    """Whoever holds a lease on a file makes those who open it wait for 45 seconds, unless they say that they will not."""
    path = site.data(folder) / "own"
    holder = os.open(path, os.O_RDWR)
    previous = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the holder is told that somebody waits
    fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    try:
        with pytest.raises(Conflict):
            await asyncio.wait_for(site.files(folder).open(b"own"), 5)
    finally:
        fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(holder)
        signal.signal(signal.SIGIO, previous)


async def test_a_hard_link_gives_no_more_than_its_person_has(site: FoldersSite, folder: Folder):
    data, files = site.data(folder), site.files(folder)
    secret = site.data(make_folder(2)) / "secret"
    done = subprocess.run(["runuser", "-u", "kim01", "--", "ln", str(secret), str(data / "link")], capture_output=True, check=False)
    assert done.returncode != 0
    secret.chmod(0o600)
    os.link(secret, data / "link")  # as if it had been possible
    for act in (files.open(b"link"),):
        with pytest.raises(Forbidden):
            await act
    await site.storage.apply_access(folder, [grant(OWNER, "wd", is_owner=True), grant("park04", "rw")], account(OWNER))
    assert not os.listxattr(secret)
    assert await files.remove([b"link"]) == 1
    assert secret.read_text() == "lee's secret"


async def test_a_service_that_is_root_opens_no_file_with_two_names(tmp_path: Path):
    storage = Storage({HOST: str(tmp_path / "host")})
    await storage.make_folder(make_folder(), [own_grant()])
    data = Path(storage.path(make_folder()))
    (tmp_path / "secret").write_text("secret")
    os.link(tmp_path / "secret", data / "link")
    with pytest.raises(NotFound):
        await storage.files(access(make_folder()), None).open(b"link")
    storage.close()


NAMES = {
    b"\xff\xfe bytes": True,
    b"\xed\xa0\x80": True,
    "보고서.ipynb".encode(): False,
    unicodedata.normalize("NFD", "보고서.ipynb").encode(): False,
    "\u202egpj.exe".encode(): False,
    b"line\nbreak\ttab\x07": False,
    b" leading and trailing ": False,
    b"-rf": False,
    b"'; DROP TABLE vfolders; --": False,
    b"<img src=x onerror=alert(1)>": False,
    b"x" * 255: False,
    "가".encode() * 85: False,
    b"CON": False,
    b"a\\b": False,
    b"...": False,
    b"%2e%2e": False,
    b"~": False,
}


async def test_every_name_is_listed_opened_moved_and_removed(site: FoldersSite, folder: Folder):
    data, files = site.data(folder), site.files(folder)
    for name in NAMES:
        path = os.fsencode(data) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(name)
        os.chown(path, KIM, -1)
    listed = {entry.name: entry for entry in (await files.list(b"", limit=1000)).entries}
    everything = json.loads(b"[" + b"".join([rows async for rows in files.list_all(b"")]).lstrip(b"\n,") + b"]")
    assert {tuple(row) for row in everything} == {
        (entry.text, entry.ref, entry.kind.value, entry.size, entry.mode, entry.mtime_ns) for entry in listed.values()
    }
    for name, needs_ref in NAMES.items():
        assert bool(listed[name].ref) is needs_ref
        assert (decode_ref(listed[name].ref) if needs_ref else listed[name].text.encode()) == name
        opened = await files.open(name)
        assert os.read(opened.descriptor, 300) == name
        os.close(opened.descriptor)
        await files.move(name, b"own", is_replacing=True)
        await files.move(b"own", name)
    assert (await files.list(b"", search="보고서")).total == 2  # both ways to write it
    pages, after = [], b""
    while True:
        page = await files.list(b"", after=after, limit=3)
        pages += [entry.name for entry in page.entries]
        if not page.after:
            break
        after = decode_ref(page.after)
    assert sorted(pages) == sorted(NAMES)
    assert await files.remove(list(NAMES)) == len(NAMES)
    assert os.listdir(data) == []


async def test_a_tree_deeper_than_a_path_may_be_is_removed(site: FoldersSite, folder: Folder):
    data = site.data(folder)
    script = "import os\nfor _ in range(1200):\n os.mkdir('deep'); os.chdir('deep')\nopen('end','w').close()"
    as_kim(f'cd {data} && mkdir top shut && touch shut/file && chmod 000 shut && cd top && {sys.executable} -c "{script}"')
    assert await site.files(folder).remove([b"top", b"shut"], recursive=True) == 1200 + 2 + 2
    assert os.listdir(data) == ["own"]


async def test_a_copy_takes_links_as_links_and_reads_nothing_of_others(site: FoldersSite, folder: Folder):
    data = site.data(folder)
    target = await site.make(make_folder(3))
    as_kim(f"cd {data}; mkdir -p d/e; echo x > d/e/f; chmod 755 d/e/f; ln -s /etc/shadow shadow; mkfifo pipe")
    (data / "theirs").write_text("not kim's")
    (data / "theirs").chmod(0o600)
    progress: list[tuple[int, int]] = []
    skipped = await site.storage.copy(folder, target, account(OWNER), lambda size, count: progress.append((size, count)))
    copied = site.data(target)
    assert skipped == 2  # the pipe, and what root put there
    assert sorted(os.listdir(copied)) == ["d", "own", "shadow"]
    assert os.readlink(copied / "shadow") == "/etc/shadow"
    assert (copied / "d" / "e" / "f").stat().st_mode & 0o777 == 0o700
    assert (copied / "d" / "e" / "f").stat().st_mtime_ns == (data / "d" / "e" / "f").stat().st_mtime_ns
    assert progress[-1][0] == 2 + 3
    assert await site.storage.copy(folder, target, account(OWNER)) == 2
    with pytest.raises(Forbidden):
        await site.storage.copy(folder, target, account("lee01"))


async def test_measuring_counts_what_is_there_once(site: FoldersSite, folder: Folder):
    data = site.data(folder)
    as_kim(f"cd {data}; mkdir d; head -c 1000 /dev/zero > d/a; ln d/a d/b; ln -s /etc/passwd l; head -c 10 /dev/zero > c")
    usage = await site.files(folder).measure()
    assert (usage.size, usage.files) == (1013, 6)
    assert usage.biggest == ((b"d", 1000), (b"c", 10), (b"own", 3))


SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.prctl(1, 9)  # it ends with the tests, whichever way these end
print("ready", flush=True)
while True:
    libc.renameat2(-100, b"a", -100, b"b", 2)
"""


@pytest.fixture
def race(tmp_path: Path):
    """A directory in which ``a`` is now a directory with a file, now a link to one outside that has a secret under the same name."""
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    (top / "a" / "file").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("secret")
    (top / "b").symlink_to(tmp_path / "outside")
    process = subprocess.Popen([sys.executable, "-S", "-c", SWAPPER], cwd=top, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    yield top
    process.kill()
    process.wait()


@pytest.mark.parametrize("way", ["openat2", "walk"])
def test_a_hundred_thousand_races_are_all_lost(race: Path, way: str):
    assert has_openat2()
    top = os.open(race, os.O_PATH | os.O_DIRECTORY)
    inside = refused = 0
    for number in range(100_000 if way == "openat2" else 20_000):
        try:
            if way == "openat2":
                found = open_beneath(top, b"a/file", os.O_RDONLY, follow=bool(number % 2))
            else:
                found = _walk(top, b"a/file", os.O_RDONLY | os.O_CLOEXEC, 0)
        except OSError:
            refused += 1
            continue
        assert os.read(found, 10) == b"inside"
        os.close(found)
        inside += 1
    os.close(top)
    assert inside > 100
    assert refused > 100


async def test_races_through_a_worker_are_lost_too(site: FoldersSite, folder: Folder):
    data, files = site.data(folder), site.files(folder)
    secret = site.data(make_folder(2))
    as_kim(f"cd {data}; mkdir a; echo inside > a/file; ln -s {secret} b")
    (secret / "file").write_text("secret")
    swapper = [sys.executable, "-S", "-c", SWAPPER]  # without runuser, which would leave it behind when killed
    process = subprocess.Popen(swapper, cwd=data, stdout=subprocess.PIPE, user=KIM, group=pwd.getpwuid(KIM).pw_gid, extra_groups=[])
    assert process.stdout
    process.stdout.readline()
    try:
        results: dict[str, int] = {}
        for number in range(60):
            path = b"a/%d" % number
            acts = [
                files.open(b"a/file"),
                files.write(path, b"x"),
                files.move(path, b"a/moved", is_replacing=True),
                files.remove([b"a/moved"]),
            ]
            for answer in await asyncio.gather(*acts, return_exceptions=True):
                results[type(answer).__name__] = results.get(type(answer).__name__, 0) + 1
                if hasattr(answer, "descriptor"):
                    assert os.read(answer.descriptor, 10) == b"inside\n"
                    os.close(answer.descriptor)
        assert results.get("OpenFile", 0) > 0, results
        assert set(results) <= {"OpenFile", "Entry", "NoneType", "int", "NotFound", "Conflict"}, results
    finally:
        process.kill()
        process.wait()
    assert sorted(os.listdir(secret)) == ["file", "secret"]


async def test_cancelled_calls_leave_no_descriptor_behind(site: FoldersSite, folder: Folder):
    files = site.files(folder)
    await files.stat(b"own")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(200):
        task = asyncio.create_task(files.open(b"own") if number % 3 else files.measure())
        for _ in range(number % 4):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for _ in range(3):
        os.close((await files.open(b"own")).descriptor)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_who_may_only_read_cannot_write_by_any_way(site: FoldersSite, folder: Folder):
    """The kernel says so too: the worker of somebody with ``ro`` is asked directly, past the service's own look."""
    grants = [grant(OWNER, "wd", is_owner=True), grant("lee01", "ro")]
    await site.storage.set_gate(folder, grants)
    await site.storage.apply_access(folder, grants, account(OWNER))
    lee = site.files(folder, "lee01", Permission.READ_WRITE_DELETE)
    os.close((await lee.open(b"own")).descriptor)
    for act in (
        lee.write(b"own", b"x"),
        lee.write(b"new", b"x"),
        lee.make_directory(b"d"),
        lee.move(b"own", b"x"),
        lee.remove([b"own"]),
        lee.begin_upload("cd" * 16),
        lee.open_upload(UPLOAD),
        lee.drop_upload(UPLOAD),
        lee.finish_upload(UPLOAD, b"x"),
    ):
        with pytest.raises(Forbidden):
            await act
    assert os.listdir(site.data(folder)) == ["own"]
