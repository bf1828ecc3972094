"""Which part of a file is meant, and how a name in any language is written in a header."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.downloads import format_disposition, matches_etag, parse_range


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("", 10, None),
        ("bytes=0-4", 10, (0, 5)),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)),
        ("bytes=9-100", 10, (9, 10)),
        (" bytes= 1-2 ", 10, (1, 3)),
        ("bytes=0-1,5-6", 10, None),
        ("bytes=5-1", 10, None),
        ("bytes=-", 10, None),
        ("items=0-1", 10, None),
        ("bytes=٠-١", 10, None),
        ("bytes=0-9999999999999999999999", 10, None),
    ],
)
def test_ranges(header, size, expected):
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=0-0", 0), ("bytes=-0", 10), ("bytes=-5", 0)])
def test_ranges_that_a_file_does_not_have(header, size):
    with pytest.raises(ValueError):
        parse_range(header, size)


@given(st.text(), st.integers(0, 10**12))
def test_whatever_is_asked_is_within_the_file(header, size):
    try:
        part = parse_range(f"bytes={header}", size)
    except ValueError:
        return
    assert part is None or 0 <= part[0] < part[1] <= size


@given(st.text(min_size=1))
def test_a_name_comes_back_as_it_was(name):
    header = format_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    plain = re.match(r'attachment; filename="([^"]*)"', header)
    extended = re.search(r"filename\*=UTF-8''(.*)", header)
    assert plain
    assert (unquote(extended[1]) if extended else plain[1]) == name.encode(errors="replace").decode()


def test_etags():
    assert matches_etag('"a", W/"b"', '"b"')
    assert matches_etag("*", '"b"')
    assert not matches_etag('"a"', '"b"')
    assert not matches_etag("", '"b"')
