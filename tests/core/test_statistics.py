from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.core.statistics import Batch, cut, parse_period, spread, sum_up
from jupyterhub_backendai.errors import InvalidParameters

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("unit", "days"),
    [
        ("day", ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03"]),
        ("week", ["2026-01-30", "2026-02-02", "2026-02-03"]),
        ("month", ["2026-01-30", "2026-02-01", "2026-02-03"]),
    ],
)
def test_the_buckets_of_a_period(unit, days):
    assert [day.isoformat() for day in cut(date(2026, 1, 30), date(2026, 2, 2), unit)] == days


def test_the_last_30_days_are_meant_without_a_word():
    period = parse_period({}, NOW)
    assert (period.first, period.last, period.unit, len(period.edges)) == (date(2026, 2, 14), date(2026, 3, 15), "day", 31)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"from": "yesterday", "to": "2026-02-30", "unit": "year"}, ["from", "to", "unit"]),
        ({"from": "2026-03-02", "to": "2026-03-01"}, ["to"]),
        ({"from": "2000-01-01"}, ["unit"]),
        ({"from": "0001-01-01", "unit": "month"}, ["from"]),
        ({"to": "9999-12-31"}, ["to"]),
    ],
)
def test_what_no_period_is(arguments, fields):
    with pytest.raises(InvalidParameters) as caught:
        parse_period(arguments, NOW)
    assert sorted(violation.field for violation in caught.value.violations) == fields


@given(st.lists(st.tuples(st.integers(0, 5 * 86400), st.integers(0, 5 * 86400), st.integers(1, 64)), max_size=20))
def test_slot_hours_are_divided_as_by_walking_every_session(sessions):
    period = parse_period({"from": "2026-03-01", "to": "2026-03-05"}, NOW)
    edges, batches = period.offsets_s, []
    expected = [Decimal(0)] * 5
    for one, other, cpus in sessions:
        began, ended = sorted((one, other))
        places = [min(moment // 86400, 4) for moment in (began, ended)]
        batches.append(Batch(ResourceSlots({"cpu": cpus}), *places, 1, began, ended))
        for index in range(5):
            overlap = max(0, min(ended, edges[index + 1]) - max(began, edges[index]))
            expected[index] += cpus * Decimal(overlap) / 3600
    found = [slots.amount("cpu") for slots in spread(batches, period)]
    assert all(abs(one - other) < Decimal("1e-9") for one, other in zip(found, expected, strict=True))


def test_a_sum_has_hours_and_slot_hours():
    use = sum_up([(ResourceSlots({"cpu": 4}), 2, 1800), (ResourceSlots({"cpu": 2, "cuda.device": 1}), 1, 3600)])
    assert (use.sessions, use.hours) == (3, Decimal("1.5"))
    assert use.slot_hours == ResourceSlots({"cpu": 4, "cuda.device": 1})
    assert timedelta(hours=float(use.hours)) == timedelta(minutes=90)
