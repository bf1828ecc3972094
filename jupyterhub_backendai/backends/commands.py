"""Running an engine's command: an argument list, an environment built from nothing, a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Counter

from ..errors import BackendUnavailable

COMMANDS = Counter("backendai_engine_commands_total", "Commands given to an engine", ["engine", "command", "result"])


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command said; ``output`` and ``errors`` may hold bytes that were no text, as replacement characters."""

    returncode: int
    output: str
    errors: str


class CommandFailed(BackendUnavailable):
    """A command could not be run or took too long."""

    code = "backendai_engine_command-failed"


async def run(engine: str, arguments: Sequence[str], *, timeout_s: float, stdin: bytes | None = None) -> CommandResult:
    """Run one command and wait for it; ``stdin`` is what it reads. Raises CommandFailed; cancelling the caller kills it too.

    Its environment is the path, the language and, when we have one ourselves, SLURM_CONF: no secret of ours can be in it.
    """
    name = Path(arguments[0]).name
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as exc:
        COMMANDS.labels(engine, name, "missing").inc()
        raise CommandFailed("%(program)s: %(reason)s", program=arguments[0], reason=exc.strerror or str(exc)) from exc
    result = "cancelled"
    try:
        output, errors = await asyncio.wait_for(process.communicate(stdin), timeout_s)
        result = "ok" if process.returncode == 0 else "failed"
    except TimeoutError as exc:
        result = "timeout"
        raise CommandFailed("%(program)s gave no answer in %(seconds)s s", program=name, seconds=f"{timeout_s:g}") from exc
    finally:
        COMMANDS.labels(engine, name, result).inc()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # what sudo started is another account's
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):  # one that is stuck in the kernel is left behind
                await asyncio.wait_for(process.wait(), 1)
    return CommandResult(process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace"))


def _environment() -> dict[str, str]:
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    if conf := os.environ.get("SLURM_CONF"):
        variables["SLURM_CONF"] = conf
    return variables
