"""A Linux of our own as an ordinary process (user-mode Linux): its kernel has what the machine's may lack, such as project quotas.

The guest sees the host's files, read-only, as its root; disks are image files. What it prints comes back line by line.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

KERNEL = "linux.uml"
BOOT_LIMIT_S = 90.0
_ROOT = Path(__file__).parent.parent
_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH={root} PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
chmod 755 /run
{python} {script} 2>&1
echo o >/proc/sysrq-trigger
sleep 60
"""


def run_guest(directory: Path, script: Path, disks: Sequence[Path], *, memory: str = "512M") -> list[str]:
    """Boot, run a Python program as root of the guest, and shut down; the lines that it printed."""
    init = directory / "init.sh"
    init.write_text(_INIT.format(root=_ROOT, python=sys.executable, script=script))
    init.chmod(0o755)
    drives = [f"ubd{letter}={disk}" for letter, disk in zip("abcd", disks, strict=False)]
    command = [KERNEL, f"mem={memory}", "rootfstype=hostfs", "rootflags=/", "ro", *drives, f"init={init}"]
    variables: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TMPDIR": str(directory)}
    done = subprocess.run(
        [*command, "con=null", "con0=null,fd:1", "quiet"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables,
        timeout=BOOT_LIMIT_S,
        check=False,
    )
    return done.stdout.decode(errors="replace").splitlines()
