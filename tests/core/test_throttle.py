from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.throttle import (
    LONGEST_DELAY_S,
    PERSON,
    SOURCE,
    STRANGERS,
    Allowance,
    Budget,
    find_source,
    share_budget,
    source_net,
)


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


@given(st.integers(0, 1000), st.floats(0, 1e6))
def test_strangers_are_slowed_down_and_never_kept_out(failures: int, quiet_s: float) -> None:
    assert 0 <= STRANGERS.delay_s(STRANGERS.left(failures, quiet_s)) <= LONGEST_DELAY_S
    assert STRANGERS.delay_s(STRANGERS.free - 1) == 0


@pytest.mark.parametrize(("locks_after", "half"), [(3, 1), (4, 1), (5, 2), (6, 2), (10, 4)])
def test_the_budget_stays_below_the_directorys_lock(locks_after: int, half: int) -> None:
    assert share_budget(locks_after, 300) == Budget(half, 300)
    assert 2 * half < locks_after


def test_without_a_lock_there_is_no_budget() -> None:
    assert share_budget(0, 300) is None


def test_a_budget_is_for_a_window() -> None:
    budget = Budget(2, 300)
    assert [budget.wait_s(count) for count in (0, 1, 2, 3)] == [0, 0, 300, 300]
    assert (budget.count(2, 299), budget.count(2, 300)) == (3, 1)


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", "10.0.0.1", "192.0.2.9"),  # a stranger says so
        ("127.0.0.1", "192.0.2.9", "192.0.2.9"),
        ("127.0.0.1", "10.0.0.1, 192.0.2.9", "192.0.2.9"),  # its beginning is whatever the browser sent
        ("127.0.0.1", "10.0.0.1, 192.0.2.9, 127.0.0.1", "192.0.2.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "nonsense"),
        ("127.0.0.1", "10.0.0.1, nonsense", "nonsense"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("", "192.0.2.9", "192.0.2.9"),
        ("", "", ""),
    ],
)
def test_only_proxies_of_the_site_say_where_a_request_comes_from(peer: str, forwarded: str, source: str) -> None:
    assert find_source(peer, forwarded, ["127.0.0.0/8", "::1/128"]) == source
