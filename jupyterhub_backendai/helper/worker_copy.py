"""Copying a whole folder. Each file appears when it is whole, so whoever begins again after a kill goes on where it stopped."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat

from ..core.files import split_path
from ..errors import InvalidParameters, NotFound
from .openat2 import open_beneath
from .worker_access import inherit
from .worker_base import Answer, Job, Tree, open_regular
from .worker_errors import UNREADABLE
from .worker_files import FILE_MODE, make_directories
from .worker_tree import Found, Walk

_PIECE_BYTES = 16 * 1024 * 1024
_FICLONE = 0x40049409
_TOLD_EVERY = 200
_NO_COPY = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}


def directory(job: Job) -> Answer:
    """A handle of the folder's top, for a worker that copies from it."""
    return Answer({}, (job.tree.open_directory(b""),))


def copy(job: Job) -> Answer:
    """Copy everything beneath the directory that came along into this folder's top."""
    if not job.descriptors or not stat.S_ISDIR(os.fstat(job.descriptors[0]).st_mode):
        raise InvalidParameters(UNREADABLE)
    copier = Copier(job)
    walk = Walk(job.descriptors[0])
    for found in walk:
        copier.take(found)
    return Answer({"bytes": copier.bytes, "files": copier.files, "skipped": copier.skipped + walk.skipped})


class Copier:
    """Puts things into a folder, and counts."""

    def __init__(self, job: Job) -> None:
        self._job, self._tree = job, job.tree
        _ = job.tree.data, job.tree.work  # opened here: without them there is nothing to copy into
        self.bytes = self.files = self.skipped = 0

    def take(self, found: Found) -> None:
        """Copy one thing; directories are made, what is in them comes later."""
        mode = found.status.st_mode
        if found.is_directory:
            make_directories(self._tree, found.path, exist_ok=True)
        elif stat.S_ISLNK(mode):
            self._copy_link(found)
        elif stat.S_ISREG(mode):
            self._copy_file(found)
        else:
            self.skipped += 1
        self.files += 1
        if self.files % _TOLD_EVERY == 0:
            self._tell()

    def _tell(self) -> None:
        self._job.tell({"bytes": self.bytes, "files": self.files})

    def _copy_link(self, found: Found) -> None:
        try:
            text = os.readlink(found.name, dir_fd=found.parent)
        except OSError:  # gone since, or something else
            self.skipped += 1
            return
        parent, name = split_path(found.path)
        target = self._tree.open_directory(parent)
        try:
            os.symlink(text, name, dir_fd=target)
        except FileExistsError:
            pass
        finally:
            os.close(target)

    def _copy_file(self, found: Found) -> None:
        parent, name = split_path(found.path)
        target = self._tree.open_directory(parent)
        try:
            if _is_same(target, name, found.status):
                self.bytes += found.status.st_size
                return
            try:
                source, status = open_regular(found.parent, found.name)
            except (PermissionError, FileNotFoundError, NotFound):  # not this person's to read, or gone since
                self.skipped += 1
                return
            try:
                self._write(source, status, target, name)
            finally:
                os.close(source)
        finally:
            os.close(target)

    def _write(self, source: int, status: os.stat_result, target: int, name: bytes) -> None:
        new, hidden = make_file(self._tree, target)
        try:
            self._fill(source, new, status.st_size)
            settle_mode(new, target, status.st_mode)
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
            publish(self._tree, new, hidden, target, name)
        except BaseException:
            if hidden:
                os.unlink(hidden, dir_fd=self._tree.work)
            raise
        finally:
            os.close(new)

    def _fill(self, source: int, new: int, size: int) -> None:
        """The bytes; by reference where the file system can, else by the kernel, else by hand."""
        try:
            fcntl.ioctl(new, _FICLONE, source)
            self.bytes += size
            return
        except OSError as exc:
            if exc.errno in {errno.EDQUOT, errno.ENOSPC, errno.EIO}:
                raise
        while count := _copy_piece(source, new):
            self.bytes += count
            self._tell()


def _copy_piece(source: int, target: int) -> int:
    try:
        return os.copy_file_range(source, target, _PIECE_BYTES)
    except OSError as exc:
        if exc.errno not in _NO_COPY:
            raise
    data = os.read(source, 1024 * 1024)
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)


def _is_same(directory: int, name: bytes, status: os.stat_result) -> bool:
    try:
        known = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(known.st_mode) and (known.st_size, known.st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def make_file(tree: Tree, directory: int) -> tuple[int, bytes]:
    """A file for writing that nobody sees yet: without a name, or where the file system knows no such, with one in ``work``."""
    try:
        return open_beneath(directory, b"", os.O_TMPFILE | os.O_RDWR, FILE_MODE), b""
    except OSError as exc:
        if exc.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
    hidden = b"new-" + secrets.token_hex(16).encode()
    return open_beneath(tree.work, hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), hidden


def settle_mode(descriptor: int, directory: int, mode: int) -> None:
    """The permissions that the file has where it comes from, as far as those of the directory go; never setuid."""
    os.fchmod(descriptor, stat.S_IMODE(mode) & 0o777 & ~0o077 | (0o600 if not mode & 0o700 else 0))
    inherit(descriptor, directory, mode & 0o700)


def publish(tree: Tree, descriptor: int, hidden: bytes, directory: int, name: bytes) -> None:
    """Give a file its name. What is there under that name goes, but only when the new one is whole; a directory stays: Conflict."""
    if hidden:
        os.rename(hidden, name, src_dir_fd=tree.work, dst_dir_fd=directory)
        return
    link = f"/proc/self/fd/{descriptor}"
    try:
        os.link(link, name, dst_dir_fd=directory, follow_symlinks=True)
    except FileExistsError:
        other = b"new-" + secrets.token_hex(16).encode()
        os.link(link, other, dst_dir_fd=tree.work, follow_symlinks=True)
        try:
            os.rename(other, name, src_dir_fd=tree.work, dst_dir_fd=directory)
        except OSError:
            os.unlink(other, dir_fd=tree.work)
            raise
