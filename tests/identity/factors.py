"""Second factors for tests: what they remember of used codes, and codes that do not run out while they are tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import otp
from jupyterhub_backendai.identity import make_factor
from jupyterhub_backendai.identity.factors import FactorAnswer, FactorQuestion, SecondFactor
from tests import lab


class Memory:
    """Takes each code once, as the database does."""

    def __init__(self) -> None:
        self.taken: set[tuple[str, str]] = set()

    async def take(self, name: str, code: str) -> bool:
        is_new = (name, code) not in self.taken
        self.taken.add((name, code))
        return is_new


def connect(directory: Path, backend: str, *, secret: str = "", people: Any = None, memory: Memory | None = None, **settings: Any) -> Any:
    """A second factor of these settings, with its secret in a file."""
    if secret:
        path = Path(directory, "otp-secret")
        path.write_text(secret + "\n")
        path.chmod(0o600)
        settings["otp_secret_file"] = str(path)
    return make_factor(BackendAI(otp_backend=backend, **settings), people, (memory or Memory()).take)


async def ask(
    factor: SecondFactor, name: str, code: str | Callable[[], str] = "", *, password: str | None = None, state: str = "", source: str = ""
) -> FactorAnswer:
    """The answer to a code, which is made again when its thirty seconds ended meanwhile."""
    while True:
        step = otp.step_of(time.time())
        typed = code if isinstance(code, str) else code()
        question = FactorQuestion(name, typed, lab.password(name) if password is None else password, source, state)
        answer = await factor.verify(question)
        if answer.outcome != "refused" or otp.step_of(time.time()) == step or isinstance(code, str):
            return answer
