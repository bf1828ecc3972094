"""Tokens (JWT) in a user's name, which slurmrestd takes instead of a password."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import jwt

from ..errors import N_, BackendAIError, Forbidden, SchedulerUnavailable
from .commands import run

LIFETIME_S = 300
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_TOKEN = re.compile(r"^SLURM_JWT=([A-Za-z0-9_.-]+)\s*$", re.ASCII | re.MULTILINE)


class Tokens:
    """Makes tokens: signed with Slurm's own key where we may read it, else by ``scontrol token``, which only an operator may."""

    def __init__(self, key_file: str, slurm_bin: str, *, lifetime_s: int = LIFETIME_S, timeout_s: float = 20.0) -> None:
        self._key_file, self._slurm_bin, self._lifetime_s, self._timeout_s = key_file, slurm_bin, lifetime_s, timeout_s
        self._made: dict[str, tuple[str, float]] = {}

    async def make(self, user: str) -> str:
        """A token for a Unix name, valid for at least half its lifetime. Raises SchedulerUnavailable, Forbidden for what is no name."""
        if not _USER.fullmatch(user):
            raise Forbidden(N_("%(name)s is no name of a Unix account."), name=user)
        token, made_at = self._made.get(user, ("", 0.0))
        if not token or time.monotonic() - made_at > self._lifetime_s / 2:
            made_at = time.monotonic()
            token = await (self._sign(user) if self._key_file else self._ask(user))
            self._made = {name: made for name, made in self._made.items() if made_at - made[1] < self._lifetime_s}
            self._made[user] = token, made_at
        return token

    async def _sign(self, user: str) -> str:
        try:
            key = await asyncio.to_thread(Path(self._key_file).read_bytes)
        except OSError as exc:
            raise SchedulerUnavailable from exc
        now = int(time.time())
        return jwt.encode({"iat": now, "exp": now + self._lifetime_s, "sun": user}, key, algorithm="HS256")

    async def _ask(self, user: str) -> str:
        command = [str(Path(self._slurm_bin, "scontrol")), "token", f"username={user}", f"lifespan={self._lifetime_s}"]
        try:
            answer = await run("slurm", command, timeout_s=self._timeout_s)
        except BackendAIError as exc:
            raise SchedulerUnavailable from exc
        found = _TOKEN.search(answer.output)
        if answer.returncode or not found:
            raise SchedulerUnavailable from RuntimeError(f"scontrol token: {answer.errors.strip()[:500]}")
        return found[1]
