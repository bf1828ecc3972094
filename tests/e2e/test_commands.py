"""``script/run --check``, as people run it: the main job through a browser's eyes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "script" / "run"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def check(*arguments: str, prefix: tuple[str, ...] = (), **variables: str) -> dict:
    command = [*prefix, str(RUN), "--check", *arguments]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=280)
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout + done.stderr
    line = json.loads(lines[0])
    assert list(line) == ["ok", "engine", "login_s", "table_s", "submit_s", "ready_s", "cell_s", "stop_s", "error"]
    assert done.returncode == (0 if line["ok"] else 1)
    return line


@pytest.fixture
def state():
    """Short: a unix socket lies in it."""
    directory = Path(f"/var/tmp/backendai-check-{os.getpid()}")
    yield str(directory)
    for path in (directory, Path(f"{directory}-check")):
        shutil.rmtree(path, ignore_errors=True)


def test_the_embedded_default(state):
    line = check(BACKENDAI_STATE=state)
    assert (line["ok"], line["engine"], line["error"]) == (True, "local", "")


@pytest.mark.root
@pytest.mark.ldap  # for a Unix user with a home
def test_an_ordinary_user(state):
    Path(f"{state}-check").mkdir()
    shutil.chown(f"{state}-check", "kim02")
    variables = ("env", f"BACKENDAI_STATE={state}", "HOME=/home/kim02")
    line = check(prefix=("runuser", "-u", "kim02", "--", *variables))
    assert (line["ok"], line["error"]) == (True, "")


@pytest.mark.root
@pytest.mark.ldap
@pytest.mark.slurm
def test_the_lab_twice_in_a_row(state):
    for _ in range(2):
        line = check("--lab", BACKENDAI_STATE=state)
        assert (line["ok"], line["engine"], line["error"]) == (True, "slurm", "")
