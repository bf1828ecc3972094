"""How much fits into a quota scope, and what is said when it does not."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.core.vfolder_quotas import ScopeUsage, applied_limit, check_disk, check_room, parse_limit, parse_scope
from jupyterhub_backendai.errors import InvalidParameters, StorageFull

MIB = 1024**2


def make(limit: int | None = 10 * MIB, used: int | None = 4 * MIB, reserved: int = 0) -> ScopeUsage:
    return ScopeUsage(host="local:a", id=f"user:{'0' * 32}", limit_bytes=limit, used_bytes=used, reserved_bytes=reserved)


@pytest.mark.parametrize(
    ("usage", "wanted", "fits"),
    [
        (make(), 6 * MIB, True),
        (make(), 6 * MIB + 1, False),
        (make(reserved=5 * MIB), MIB, True),
        (make(reserved=5 * MIB), MIB + 1, False),
        (make(limit=None), 1 << 60, True),
        (make(limit=0, used=None), 1, False),
        (make(limit=0, used=9), 0, True),
        (make(used=20 * MIB), 1, False),
        (make(used=None), 10 * MIB, True),
    ],
)
def test_room(usage: ScopeUsage, wanted: int, fits: bool) -> None:
    if fits:
        check_room(usage, wanted)
        return
    with pytest.raises(StorageFull) as caught:
        check_room(usage, wanted)
    assert caught.value.status == 507


def test_a_refusal_has_the_numbers() -> None:
    with pytest.raises(StorageFull, match=r"local:a for 7 MiB more: 4 MiB of 10 MiB are used"):
        check_room(make(), 7 * MIB)
    with pytest.raises(StorageFull, match=r"another 5 MiB\."):
        check_room(make(reserved=5 * MIB), 7 * MIB)


def test_a_full_disk() -> None:
    check_disk("h", None, 1 << 60)
    check_disk("h", 5, 5)
    with pytest.raises(StorageFull, match=r"the storage host|The storage host h has no room for 6 B more: 5 B are free"):
        check_disk("h", 5, 6)


@pytest.mark.parametrize(
    ("limit", "used", "percent"),
    [(None, 5, None), (100, None, 0), (100, 5, 5), (1000, 999, 99), (100, 100, 100), (100, 500, 100), (0, 0, 100)],
)
def test_percent(limit: int | None, used: int | None, percent: int | None) -> None:
    assert make(limit, used).percent == percent


@pytest.mark.parametrize(
    "text", ["", "user:", "user:" + "g" * 32, "group:" + "0" * 32, "user:" + "0" * 33, "../user:" + "0" * 32, "사람:" + "0" * 32]
)
def test_scopes_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameters):
        parse_scope(text)


def test_a_scope_with_dashes() -> None:
    assert parse_scope("user:01234567-89ab-cdef-0123-456789ABCDEF") == ("user", "0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize("value", [-1, 1 << 60, True, "5", 1.5, [], {}])
def test_limits_that_are_none(value: object) -> None:
    with pytest.raises(InvalidParameters):
        parse_limit(value)


@pytest.mark.parametrize(("limit", "applied"), [(None, 0), (0, 4096), (1, 4096), (8191, 4096), (8192, 8192)])
def test_what_the_kernel_is_told(limit: int | None, applied: int) -> None:
    assert applied_limit(limit) == applied
