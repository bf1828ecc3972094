"""File systems of our own on loop files, for tests of quotas and of what a full or stuck disk does. Needs root."""

from __future__ import annotations

import contextlib
import shutil
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


@contextlib.contextmanager
def mounted_btrfs(size: int = 256 * MIB, *, with_quota: bool = True) -> Iterator[Path]:
    """An empty btrfs, with qgroups unless told otherwise; everybody can get to it. Gone at the end, whatever still uses it."""
    directory = Path(tempfile.mkdtemp(prefix="btrfs-", dir="/run"))
    directory.chmod(0o711)  # and nobody but root can change it, as a helper demands
    image, target = directory / "btrfs.img", directory / "btrfs"
    target.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    run("mkfs.btrfs", "-q", "-m", "single", image)
    run("mount", "-o", "loop", image, target)
    try:
        if with_quota:
            run("btrfs", "quota", "enable", target)
        target.chmod(0o711)
        yield target
    finally:
        run("umount", "-l", target)
        shutil.rmtree(directory)
