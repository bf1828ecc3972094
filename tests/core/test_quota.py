from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_backendai.core.quota import (
    NEVER,
    NOT_NOW,
    Ask,
    Limit,
    Scope,
    Share,
    Standing,
    Usage,
    check_quota,
    merge_host_permissions,
    shorten,
)
from jupyterhub_backendai.core.slots import INFINITY, ResourceSlots
from tests.factories import GIB

NAMES = ("cpu", "mem", "cuda.device", "cuda.shares")
FIELDS = {"cpu": "cpu", "mem": "mem", "cuda.device": "gpu"}
# few values, so that limits are met exactly, just missed and just passed
whole = st.integers(0, 6).map(Decimal)
amounts = st.builds(ResourceSlots, st.dictionaries(st.sampled_from(NAMES), whole))
most_amounts = st.builds(ResourceSlots, st.dictionaries(st.sampled_from(NAMES), whole | st.just(INFINITY)))
count = st.integers(0, 4)
maybe = st.none() | count
usages = st.builds(Usage, count, amounts, count, amounts)
asks = st.builds(Ask, amounts, st.integers(0, 9), st.integers(1, 3), st.booleans(), st.booleans())
limits = {
    Scope.KEYPAIR: st.builds(
        Limit, st.just(Scope.KEYPAIR), st.just("policy"), most_amounts, st.booleans(), maybe, maybe, st.none() | most_amounts, maybe, maybe
    ),
    Scope.USER: st.builds(Limit, st.just(Scope.USER), st.just("main"), most_amounts, st.booleans()),
    Scope.PROJECT: st.builds(Limit, st.just(Scope.PROJECT), st.just("alpha"), most_amounts),
    Scope.DOMAIN: st.builds(Limit, st.just(Scope.DOMAIN), st.just("default"), most_amounts),
}
standings = st.tuples(*(st.builds(Share, limit, usages) for limit in limits.values())).map(lambda shares: stand(*shares))


def stand(*shares):
    return Standing("kim01", "default", "alpha", "AKIA", shares)


def slots(**named):
    return ResourceSlots({name.replace("_", "."): value for name, value in named.items()})


def check(limit, usage=None, **ask):
    """The rules, fields and numbers of what one limit says."""
    found = check_quota(Ask(**ask), stand(Share(limit, usage or Usage())))
    return [(violation.rule, violation.field, violation.params) for violation in found]


@given(usages, usages)
def test_sums_of_use_are_what_subtracting_takes_away_again(one, other):
    total = one + other
    assert (total.sessions - other.sessions, total.pending_sessions - other.pending_sessions) == (one.sessions, one.pending_sessions)
    for sum_, part, before in ((total.slots, other.slots, one.slots), (total.pending_slots, other.pending_slots, one.pending_slots)):
        assert all((sum_ - part).amount(name) == before.amount(name) for name in NAMES)
    assert one + Usage() == one


@given(standings, asks, st.data())
@settings(max_examples=150)
def test_more_limit_never_refuses_what_less_allowed(standing, ask, data):
    place = data.draw(st.integers(0, 3))
    share = standing.shares[place]
    limit = share.limit
    more = {
        "slots": ResourceSlots({name: limit.slots.amount(name) + data.draw(whole | st.just(INFINITY)) for name in limit.slots}),
        "is_limited": limit.is_limited and data.draw(st.booleans()),
    }
    for name in ("sessions", "pending_sessions", "lifetime_s", "containers"):
        value = getattr(limit, name)
        # a lifetime of nothing is no limit: there is no more than that
        more[name] = None if value is None or (name == "lifetime_s" and not value) else data.draw(st.none() | st.integers(value, value + 3))
    if limit.pending_slots is not None:
        more["pending_slots"] = data.draw(
            st.sampled_from([None, ResourceSlots({name: limit.pending_slots.amount(name) + 2 for name in limit.pending_slots})])
        )
    wider = [*standing.shares[:place], replace(share, limit=replace(limit, **more)), *standing.shares[place + 1 :]]
    assert len(check_quota(ask, stand(*wider))) <= len(check_quota(ask, standing))


