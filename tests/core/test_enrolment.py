from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jupyterhub_backendai.core.enrolment import find_deadline, parse_deadlines
from jupyterhub_backendai.errors import InvalidParameters

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
ENTRIES = [
    {"from": "2026-12-01T09:00:00+09:00", "role": "superadmin"},
    {"from": "2027-01-01", "domain": "default", "project": "hpc"},
    {"from": "2028-01-01", "domain": "default"},
]


@pytest.mark.parametrize(
    ("domain", "projects", "role", "expected"),
    [
        ("default", ("hpc",), "superadmin", datetime(2026, 12, 1, 9, tzinfo=timezone(timedelta(hours=9)))),
        ("default", ("ai", "hpc"), "user", NEW_YEAR),
        ("default", ("ai",), "user", datetime(2028, 1, 1, tzinfo=UTC)),
        ("physics", ("hpc",), "admin", None),
    ],
)
def test_the_first_that_fits_counts(domain: str, projects: tuple[str, ...], role: str, expected: datetime | None) -> None:
    assert find_deadline(parse_deadlines(ENTRIES), domain, projects, role) == expected


@pytest.mark.parametrize("entry", [{}, {"from": "soon"}, {"from": "2027-01-01", "group": "x"}, {"from": None}, {"domain": "default"}])
def test_entries_that_cannot_be_read_are_named(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters, match="otp_forced_from"):
        parse_deadlines([entry])
