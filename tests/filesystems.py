"""File systems of our own on loop files, for tests of quotas and of what a full or stuck disk does. Needs root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

MIB = 1024**2


def run(*arguments: str | Path) -> str:
    """A program that must succeed; what it said."""
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout.decode()


def enable_quota(path: Path, *, is_simple: bool) -> None:
    """By the kernel's own call: the distribution's tools may be older than simple quotas."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(directory, 0xC0109428, bytearray(struct.pack("=2Q", 4 if is_simple else 1, 0)))
    finally:
        os.close(directory)


@contextlib.contextmanager
def mounted_btrfs(size: int = 256 * MIB, *, quota: str = "classic") -> Iterator[Path]:
    """An empty btrfs, with qgroups (``classic``, ``simple`` or ""); everybody can get to it. Gone at the end, whatever still uses it."""
    directory = Path(tempfile.mkdtemp(prefix="btrfs-", dir="/run"))
    directory.chmod(0o711)  # and nobody but root can change it, as a helper demands
    image, target = directory / "btrfs.img", directory / "btrfs"
    target.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    run("mkfs.btrfs", "-q", "-m", "single", image)
    run("mount", "-o", "loop", image, target)
    try:
        if quota:
            enable_quota(target, is_simple=quota == "simple")
        target.chmod(0o711)
        yield target
    finally:
        run("umount", "-l", target)
        shutil.rmtree(directory)