@given(standings, amounts)
@settings(max_examples=150)
def test_every_limit_that_is_broken_is_named_with_its_numbers_and_nothing_else(standing, asked):
    expected = [
        (share.limit.name, FIELDS.get(name, name))
        for share in standing.shares
        for name, amount in asked.items()
        if amount and amount + share.usage.slots.amount(name) > share.limit.most(name)
    ]
    found = [violation for violation in check_quota(Ask(asked), standing) if "slot" in violation.params]
    assert [(violation.params["owner"], violation.field) for violation in found] == expected
    for violation in found:
        share = next(share for share in standing.shares if share.limit.name == violation.params["owner"])
        name = violation.params["slot"]
        numbers = {key: violation.params[key].removesuffix(" B") for key in ("used", "asked", "total", "free")}
        assert Decimal(numbers["used"]) == share.usage.slots.amount(name)
        assert Decimal(numbers["asked"]) == asked[name]
        assert Decimal(numbers["total"]) == share.limit.most(name)
        assert violation.rule == (NEVER if asked[name] > share.limit.most(name) else NOT_NOW)
        assert str(violation)


@given(standings, amounts)
@settings(max_examples=150)
def test_what_is_said_to_fit_fits_and_a_little_more_does_not(standing, asked):
    fits = ResourceSlots({name: min(amount, standing.remaining(name)) for name, amount in asked.items()})
    assert not [violation for violation in check_quota(Ask(fits), standing) if "slot" in violation.params]
    for violation in check_quota(Ask(asked), standing):
        if "slot" not in violation.params:
            continue
        only = stand(next(share for share in standing.shares if share.limit.name == violation.params["owner"]))
        free = Decimal(violation.params["free"].removesuffix(" B"))
        name = violation.params["slot"]
        said = [len([v for v in check_quota(Ask(slots(**{name: amount})), only) if "slot" in v.params]) for amount in (free, free + 1)]
        assert said == [0, 1]


@pytest.mark.parametrize(
    ("scope", "is_limited", "rules"),
    [(Scope.KEYPAIR, True, [NEVER]), (Scope.KEYPAIR, False, []), (Scope.PROJECT, False, []), (Scope.DOMAIN, False, [])],
)
def test_a_slot_that_nobody_named(scope, is_limited, rules):
    limit = Limit(scope, "x", slots(cpu=4), is_limited)
    assert [rule for rule, *_ in check(limit, slots=slots(cpu=1, cuda_device=1))] == rules
    assert limit.most("cuda.device") == (0 if is_limited else INFINITY)
    assert check(limit, slots=slots(cpu=4, cuda_device=0)) == []


def test_limited_is_a_word_of_keypairs_only():
    """The tables of projects and domains cannot even say it."""
    from jupyterhub_backendai.store import models

    said = {table.name for table in models.Base.metadata.sorted_tables if "default_for_unspecified" in table.c}
    assert said == {"keypair_resource_policies"}


def test_infinity_is_no_limit_and_survives_sums():
    limit = Limit(Scope.KEYPAIR, "x", slots(cpu="Infinity", mem=GIB), is_limited=True)
    share = Share(limit, Usage(1, slots(cpu=10**12, mem=GIB)))
    assert (share.remaining("cpu"), share.remaining("mem"), share.remaining("cuda.device")) == (INFINITY, 0, 0)
    assert check(limit, share.usage, slots=slots(cpu=10**15)) == []
    assert stand(share, Share(Limit(Scope.DOMAIN, "d"))).remaining("cpu") == INFINITY
    assert stand().remaining("cpu") == INFINITY


def test_use_above_a_limit_that_shrank_leaves_nothing():
    limit, usage = Limit(Scope.PROJECT, "alpha", slots(cpu=4)), Usage(3, slots(cpu=7))
    assert Share(limit, usage).remaining("cpu") == 0
    [(rule, field, params)] = check(limit, usage, slots=slots(cpu=1))
    numbers = {"owner": "alpha", "slot": "cpu", "total": "4", "used": "7", "asked": "1", "free": "0"}
    assert (rule, field, params) == (NOT_NOW, "cpu", numbers)


