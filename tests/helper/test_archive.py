"""Archives: what is in them, that their length is what was said, and that other programs read them."""

from __future__ import annotations

import io
import os
import stat
import threading
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest

from jupyterhub_backendai.helper import archive
from jupyterhub_backendai.helper.archive import LEFT_OUT, Shortened, plan_archive, write_archive


def make(top: Path, *paths: bytes) -> bytes:
    descriptor = os.open(top, os.O_RDONLY)
    reader, writer = os.pipe()
    plan = plan_archive(descriptor, paths)
    errors = []

    def write() -> None:
        try:
            write_archive(plan, descriptor, writer)
        except Exception as exc:
            errors.append(exc)
        finally:
            os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reader, "rb") as file:
        data = file.read()
    thread.join()
    os.close(descriptor)
    if errors:
        raise errors[0]
    assert len(data) == plan.size
    return data


def read(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def test_files_of_all_sizes_modes_and_names(tmp_path):
    (tmp_path / "깊은" / "곳").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    contents = {"깊은/곳/자료 1.bin": os.urandom(3_000_000), "깊은/none": b"", "run.sh": b"#!/bin/sh\n", "half": os.urandom(600_000)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "run.sh").chmod(0o755)
    os.utime(tmp_path / "run.sh", (1_600_000_000, 1_600_000_000))
    data = make(tmp_path)
    assert read(data) == contents | {"empty/": b""}
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert stat.S_IMODE(found.getinfo("run.sh").external_attr >> 16) == 0o755
        assert found.getinfo("run.sh").date_time == (2020, 9, 13, 12, 26, 40)
        assert all(info.flag_bits & 0x800 for info in found.infolist())


def test_chosen_paths_come_under_their_last_names(tmp_path):
    for name in ("a/x", "b/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    assert read(make(tmp_path, b"a/x", b"b/x", b"b")) == {"x": b"a/x", "x (2)": b"b/x", "b/x": b"b/x"}


def test_what_is_no_file_is_left_out_and_named(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "inside").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("text")
    found = read(make(tmp_path))
    assert found.keys() == {"file", LEFT_OUT}
    assert [line for line in found[LEFT_OUT].decode().splitlines()[2:] if line] == ["fifo", "inside", "link"]


def test_names_that_mean_something_elsewhere(tmp_path):
    both = [unicodedata.normalize(form, "가").encode() for form in ("NFC", "NFD")]
    for name in (b"..\\..\\evil", b"\xff\xfe", b"a\nb", *both, "\u202eexe.txt".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    assert set(read(make(tmp_path))) == {".._.._evil", "%FF%FE", "a_b", "_exe.txt", *(name.decode() for name in both)}


def test_a_file_that_becomes_shorter_ends_the_archive(tmp_path):
    (tmp_path / "log").write_bytes(bytes(2_000_000))
    descriptor = os.open(tmp_path, os.O_RDONLY)
    plan = plan_archive(descriptor, [])
    (tmp_path / "log").write_bytes(b"short")
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(Shortened):
        write_archive(plan, descriptor, out)
    assert os.fstat(out).st_size < plan.size
    for each in (descriptor, out):
        os.close(each)


def test_a_file_that_grows_is_as_long_as_it_was(tmp_path):
    (tmp_path / "log").write_bytes(b"12345")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    plan = plan_archive(descriptor, [])
    (tmp_path / "log").write_bytes(b"1234567")
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    write_archive(plan, descriptor, out)
    assert read((tmp_path / "out").read_bytes()) == {"log": b"12345"}
    for each in (descriptor, out):
        os.close(each)


def test_a_file_swapped_for_a_link_after_counting_leaks_nothing(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    (tmp_path / "secret").write_bytes(bytes(100))
    (top / "file").write_bytes(bytes(100))
    descriptor = os.open(top, os.O_RDONLY)
    plan = plan_archive(descriptor, [])
    (top / "file").unlink()
    (top / "file").symlink_to(tmp_path / "secret")
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(Shortened):
        write_archive(plan, descriptor, out)
    for each in (descriptor, out):
        os.close(each)


def test_more_entries_than_the_old_format_counts(tmp_path):
    for number in range(65_600):
        os.close(os.open(tmp_path / f"{number}", os.O_CREAT | os.O_WRONLY))
    data = make(tmp_path)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert len(found.namelist()) == 65_600


def test_a_file_larger_than_the_old_format_knows(tmp_path):
    """5 GiB of nothing, which nobody reads: what is behind them must lead to the right places."""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(5 * 1024**3)
    (tmp_path / "small").write_bytes(b"behind it")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    plan = plan_archive(descriptor, [])
    big, small = plan.items
    small.crc = zlib.crc32(b"behind it")
    behind = archive._descriptor(big) + archive._header(small) + b"behind it"
    central = b"".join(archive._central(item) for item in plan.items)
    begin = len(archive._header(big)) + big.size + len(behind)
    end = behind + central + archive._end(2, begin, len(central))
    assert plan.size == len(archive._header(big)) + big.size + len(end)
    with zipfile.ZipFile(_Sparse(end, plan.size)) as found:
        assert found.getinfo("big").file_size == 5 * 1024**3
        assert found.read("small") == b"behind it"
    os.close(descriptor)


class _Sparse(io.RawIOBase):
    """A file of which only the end is there."""

    def __init__(self, end: bytes, size: int) -> None:
        self._end, self._size, self._at = end, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        begin = self._at - (self._size - len(self._end))
        assert begin >= 0
        found = self._end[begin : begin + size] if size >= 0 else self._end[begin:]
        self._at += len(found)
        return found
