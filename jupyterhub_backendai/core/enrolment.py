"""Where one-time passwords are typed, and from when whom they are forced upon. Without clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import InvalidParameters

OTP_FORMS = ("one-page", "two-step")
_NAMES = ("domain", "project", "role")


@dataclass(frozen=True, slots=True)
class Deadline:
    """From ``at`` on, who fits needs a one-time password. "" fits everybody."""

    at: datetime
    domain: str = ""
    project: str = ""
    role: str = ""

    def fits(self, domain: str, projects: Sequence[str], role: str) -> bool:
        """Whether it is for somebody of that domain, those projects and that role."""
        return self.domain in ("", domain) and (not self.project or self.project in projects) and self.role in ("", role)


def parse_deadlines(entries: Sequence[Mapping[str, Any]]) -> tuple[Deadline, ...]:
    """A setting's entries: ``from`` (a date, or a time with its zone; a date is UTC's) and any of domain, project, role.

    Raises InvalidParameters.
    """
    found = []
    for entry in entries:
        try:
            if unknown := set(entry) - {"from", *_NAMES}:
                raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
            at = datetime.fromisoformat(str(entry["from"]))
            names = {name: str(entry.get(name, "")) for name in _NAMES}
        except (KeyError, ValueError, TypeError) as exc:
            raise InvalidParameters("c.BackendAI.otp_forced_from: %(entry)s: %(reason)s", entry=str(entry), reason=str(exc)) from exc
        found.append(Deadline(at if at.tzinfo else at.replace(tzinfo=UTC), **names))
    return tuple(found)


def find_deadline(deadlines: Sequence[Deadline], domain: str, projects: Sequence[str], role: str) -> datetime | None:
    """When the first entry that fits begins to count; None when none does."""
    return next((deadline.at for deadline in deadlines if deadline.fits(domain, projects, role)), None)
