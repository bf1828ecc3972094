"""Folders are made, copied and deleted by a process that is killed at one line after the other: the old state, or the new one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jupyterhub_backendai.helper import folders, worker_copy
from jupyterhub_backendai.helper.worker_base import Job, Tree
from tests.killing import choose_lines, run_and_kill

MODULES = tuple(f"/helper/{name}.py" for name in ("folders", "worker_remove", "worker_copy", "worker_tree", "worker_files", "acl"))
SCOPE, ONE, TWO = "user-" + "a" * 32, "1" * 32, "2" * 32
MOST = 45
FILES = {"a.txt": b"one", "b/c/자료.txt": b"two" * 1000, "b/empty": b"", "big": b"x" * 3_000_000}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    path = tmp_path / "folders"
    path.mkdir(mode=0o711)
    path.chmod(0o711)
    return path


def make(host: Path, folder: str = ONE) -> None:
    with Opened(host) as directory:
        owner = (os.getuid(), os.getgid())
        folders.make_folder(directory, SCOPE, folder, owner, [folders.Passer(os.getuid(), 7)], folders.make_scope)


def remove(host: Path) -> None:
    with Opened(host) as directory:
        folders.remove_folder(directory, SCOPE, ONE)


def copy(host: Path) -> None:
    with Opened(host) as directory, Tree(directory, f"{SCOPE}/{ONE}", "h") as source, Tree(directory, f"{SCOPE}/{TWO}", "h") as target:
        top = source.open_directory(b"", flags=os.O_RDONLY)
        worker_copy.copy(Job(target, {}, (top,), lambda _values: None))
        os.close(top)


class Opened:
    """A host's directory as the helper has it."""

    def __init__(self, host: Path) -> None:
        self.path = host

    def __enter__(self) -> int:
        self.descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def fill(host: Path, folder: str = ONE) -> Path:
    data = host / SCOPE / folder / "data"
    for name, content in FILES.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    (data / "link").symlink_to("a.txt")
    return data


def read(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file() and not path.is_symlink()}


def list_left(host: Path) -> list[str]:
    return sorted(path.name for path in (host / SCOPE).iterdir()) if (host / SCOPE).exists() else []


def clear(host: Path) -> None:
    shutil.rmtree(host / SCOPE, ignore_errors=True)


def test_a_folder_is_made_whole_or_not_at_all(host):
    killed = 0
    for line in choose_lines(lambda: make(host), MODULES, MOST):
        clear(host)
        killed += run_and_kill(lambda: make(host), line, MODULES)
        if ONE in list_left(host):
            assert sorted(path.name for path in (host / SCOPE / ONE).iterdir()) == ["data", "work"]
        make(host)
        assert list_left(host) == [ONE]
    assert killed > 20


def test_a_folder_is_there_with_all_its_files_or_gone(host):
    def prepare() -> None:
        clear(host)
        make(host)
        fill(host)

    def work() -> None:
        remove(host)

    prepare()
    killed = 0
    for line in choose_lines(work, MODULES, MOST):
        prepare()
        killed += run_and_kill(work, line, MODULES)
        if ONE in list_left(host):
            assert read(host / SCOPE / ONE / "data") == FILES
        remove(host)
        assert list_left(host) == []
    assert killed > 20


def test_a_copy_goes_on_and_is_the_same_in_the_end(host):
    make(host)
    fill(host)

    def prepare() -> None:
        shutil.rmtree(host / SCOPE / TWO, ignore_errors=True)
        make(host, TWO)

    prepare()
    killed, copied = 0, host / SCOPE / TWO / "data"
    for line in choose_lines(lambda: copy(host), MODULES, MOST):
        prepare()
        killed += run_and_kill(lambda: copy(host), line, MODULES)
        # what has a name is whole
        assert read(copied).items() <= FILES.items()
        copy(host)
        assert read(copied) == FILES
        assert (copied / "link").readlink() == Path("a.txt")
        assert read(host / SCOPE / ONE / "data") == FILES
    assert killed > 20
    copy(host)  # once more changes nothing
    assert read(copied) == FILES