@pytest.mark.parametrize(
    ("limit", "usage", "ask", "expected"),
    [
        ({"sessions": 2}, Usage(1), {}, []),
        ({"sessions": 2}, Usage(2), {}, [(NOT_NOW, "")]),
        ({"sessions": 0}, Usage(), {}, [(NEVER, "")]),
        ({"sessions": 2}, Usage(2), {"is_waiting": True}, []),
        ({"sessions": 0}, Usage(), {"is_waiting": True}, [(NEVER, "")]),
        ({"pending_sessions": 1}, Usage(0, ResourceSlots(), 1), {}, []),
        ({"pending_sessions": 1}, Usage(0, ResourceSlots(), 1), {"is_pending": True}, [(NOT_NOW, "")]),
        ({"pending_sessions": 0}, Usage(), {"is_pending": True}, [(NEVER, "")]),
        ({"pending_slots": slots(cpu=2)}, Usage(0, ResourceSlots(), 1, slots(cpu=2)), {"is_pending": True}, [(NOT_NOW, "cpu")]),
        ({"pending_slots": slots(cpu=0)}, Usage(), {"is_pending": True}, [(NEVER, "cpu")]),
        ({"pending_slots": slots(cpu="Infinity", mem=0)}, Usage(9, ResourceSlots(), 9, slots(cpu=99)), {"is_pending": True}, []),
        ({"lifetime_s": 600}, Usage(), {"time_s": 600}, []),
        ({"lifetime_s": 600}, Usage(), {"time_s": 601}, [(NEVER, "time")]),
        ({"lifetime_s": None}, Usage(), {"time_s": 10**9}, []),
        ({"containers": 1}, Usage(), {"containers": 2}, [(NEVER, "cluster_size")]),
        ({"slots": slots(cpu=1)}, Usage(1, slots(cpu=1)), {"is_waiting": True, "is_pending": True}, []),
        ({"slots": slots(cpu=0)}, Usage(), {"is_waiting": True, "is_pending": True}, [(NEVER, "cpu")]),
    ],
)
def test_what_one_policy_says(limit, usage, ask, expected):
    found = check(Limit(Scope.KEYPAIR, "small", **limit), usage, **{"slots": slots(cpu=1), **ask})
    assert [(rule, field) for rule, field, _ in found] == expected
    assert {params["owner"] for *_, params in found} <= {"small"}


def test_all_of_them_at_once():
    tight = Limit(Scope.KEYPAIR, "small", slots(cpu=1, mem=GIB), False, 1, 1, slots(cpu=1), 60, 1)
    full = Usage(1, slots(cpu=1, mem=GIB), 1, slots(cpu=1))
    standing = stand(Share(tight, full), Share(Limit(Scope.PROJECT, "alpha", slots(cpu=1)), full))
    found = check_quota(Ask(slots(cpu=1, mem=GIB), 61, 2, is_pending=True), standing)
    assert [(v.params["owner"], v.field) for v in found] == [
        *[("small", "cpu"), ("small", "mem"), ("small", ""), ("small", ""), ("small", "cpu"), ("small", "time"), ("small", "cluster_size")],
        ("alpha", "cpu"),
    ]
    assert "1 GiB of mem and 1 GiB are in use; you asked for 1 GiB, at most 0 B fits now" in str(found[1])


def test_a_person_with_one_keypair_reads_a_refusal_once():
    limit, usage = Limit(Scope.KEYPAIR, "small", slots(cpu=1)), Usage(1, slots(cpu=1))
    person = Share(replace(limit, scope=Scope.USER), usage)
    assert len(check_quota(Ask(slots(cpu=1)), stand(Share(limit, usage), person))) == 1
    assert len(check_quota(Ask(slots(cpu=1)), stand(Share(limit), person))) == 1  # another keypair holds it
    both = stand(Share(limit, usage), replace(person, usage=Usage(2, slots(cpu=2))))
    assert len(check_quota(Ask(slots(cpu=1)), both)) == 2


@given(standings, st.integers(1, 20))
def test_a_default_time_is_never_longer_than_a_session_may_live(standing, time_s):
    time_s = shorten(time_s, standing)
    assert not [v for v in check_quota(Ask(ResourceSlots(), time_s), standing) if v.field == "time"]


grants = st.dictionaries(
    st.sampled_from(["local:a", "nfs:b"]), st.lists(st.sampled_from(["create-vfolder", "mount-in-session", "upload-file"]))
)


@given(st.lists(grants, max_size=4))
def test_permissions_of_storage_hosts_are_the_union(granted):
    merged = merge_host_permissions(*granted)
    flat = {(host, permission) for hosts in granted for host, permissions in hosts.items() for permission in permissions}
    assert {(host, permission) for host, permissions in merged.items() for permission in permissions} == flat
    assert set(merged) == {host for hosts in granted for host in hosts}
    assert merge_host_permissions(*reversed(granted)) == merged
