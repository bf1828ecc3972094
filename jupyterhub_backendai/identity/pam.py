"""Codes checked by a PAM service of this machine: whatever a centre has modules for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import sys
from pathlib import Path

from ..config import BackendAI
from ..errors import FactorUnavailable, InvalidParameters
from .factors import FactorAnswer, FactorQuestion

log = logging.getLogger(__name__)

AT_ONCE = 4
_CHILD = Path(__file__).with_name("pam_child.py")
_SERVICE = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_SUCCESS = 0
# PAM's numbers that are the machine's trouble: a module that is missing, or cannot read or reach what it needs. Any other number is a
# refusal and counts against the person, because some modules (pam_exec) answer with a system error to a wrong code.
_TROUBLE = {-1, 1, 2, 3, 5, 8, 9, 26, 28}
_REASONS = {6: "not-allowed", 10: "unknown", 11: "locked", 12: "expired", 13: "expired", 16: "expired"}


class Pam:
    """One PAM service. Each question runs in a process of its own, which is ended when it takes too long."""

    joins_password = False
    asks_first = False

    def __init__(self, settings: BackendAI) -> None:
        self._settings = settings
        self.wants_password = settings.otp_sends != "code"
        if not _SERVICE.match(settings.otp_pam_service):
            raise InvalidParameters("c.BackendAI.otp_pam_service: %(name)s is no name of a service.", name=settings.otp_pam_service)
        # An unknown service would be PAM's service `other`, which somebody may have opened.
        if not any(Path(directory, settings.otp_pam_service).is_file() for directory in ("/etc/pam.d", "/usr/lib/pam.d")):
            raise InvalidParameters("There is no /etc/pam.d/%(name)s.", name=settings.otp_pam_service)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """One conversation; see :class:`identity.factors.SecondFactor`."""
        if not question.code:
            return FactorAnswer("refused", "no-code")
        answers = {"code": [question.code], "password+code": [question.password + question.code]}.get(
            self._settings.otp_sends, [question.password, question.code]
        )
        if any("\0" in answer for answer in answers):
            return FactorAnswer("refused", "wrong-password")
        name = self._settings.otp_name.replace("{name}", question.name)
        request = {"service": self._settings.otp_pam_service, "name": name, "answers": answers, "source": question.source}
        try:
            async with asyncio.timeout(self._settings.otp_timeout_s), self._turn:
                code = await _converse(json.dumps(request).encode())
        except TimeoutError as exc:
            log.warning("PAM's service %s says nothing", self._settings.otp_pam_service)
            raise FactorUnavailable from exc
        if code == _SUCCESS:
            return FactorAnswer("ok")
        if code in _TROUBLE:
            log.warning("PAM's service %s fails with error %s", self._settings.otp_pam_service, code)
            raise FactorUnavailable
        return FactorAnswer("refused", _REASONS.get(code, "wrong-code"))

    async def close(self) -> None:
        """Nothing stays open between two questions."""


async def _converse(request: bytes) -> int:
    """PAM's number for a request; -1 when the process died."""
    pipe = asyncio.subprocess.PIPE
    # Our environment holds the hub's token, and some modules hand theirs on to programs.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(_CHILD), stdin=pipe, stdout=pipe, stderr=pipe, env={"PATH": os.defpath, "LANG": "C.UTF-8"}
    )
    try:
        output, errors = await process.communicate(request)
    finally:
        if process.returncode is None:
            # One that hangs in the kernel is left to end by itself.
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                process.kill()
                await asyncio.wait_for(process.wait(), 1)
    try:
        return int(json.loads(output)["code"])
    except (ValueError, KeyError, TypeError):
        log.warning("The conversation with PAM broke off (%s): %s", process.returncode, errors.decode(errors="replace")[-300:])
        return -1
