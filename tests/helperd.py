"""A real helper for tests: its own process, on its own socket, with directories that only root can change."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRAPPER = """
import json, os, sys, time
session = json.load(open(sys.argv[sys.argv.index("--session") + 1]))
print("started", session["session_id"], *filter(None, [session["environment"].get("GREETING")]), flush=True)
time.sleep(float(session["environment"].get("SLEEP", "300")))
sys.exit(int(session["environment"].get("EXIT", "0")))
"""


def wait_until(condition: Callable[[], Any], deadline_s: float = 30.0) -> Any:
    """The first true answer of a condition; an AssertionError when none comes in time."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline_s} s")


@dataclass
class RunningHelper:
    """A helper that listens, the directory its users' directories are in, and how to ask it."""

    base: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> Path:
        return self.base / "run" / "helper.sock"

    def root(self, user: str) -> Path:
        return self.base / "scratch" / user

    def ask_raw(self, line: bytes, timeout_s: float = 60.0) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(self.socket))
            with contextlib.suppress(BrokenPipeError):  # refused before we had asked
                connection.sendall(line + b"\n")
            answer = connection.makefile("rb").readline()
        return json.loads(answer) if answer else {}

    def ask(self, verb: str, user: str = "kim01", **fields: Any) -> dict[str, Any]:
        fields.setdefault("uid", pwd.getpwnam(user).pw_uid)
        return self.ask_raw(json.dumps({"verb": verb, "user": user, **fields}).encode())


@contextlib.contextmanager
def running_helper(*options: str, account: str = "", slurm_conf: str = "", prefix: Sequence[str] = ()) -> Iterator[RunningHelper]:
    """Start a helper (as root, or as ``account``; by another program, ``prefix``) and stop it with SIGTERM at the end."""
    base = Path(tempfile.mkdtemp(prefix="backendai-helper-", dir="/run"))
    try:
        base.chmod(0o755)
        for name in ("run", "scratch"):
            (base / name).mkdir(mode=0o755)
            if account:
                os.chown(base / name, pwd.getpwnam(account).pw_uid, -1)
        (base / "wrapper.py").write_text(WRAPPER)
        (base / "wrapper.py").chmod(0o644)
        command = [
            *(["runuser", "-u", account, "--"] if account else prefix),
            *(sys.executable, "-m", "jupyterhub_backendai.helper", "--socket", str(base / "run" / "helper.sock")),
            *("--user-root", f"{base}/scratch/{{user}}", "--python", "/usr/bin/python3", "--wrapper", str(base / "wrapper.py")),
            *options,
        ]
        variables = {**os.environ, "SLURM_CONF": slurm_conf} if slurm_conf else None
        process = subprocess.Popen(command, cwd=Path(__file__).parent.parent, env=variables)
        helper = RunningHelper(base, process)
        wait_until(helper.socket.exists)
        try:
            yield helper
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(15)
    finally:
        shutil.rmtree(base)
