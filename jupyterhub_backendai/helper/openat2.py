"""System calls that Python has no name for: opening beneath a directory whatever happens to the path, and renames that say how."""

from __future__ import annotations

import ctypes
import errno
import functools
import os

_SYS_OPENAT2 = 437  # the same on every architecture
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_RETRIES = 64
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(directory: int, path: bytes, flags: int, mode: int = 0, *, follow: bool = False) -> int:
    """A descriptor of something beneath a directory; b"" is the directory. The kernel refuses each step that leads out.

    ``follow``: symbolic links are followed where they stay inside; without it no link is followed anywhere in the path. Raises
    OSError: EXDEV or ELOOP for what leads out or is a link, EAGAIN where renames around it never end.
    """
    flags |= os.O_CLOEXEC
    if not follow:
        flags |= os.O_NOFOLLOW
    if not has_openat2():
        return _walk(directory, path or b".", flags, mode)
    how = _OpenHow(flags, mode, _BENEATH | _NO_MAGICLINKS | (0 if follow else _NO_SYMLINKS))
    for _ in range(_RETRIES):
        found: int = _libc.syscall(_SYS_OPENAT2, directory, path or b".", ctypes.byref(how), ctypes.sizeof(how))
        if found >= 0:
            return found
        number = ctypes.get_errno()
        # EAGAIN: something was renamed while the kernel looked. A file under a lease says the same, and stays so.
        if number not in {errno.EINTR, errno.EAGAIN}:
            break
    raise OSError(number, os.strerror(number))


@functools.cache
def has_openat2() -> bool:
    """Whether this kernel (and its seccomp filter) knows the call; without it no link at all is followed."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _BENEATH)
    found = _libc.syscall(_SYS_OPENAT2, -100, b".", ctypes.byref(how), ctypes.sizeof(how))
    if found >= 0:
        os.close(found)
    return bool(found >= 0)


def _walk(directory: int, path: bytes, flags: int, mode: int) -> int:
    """The same by hand, a step at a time, each through the descriptor of the one before."""
    current = os.dup(directory)
    *above, last = path.split(b"/")
    try:
        for part in above:
            if part in {b"", b".", b".."}:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = below
        if last in {b"", b".."}:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return os.open(last, flags | os.O_NOFOLLOW, mode, dir_fd=current)
    finally:
        os.close(current)


def rename_new(source: bytes, target: bytes, source_dir: int, target_dir: int) -> None:
    """Rename, and never over something. Raises FileExistsError where the name is taken, OSError."""
    try:
        _rename(source, target, source_dir, target_dir, _RENAME_NOREPLACE)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        _rename_new_by_hand(source, target, source_dir, target_dir)


def exchange(source: bytes, target: bytes, source_dir: int, target_dir: int) -> None:
    """Let two names change places at once. Raises OSError; EINVAL where the file system cannot."""
    _rename(source, target, source_dir, target_dir, _RENAME_EXCHANGE)


def _rename(source: bytes, target: bytes, source_dir: int, target_dir: int, flags: int) -> None:
    if _libc.renameat2(source_dir, source, target_dir, target, flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(target))


def _rename_new_by_hand(source: bytes, target: bytes, source_dir: int, target_dir: int) -> None:
    """Where there is no such flag (NFS): a hard link never overwrites, and a directory never replaces one that has something in it."""
    try:
        os.link(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir, follow_symlinks=False)
    except (PermissionError, IsADirectoryError):
        try:
            os.stat(target, dir_fd=target_dir, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)
            return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
    os.unlink(source, dir_fd=source_dir)
