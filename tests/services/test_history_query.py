from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jupyterhub_backendai.errors import InvalidParameters
from jupyterhub_backendai.services.history import read_query


def read(**values):
    return read_query(lambda name: values.get(name.replace("from", "from_"), ""))


def test_days_are_whole():
    query = read(from_="2026-11-01", to="2026-11-30")
    assert (query.since, query.until) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize("day", ["9999-12-31", "2026-02-30", "0000-01-01", "today", "2026-11-21T10:00", "\ud800"])
def test_a_day_that_is_none_is_refused_in_words(day):
    with pytest.raises(InvalidParameters) as caught:
        read(to=day)
    assert [violation.field for violation in caught.value.violations] == ["to"]
