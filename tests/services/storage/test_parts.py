"""Forms with files, cut into pieces anywhere; and names with a number within the limits of a file system."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_backendai.errors import InvalidParameters
from jupyterhub_backendai.services.storage.plain import Parts
from jupyterhub_backendai.services.storage.targets import number_name

contents = st.lists(
    st.one_of(st.binary(max_size=200), st.sampled_from([b"\r\n--x", b"\r\n--x-", b"--x--", b"\r\n", b"\r", b"-" * 50])), max_size=4
)


@given(contents, st.lists(st.integers(1, 60), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_the_same_parts_however_it_is_cut(files, cuts):
    boundary = b"xBoundaryThatIsNotInIt"
    whole = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="file"; filename="%d"\r\n\r\n%b\r\n' % (boundary, number, content)
        for number, content in enumerate(files)
    )
    whole += b"--" + boundary + b"--\r\n"
    parts, found = Parts(boundary), []
    while whole:
        size, cuts = cuts[0], [*cuts[1:], cuts[0]]
        for kind, value in parts.feed(whole[:size]):
            if kind == "begin":
                found.append([value[b"filename"], b""])
            elif kind == "data":
                found[-1][1] += value
        whole = whole[size:]
    assert found == [[b"%d" % number, content] for number, content in enumerate(files)]
    assert parts.is_over or not files


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_is_nothing(data):
    parts = Parts(b"x")
    with contextlib.suppress(InvalidParameters):
        parts.feed(data)
    assert not parts.is_over or b"--x--" in data


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/자료.tar.gz", "a/자료 (2).tar.gz"),
        ("이름", "이름 (2)"),
        (".bashrc", ".bashrc (2)"),
        ("가" * 85, "가" * 83 + " (2)"),
        ("가" * 83 + ".csv", "가" * 82 + " (2).csv"),
    ],
)
def test_names_with_a_number(path, expected):
    assert number_name(path.encode(), 2).decode() == expected


@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name), st.integers(2, 999))
def test_a_name_with_a_number_is_never_too_long(name, number):
    found = number_name(name, number)
    assert len(found) <= 255
    assert found != name
