"""Texts: what can be changed comes back byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.text_files import read_text, write_text


@pytest.mark.parametrize(
    ("content", "encoding", "newline", "is_mixed"),
    [
        ("가\n나\n".encode(), "utf-8", "lf", False),
        (b"a\r\nb\r\n", "utf-8", "crlf", False),
        (b"a\r\nb\nc\r\n", "utf-8", "crlf", True),
        (b"a\rb\n", "utf-8", "lf", True),
        ("\ufeff가".encode(), "utf-8-sig", "lf", False),
        ("가".encode("utf-16"), "utf-16", "lf", False),
        ("옛글".encode("cp949"), "cp949", "lf", False),
        (b"", "utf-8", "lf", False),
    ],
)
def test_how_a_text_is_written_is_seen(content, encoding, newline, is_mixed):
    found = read_text(content)
    assert (found.encoding, found.newline, found.is_mixed) == (encoding, newline, is_mixed)
    assert found.can_change == encoding.startswith("utf-8")


@pytest.mark.parametrize("content", [b"\x00", b"\xff\xff\xff", b"PK\x03\x04\x00"])
def test_what_is_no_text_is_none(content):
    assert read_text(content) is None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00\ufeff"))), st.booleans(), st.booleans())
def test_what_a_browser_sends_back_is_the_same_file(lines, is_windows, has_mark):
    content = ("\r\n" if is_windows else "\n").join(lines).encode("utf-8-sig" if has_mark else "utf-8")
    found = read_text(content)
    sent = found.text.replace("\r\n", "\n").replace("\n", "\r\n")  # as forms do
    assert write_text(sent, found.encoding, found.newline) == content


def test_only_utf_8_is_written():
    with pytest.raises(ValueError):
        write_text("a", "cp949")
    with pytest.raises(ValueError):
        write_text("\ud800")
