"""The client of the helper: one request, one answer, over its unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from ..errors import N_, from_problem
from .commands import COMMANDS
from .slurm_verbs import CallerUnavailable

TIMEOUT_S = 35.0  # a little more than the helper gives itself, so that its own words arrive
_MAX_ANSWER_BYTES = 2 * 1024 * 1024


class HelperUnavailable(CallerUnavailable):
    code = "backendai_helper_unavailable"
    default_message = N_(
        "Sessions cannot be started or stopped right now, because the helper does not answer. Running sessions go on; "
        "tell the help desk if it stays."
    )


class Helper:
    """Talks to the helper at a socket; see :mod:`jupyterhub_backendai.helper.requests` for the verbs and their fields."""

    def __init__(self, path: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s

    async def call(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Ask for one thing. Raises the error that the helper answered with, or HelperUnavailable."""
        result = "failed"
        try:
            answer = await asyncio.wait_for(self._exchange(json.dumps({"verb": verb, **fields})), self._timeout_s)
            result = "ok" if answer.get("ok") else "refused"
        except (OSError, TimeoutError, ValueError) as exc:
            raise HelperUnavailable from exc
        finally:
            COMMANDS.labels("helper", verb, result).inc()
        if not answer.pop("ok", False):
            raise from_problem(answer)
        return answer

    async def check(self) -> Sequence[str]:
        """What is wrong with the way to the helper, in English."""
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except OSError as exc:
            return [f"The helper does not run: {self._path}: {exc.strerror}. Jobs would run as the account of the hub."]
        writer.close()
        return []

    async def _exchange(self, line: str) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=_MAX_ANSWER_BYTES)
        try:
            writer.write(line.encode() + b"\n")
            await writer.drain()
            answer = json.loads(await reader.readline())
        finally:
            writer.close()
        if not isinstance(answer, dict):
            raise ValueError("no object")  # noqa: TRY004 - what came is bad, not its type
        return answer
