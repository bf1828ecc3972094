from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.files import (
    MAX_DEPTH,
    MAX_PATH_BYTES,
    Entry,
    EntryKind,
    decode_ref,
    encode_ref,
    join_path,
    kind_of,
    parse_new_path,
    parse_path,
    parse_ref,
    split_path,
)
from jupyterhub_backendai.errors import InvalidParameters

ESCAPES = (
    *("..", ".", "/", "//", "/etc/passwd", "../x", "a/../b", "a/..", "a/./b", "./a", "a//b", "a/", "/a", "a/../../other"),
    *("a\0b", "x" * 256, "가" * 86, "a/" * MAX_DEPTH + "b", "/".join(["x" * 200] * 21), "\udcff", "a/\ud800"),
)


@pytest.mark.parametrize("text", ESCAPES)
def test_a_path_that_leads_elsewhere_or_nowhere_is_refused(text):
    with pytest.raises(InvalidParameters):
        parse_path(text)
    with pytest.raises(InvalidParameters):
        parse_new_path(text)


@pytest.mark.parametrize("path", [b"..", b"a/../b", b"/etc", b"a\0", b"\xff/..", b"x" * 256, b"a" * (MAX_PATH_BYTES + 1)])
def test_a_reference_leads_nowhere_else_either(path):
    with pytest.raises(InvalidParameters):
        parse_ref(encode_ref(path))


@pytest.mark.parametrize("ref", ["!", "a", "ä", "a b", "YQ=\n"])
def test_what_is_no_reference(ref):
    with pytest.raises(InvalidParameters):
        parse_ref(ref)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a/b", "...", "..a", "한글/보고서.ipynb", unicodedata.normalize("NFD", "한글"), "a\nb", "\u202egpj.exe", " a ", "가" * 85],
)
def test_what_is_there_can_be_named_as_it_is(text):
    assert parse_path(text) == text.encode()
    assert parse_ref(encode_ref(text.encode())) == text.encode()


@pytest.mark.parametrize(
    "text",
    ["", "a\nb", "a\x7f", "a\x85b", "\u202egpj.exe", "a\u2066b", "x\u200f", "a\u2028b", " a", "a ", "d/ a", "d\u3000/a", "a\t", "\ufeffa"],
)
def test_a_new_name_misleads_nobody(text):
    with pytest.raises(InvalidParameters):
        parse_new_path(text)


def test_new_names_are_composed_and_their_parent_stays_as_it_is():
    decomposed = unicodedata.normalize("NFD", "한글")
    assert parse_new_path(decomposed) == "한글".encode()
    assert parse_new_path("새/" + decomposed, decomposed.encode()) == decomposed.encode() + "/새/한글".encode()
    assert parse_new_path("가" * 85) == ("가" * 85).encode()
    assert parse_new_path("👩‍🔬 notes.md") == "👩‍🔬 notes.md".encode()
    with pytest.raises(InvalidParameters):
        parse_new_path("a", b"..")


@given(st.binary(max_size=300))
def test_any_bytes_have_a_reference(path):
    assert decode_ref(encode_ref(path)) == path


@given(st.text(max_size=300))
def test_a_parsed_path_never_leaves_its_top(text):
    for parse in (parse_path, parse_new_path, parse_ref):
        try:
            path = parse(text)
        except InvalidParameters:
            continue
        assert not path.startswith(b"/")
        assert b"\0" not in path
        assert not path or not {b"", b".", b".."} & set(path.split(b"/"))


def test_names_and_kinds():
    assert split_path(b"a/b/c") == (b"a/b", b"c")
    assert split_path(b"c") == (b"", b"c")
    assert join_path(b"", b"c") == b"c"
    assert [kind_of(mode) for mode in (0o100644, 0o040755, 0o120777, 0o010600)] == list(EntryKind)
    entry = Entry(b"\xff.txt", EntryKind.FILE, 0, 0, 0, 0)
    assert (entry.text, decode_ref(entry.ref)) == ("\ufffd.txt", b"\xff.txt")
