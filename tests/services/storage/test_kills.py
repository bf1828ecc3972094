"""Killed at any instant, work on files leaves the old state or the new one, and doing it again ends in the new one.

Each scenario is run in a process of its own that ends before its n-th call that changes something on the disk, for every n.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_backendai.helper import folders, openat2
from jupyterhub_backendai.helper.acl import Acl
from jupyterhub_backendai.helper.folders import Passer, make_scope
from jupyterhub_backendai.helper.worker_base import Job, Tree
from jupyterhub_backendai.helper.worker_operations import OPERATIONS
from jupyterhub_backendai.helper.worker_write import format_etag

pytestmark = pytest.mark.root
SCOPE, FOLDER, OTHER, UPLOAD = f"user-{7:032x}", f"{1:032x}", f"{2:032x}", "ab" * 16
KIM, LEE, PARK = 54321, 54322, 54323
CHANGES = (
    *("mkdir", "rename", "link", "unlink", "rmdir", "symlink", "chmod", "fchmod", "fchown", "write", "utime", "fsync"),
    *("setxattr", "removexattr", "copy_file_range"),
)


@dataclass
class Disk:
    """A storage host's directory with two folders."""

    host: int
    path: Path

    @property
    def data(self) -> Path:
        return self.path / SCOPE / FOLDER / "data"

    @property
    def work(self) -> Path:
        return self.path / SCOPE / FOLDER / "work"

    @property
    def target(self) -> Path:
        return self.path / SCOPE / OTHER / "data"

    def make(self, folder: str = FOLDER) -> None:
        folders.make_folder(self.host, SCOPE, folder, (KIM, KIM), [Passer(KIM, 7), Passer(LEE, 5)], make_scope)

    def ask(self, operation: str, folder: str = FOLDER, descriptors: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
        with Tree(self.host, f"{SCOPE}/{folder}", "host") as tree:
            answer = OPERATIONS[operation](Job(tree, fields, descriptors, lambda _: None))
        for descriptor in answer.descriptors:
            os.close(descriptor)
        return answer.values

    def write(self, path: str, content: bytes, etag: str = "") -> None:
        memory = os.memfd_create("content")
        os.pwrite(memory, content, 0)
        try:
            self.ask("write", descriptors=(memory,), path=path, etag=etag)
        finally:
            os.close(memory)

    def upload(self, content: bytes) -> None:
        self.work.joinpath(f"upload-{UPLOAD}").write_bytes(content)


@pytest.fixture
def disk() -> Iterator[Disk]:
    path = Path(tempfile.mkdtemp(prefix="kills-", dir="/dev/shm"))
    host = os.open(path, os.O_PATH | os.O_DIRECTORY)
    yield Disk(host, path)
    os.close(host)
    shutil.rmtree(path)


def kill_at(step: int, act: Callable[[], object]) -> bool:
    """Whether the act was over before its ``step``-th change."""
    pid = os.fork()
    if not pid:
        left = step

        def count(function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return function(*args, **kwargs)

            return counted

        try:
            for name in CHANGES:
                setattr(os, name, count(getattr(os, name)))
            openat2._rename = count(openat2._rename)
            library = openat2._libc

            class Library:
                renameat2 = staticmethod(library.renameat2)
                syscall = staticmethod(count(library.syscall))  # opening makes files, too

            openat2._libc = Library()
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, 9}, "it failed by itself"
    return code == 0


@dataclass
class Scenario:
    prepare: Callable[[Disk], Any]
    act: Callable[[Disk, Any], Any]
    # what must hold after a kill, and after the act was done (again)
    check: Callable[[Disk], Any]
    check_done: Callable[[Disk], Any]


def is_either(path: Path, *contents: bytes | None) -> None:
    assert (path.read_bytes() if path.exists() else None) in contents


def check_upload(disk: Disk, old: bytes | None) -> None:
    hidden = disk.work / f"upload-{UPLOAD}"
    is_either(disk.data / "d" / "a", old, b"new")
    if not hidden.exists():
        is_either(disk.data / "d" / "a", b"new")
    else:
        is_either(hidden, b"new")


def prepare_tree(disk: Disk) -> int:
    for path in ("d/e/f", "d/g", "h"):
        (disk.data / path).parent.mkdir(parents=True, exist_ok=True)
        (disk.data / path).write_bytes(path.encode() * 1000)
    (disk.data / "link").symlink_to("h")
    disk.make(OTHER)
    return os.open(disk.data, os.O_PATH | os.O_DIRECTORY)


def read_tree(path: Path) -> dict[str, bytes]:
    return {
        str(found.relative_to(path)): os.readlink(found).encode() if found.is_symlink() else found.read_bytes()
        for found in path.rglob("*")
        if found.is_symlink() or found.is_file()
    }


def check_copy(disk: Disk) -> None:
    whole = read_tree(disk.data)
    assert len(whole) == 4
    for name, content in read_tree(disk.target).items():
        assert whole[name] == content, f"{name} is half"


def check_copied(disk: Disk) -> None:
    assert read_tree(disk.target) == read_tree(disk.data)


def check_made(disk: Disk) -> None:
    gate = disk.path / SCOPE / FOLDER
    if gate.exists():
        assert sorted(os.listdir(gate)) == ["data", "work"]
        assert [(gate / name).stat().st_uid for name in ("data", "work")] == [KIM, KIM]


def check_made_whole(disk: Disk) -> None:
    assert os.listdir(disk.path / SCOPE) == [FOLDER]
    assert read_gate(disk) == (KIM, LEE)
    assert Acl.from_bytes(os.getxattr(disk.data, "system.posix_acl_default")).users == {KIM: 7, LEE: 5}


def read_gate(disk: Disk) -> tuple[int, ...]:
    return tuple(sorted(Acl.from_bytes(os.getxattr(disk.path / SCOPE / FOLDER, "system.posix_acl_access")).users))


def set_gate(disk: Disk, *passers: Passer) -> None:
    folders.set_gate(disk.host, SCOPE, FOLDER, passers)


def check_gate(disk: Disk, *allowed: tuple[int, ...]) -> None:
    assert read_gate(disk) in allowed


def edit(disk: Disk) -> str:
    (disk.data / "a").write_bytes(b"old")
    return format_etag((disk.data / "a").stat())


def edit_again(disk: Disk, etag: str) -> None:
    """The one who was killed had the old etag; whoever comes again has read the file anew."""
    is_new = (disk.data / "a").read_bytes() == b"new"
    disk.write("a", b"new", "" if is_new else etag)


SCENARIOS = {
    "upload": Scenario(
        lambda disk: disk.upload(b"new"),
        lambda disk, _: disk.ask("finish_upload", upload=UPLOAD, path="d/a"),
        lambda disk: check_upload(disk, None),
        lambda disk: is_either(disk.data / "d" / "a", b"new"),
    ),
    "upload over another": Scenario(
        lambda disk: (disk.upload(b"new"), (disk.data / "d").mkdir(), (disk.data / "d" / "a").write_bytes(b"old")),
        lambda disk, _: disk.ask("finish_upload", upload=UPLOAD, path="d/a", is_replacing=True),
        lambda disk: check_upload(disk, b"old"),
        lambda disk: is_either(disk.data / "d" / "a", b"new"),
    ),
    "new file": Scenario(
        lambda _: None,
        lambda disk, _: disk.write("a", b"new"),
        lambda disk: is_either(disk.data / "a", None, b"new"),
        lambda disk: is_either(disk.data / "a", b"new"),
    ),
    "edited file": Scenario(
        edit,
        edit_again,
        lambda disk: is_either(disk.data / "a", b"old", b"new"),
        lambda disk: is_either(disk.data / "a", b"new"),
    ),
    "copy": Scenario(
        prepare_tree,
        lambda disk, source: disk.ask("copy", OTHER, (source,)),
        check_copy,
        check_copied,
    ),
    "make": Scenario(
        lambda disk: shutil.rmtree(disk.path / SCOPE),
        lambda disk, _: disk.make(),
        check_made,
        check_made_whole,
    ),
    "take away": Scenario(
        lambda disk: set_gate(disk, Passer(KIM, 7), Passer(LEE, 5), Passer(PARK, 7)),
        lambda disk, _: set_gate(disk, Passer(KIM, 7), Passer(LEE, 7)),
        lambda disk: check_gate(disk, (KIM, LEE), (KIM, LEE, PARK), ()),
        lambda disk: check_gate(disk, (KIM, LEE)),
    ),
    "delete": Scenario(
        prepare_tree,
        lambda disk, _: folders.remove_folder(disk.host, SCOPE, FOLDER),
        lambda disk: (disk.data.exists() and len(read_tree(disk.data)) == 4) or not disk.data.exists() or pytest.fail("half a folder"),
        lambda disk: [os.listdir(disk.path / SCOPE)] == [[OTHER]] or pytest.fail("left-overs"),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_every_step(disk: Disk, name: str):
    scenario = SCENARIOS[name]
    for step in range(1000):
        shutil.rmtree(disk.path / SCOPE, ignore_errors=True)
        disk.make()
        prepared = scenario.prepare(disk)
        is_over = kill_at(step, lambda: scenario.act(disk, prepared))  # noqa: B023
        scenario.check(disk)
        if not is_over:
            scenario.act(disk, prepared)
        scenario.check_done(disk)
        if (disk.path / SCOPE / FOLDER).exists():
            disk.ask("sweep", kept=[], before=1 << 40)
            assert list(disk.work.iterdir()) == []
        if isinstance(prepared, int):
            os.close(prepared)
        if is_over:
            break
    assert step > 3


def test_a_move_is_one_call(disk: Disk):
    disk.make()
    (disk.data / "a").write_bytes(b"x")
    disk.ask("move", source="a", target="b")
    assert stat.S_ISREG((disk.data / "b").stat().st_mode)
    for step in range(50):
        if kill_at(step, lambda: disk.ask("move", source="b", target="a")):
            break
        assert sorted(os.listdir(disk.data)) in (["a"], ["b"])
    assert os.listdir(disk.data) == ["a"]
