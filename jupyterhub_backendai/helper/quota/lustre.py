"""Project quotas of Lustre, by its own tool ``lfs``."""

from __future__ import annotations

import os
import re
import subprocess

from ...errors import N_, Conflict
from .base import Driver, Reading, file_system_type, make_directory, open_scope

_MAGIC = 0x0BD00BD0
_TIMEOUT_S = 20.0
_FIRST, _COUNT = 0x40000000, 0x40000000
# one line of `lfs project -d`: number, P where new files inherit it, path
_PROJECT = re.compile(r"\s*(\d+)\s+([P-])\s", re.ASCII)
# one line of `lfs quota -q -p`: path, KiB used, soft, hard, grace, files …; a star marks what is too much, brackets what one server does
# not say
_QUOTA = re.compile(r"\s+\[?(\d+)\]?\*?\s+\d+\s+(\d+)\s+\S+\s+\[?(\d+)\]?\*?\s", re.ASCII)


class Lustre(Driver):
    """Needs project quotas on (``lctl conf_param … quota.ost=p``, also ``quota.mdt``); the servers enforce them."""

    name = "lustre"

    def __init__(self, program: str = "lfs", magic: int = _MAGIC) -> None:
        self.program, self.magic = program, magic

    def probe(self, host: int) -> str:
        try:
            if file_system_type(host) != self.magic:
                return "the file system is not Lustre"
            self._quota(host, _FIRST)
        except (OSError, Conflict) as exc:
            return str(exc)
        return ""

    def prepare(self, host: int, scope: str) -> None:
        make_directory(host, scope)
        with open_scope(host, scope) as directory:
            if self._project(directory):
                return
            start = os.fstat(directory).st_ino % _COUNT
            for step in range(1000):
                number = _FIRST + (start + step) % _COUNT
                if not any(self._quota(directory, number)):
                    self._run("project", "-p", str(number), "-s", descriptor=directory)
                    return
        raise Conflict(N_("The quota of %(scope)s cannot be set or read: %(reason)s."), scope=scope, reason="no free project number")

    def set_limit(self, host: int, scope: str, limit: int) -> None:
        with open_scope(host, scope) as directory:
            self._run("setquota", "-p", str(self._checked(directory)), "-b", "0", "-B", f"{limit // 1024}K", descriptor=directory)

    def read(self, host: int, scope: str, *, sync: bool = False) -> Reading:  # noqa: ARG002 - the servers know at once
        with open_scope(host, scope) as directory:
            used, hard, files = self._quota(directory, self._checked(directory))
        return Reading(used * 1024, files, hard * 1024)

    def _project(self, directory: int) -> int:
        """The number of ours that a directory has, else 0."""
        found = _PROJECT.match(self._run("project", "-d", descriptor=directory))
        number = int(found[1]) if found and found[2] == "P" else 0
        return number if _FIRST <= number < _FIRST + _COUNT else 0

    def _checked(self, directory: int) -> int:
        number = self._project(directory)
        if not number:
            raise Conflict(N_("The quota of %(scope)s cannot be set or read: %(reason)s."), scope="", reason="no project number of ours")
        return number

    def _quota(self, descriptor: int, project: int) -> tuple[int, int, int]:
        """KiB used, KiB at most, files."""
        answer = self._run("quota", "-q", "-p", str(project), descriptor=descriptor)
        found = _QUOTA.search(answer)
        if not found:
            raise Conflict(N_("The quota of %(scope)s cannot be set or read: %(reason)s."), scope=str(project), reason=answer[:200])
        return int(found[1]), int(found[2]), int(found[3])

    def _run(self, *arguments: str, descriptor: int) -> str:
        """The tool on a directory that is open: nobody can put another in its place meanwhile."""
        try:
            done = subprocess.run(
                [self.program, *arguments, f"/proc/self/fd/{descriptor}"],
                pass_fds=[descriptor],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise Conflict(N_("%(program)s cannot be run: %(reason)s"), program=self.program, reason=str(exc)) from exc
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()[:200]
            raise Conflict(N_("The quota of %(scope)s cannot be set or read: %(reason)s."), scope="", reason=words)
        return done.stdout.decode(errors="replace")
