"""Our program through a narrow rule of sudo: one command with fixed arguments, as the user or as Slurm's operator."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import N_, BackendAIError, Forbidden, InvalidParameters, from_problem
from .commands import CommandFailed, CommandResult, run
from .slurm_verbs import CallerUnavailable

log = logging.getLogger(__name__)
PATH = "/usr/local/bin:/usr/bin:/bin"
TIMEOUT_S = 35.0  # a little more than the program gives itself
OPERATIONS = frozenset({"drain", "extend", "resume"})
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)


class SudoUnavailable(CallerUnavailable):
    code = "backendai_sudo_unavailable"
    default_message = N_(
        "Sessions cannot be started or stopped right now, because this machine does not let the platform act for you. "
        "Running sessions go on; tell the help desk if it stays."
    )


class Sudo:
    """Runs ``sudo -n -u <user> -- <command>`` for each request. ``operator`` "" means that nobody may do an operator's things."""

    program: Sequence[str] = ("sudo",)

    def __init__(self, command: Sequence[str], user: str, operator: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._command, self._user, self._operator, self._timeout_s = list(command), user, operator, timeout_s

    async def call(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Ask for one thing. Raises the error that the program answered with, or SudoUnavailable."""
        if verb in OPERATIONS:
            if not self._operator:
                raise Forbidden
            arguments = self._build(self._operator, "--operate")
        else:
            arguments = self._build(self._user.replace("{user}", str(fields.get("user", ""))))
        request = json.dumps({"verb": verb, **fields}).encode() + b"\n"
        try:
            return _read(await self._run(arguments, request))
        except SudoUnavailable as exc:  # people are told that it does not work, administrators why
            log.warning("sudo does not let us %s: %s", verb, exc.__cause__)
            raise

    def _build(self, account: str, *more: str) -> list[str]:
        if not _USER.fullmatch(account):  # sudo would take #0 for a uid
            raise InvalidParameters(N_("%(name)s is no name of a Unix account."), name=account)
        return [*self.program, "-n", "-u", account, "--", *self._command, *more]

    async def _run(self, arguments: Sequence[str], request: bytes) -> CommandResult:
        try:
            return await run("sudo", arguments, timeout_s=self._timeout_s, stdin=request)
        except CommandFailed as exc:
            raise SudoUnavailable from exc

    async def check(self) -> Sequence[str]:
        """What is missing, in English; whether there is a rule is asked of sudo itself, where it is not one per person."""
        if problems := self._list_missing():
            return problems
        rules = [(self._operator, "--operate")] if self._operator else []
        rules += [] if "{user}" in self._user else [(self._user, "")]
        return [problem for account, option in rules for problem in await self._check_rule(account, *filter(None, [option]))]

    def _list_missing(self) -> list[str]:
        if not self._command or not Path(self._command[0]).is_absolute():
            return ["c.BackendAI.slurm_sudo_command must begin with an absolute path."]
        if not shutil.which("sudo", path=PATH):
            return ["c.BackendAI.slurm_submit is 'sudo', but there is no sudo on this machine."]
        paths = [Path(word) for word in self._command if word.startswith("/")]
        return [f"c.BackendAI.slurm_sudo_command: {path} is not there." for path in paths if not path.exists()]

    async def _check_rule(self, account: str, *more: str) -> list[str]:
        with contextlib.suppress(BackendAIError):
            if (await run("sudo", [*self.program, "-n", "-l", "-u", account, *self._command, *more], timeout_s=10)).returncode == 0:
                return []
        return [f"sudo has no rule for {' '.join([*self._command, *more])} as {account}; see docs/howto-slurm-submit.md."]


def _read(answer: CommandResult) -> dict[str, Any]:
    """The program's answer. sudo itself, and a program that is set up wrongly, say what is wrong to standard error."""
    try:
        fields = json.loads(answer.output) if answer.returncode == 0 else None
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise SudoUnavailable from RuntimeError(answer.errors.strip()[:500] or f"status {answer.returncode}")
    if not fields.pop("ok", False):
        raise from_problem(fields)
    return fields
