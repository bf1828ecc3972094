"""Whom somebody wants to share with, as typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.vfolder_sharing import MOST_AT_ONCE, keeps_after_revocation, parse_people, parse_permission
from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.errors import InvalidParameters


@pytest.mark.parametrize(
    ("typed", "people"),
    [
        ("a@x.kr, b@x.kr;c@x.kr\nd", ["a@x.kr", "b@x.kr", "c@x.kr", "d"]),
        ([" a@x.kr ", "A@X.kr", ""], ["A@X.kr"]),
        ("홍길동@예.한국", ["홍길동@예.한국"]),
    ],
)
def test_people_as_typed(typed, people):
    assert parse_people(typed) == people


@pytest.mark.parametrize("typed", ["", " ,;\n", [], [1], [None], ["a\0"], ["\ud800"], ["a\x1b[0m"], "a" * 400, ["x"] * 0])
def test_what_is_nobody(typed):
    with pytest.raises(InvalidParameters):
        parse_people(typed)


def test_so_many_at_once():
    assert len(parse_people([str(number) for number in range(MOST_AT_ONCE)])) == MOST_AT_ONCE
    with pytest.raises(InvalidParameters, match="101 people"):
        parse_people([str(number) for number in range(MOST_AT_ONCE + 1)])


@given(st.one_of(st.text(), st.lists(st.one_of(st.text(), st.integers(), st.none()))))
def test_anything_is_people_or_refused(typed):
    try:
        people = parse_people(typed)
    except InvalidParameters:
        return
    assert people
    assert all(person == person.strip() and person for person in people)


@pytest.mark.parametrize("wrong", [None, "", "all", ["ro"], {}, 1, True])
def test_permissions(wrong):
    assert parse_permission("ro") is Permission.READ_ONLY
    with pytest.raises(InvalidParameters):
        parse_permission(wrong)


def test_who_runs_as_everybody_goes_on():
    assert [keeps_after_revocation(engine) for engine in ("slurm", "docker", "local", "kubernetes")] == [False, False, True, True]
