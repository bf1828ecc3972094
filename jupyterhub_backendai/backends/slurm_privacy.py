"""Whether Slurm hides other people's jobs from us: then it says of a job that lives that there is none of that id.

``PrivateData=jobs`` does that to everybody but root, Slurm's own account and its operators. Nothing that such a cluster does not show
is gone, so the hub's account must be an operator there; until it is, what cannot be seen stays unknown.
"""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ..errors import BackendAIError
from .commands import CommandResult
from .slurm_rules import build_config, parse_config

log = logging.getLogger(__name__)
KNOWN_S = 300.0
_LEVELS = frozenset({"administrator", "operator"})

Ask = Callable[[Sequence[str]], Awaitable[CommandResult]]


def own_account() -> str:
    """The Unix account that asks, "" for root, from whom nothing is hidden."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name if uid else ""
    except KeyError:
        return str(uid)


class Privacy:
    """Asks for it only when something is about to be called gone, and again after five minutes."""

    def __init__(self, ask: Ask, slurm_bin: str, clock: Callable[[], float]) -> None:
        self._ask, self._slurm_bin, self._clock = ask, slurm_bin, clock
        self._hides, self._asked_at = True, float("-inf")

    async def hides_jobs(self) -> bool:
        """Whether jobs of others may be hidden from us; also when that cannot be told now."""
        account = own_account()
        if not account:
            return False
        if self._clock() - self._asked_at >= KNOWN_S:
            try:
                hides = await self._read(account)
            except BackendAIError:
                return True
            if hides:
                log.warning("PrivateData hides jobs from %s: make it an operator of Slurm, or what ended there stays unknown", account)
            self._hides, self._asked_at = hides, self._clock()
        return self._hides

    async def _read(self, account: str) -> bool:
        config = parse_config((await self._ask(build_config(self._slurm_bin))).output)
        private = config.get("PrivateData")
        if private is None:
            return True  # an answer without it is none
        if not {"jobs", "all"} & {word.strip().lower() for word in private.split(",")}:
            return False
        if config.get("SlurmUser", "").partition("(")[0] == account:
            return False
        if "slurmdbd" not in config.get("AccountingStorageType", ""):
            return True  # nobody can be made an operator
        return parse_level((await self._ask(build_level(self._slurm_bin, account))).output) not in _LEVELS


def build_level(slurm_bin: str, account: str) -> list[str]:
    """What somebody may do in Slurm."""
    return [str(Path(slurm_bin, "sacctmgr")), "-nP", "show", "user", f"name={account}", "format=adminlevel"]


def parse_level(text: str) -> str:
    """The word in the answer of :func:`build_level`, "" for one that Slurm does not know."""
    lines = text.split()
    return lines[0].lower() if lines else ""
