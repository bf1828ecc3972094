from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.throttle import PERSON, SOURCE, Allowance, source_net


def test_waits_double_up_to_a_minute() -> None:
    failures, waits = 0, []
    for _ in range(12):
        failures = PERSON.count(failures, 0)
        waits.append(PERSON.wait_s(failures))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_class_behind_one_address_may_slip() -> None:
    assert SOURCE.wait_s(SOURCE.free - 1) == 0


@given(st.integers(0, 1000), st.floats(-10, 1e6))
def test_nobody_waits_for_ever(failures: int, quiet_s: float) -> None:
    counted = PERSON.count(failures, quiet_s)
    assert PERSON.wait_s(counted) <= 60
    assert PERSON.wait_s(PERSON.count(counted, 600)) == 0


def test_failures_are_forgiven_with_time() -> None:
    allowance = Allowance(free=3, decay_s=60)
    assert [allowance.count(5, quiet) for quiet in (0, 59, 60, 180, 6000)] == [6, 6, 5, 3, 1]


@pytest.mark.parametrize(
    ("address", "net"),
    [
        ("10.1.2.3", "10.1.2.0/24"),
        ("::ffff:10.1.2.3", "10.1.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_sources(address: str, net: str) -> None:
    assert source_net(address) == net
