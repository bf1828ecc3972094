from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from jupyterhub_backendai.backends.commands import COMMANDS, CommandFailed, run
from tests.helperd import wait_until


def count(command: str, result: str) -> float:
    return COMMANDS.labels("test", command, result)._value.get()


async def test_the_environment_is_built_from_nothing(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    before = count("env", "ok")
    answer = await run("test", ["/usr/bin/env"], timeout_s=10)
    assert {line.split("=")[0] for line in answer.output.splitlines()} == {"PATH", "LANG", "SLURM_CONF"}
    assert count("env", "ok") == before + 1


async def test_failures_are_answers():
    answer = await run("test", ["/bin/sh", "-c", "printf '\\377'; echo no >&2; exit 3"], timeout_s=10)
    assert (answer.returncode, answer.output, answer.errors) == (3, "\ufffd", "no\n")
    with pytest.raises(CommandFailed, match="No such file"):
        await run("test", ["/nonexistent/squeue"], timeout_s=10)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_hanging_command_and_its_children_are_ended(tmp_path):
    script = f"sleep 600 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(CommandFailed, match=r"no answer in 0\.5 s"):
        await run("test", ["/bin/sh", "-c", script], timeout_s=0.5)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid))


async def test_cancelling_the_caller_ends_the_command(tmp_path):
    task = asyncio.create_task(run("test", ["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 600"], timeout_s=600))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_until(lambda: not is_running(pid))
    assert os.getpid() != pid
