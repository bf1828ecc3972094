from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.names import fold_name, is_email, is_name


@pytest.mark.parametrize("typed", ["kim01", "KIM01", " kim01 ", "ｋｉｍ０１", "Ｋim01", "\u3000kim01"])
def test_spellings_of_one_name(typed: str) -> None:
    assert fold_name(typed) == "kim01"
    assert is_name(fold_name(typed))


@pytest.mark.parametrize("name", ["kim01", "김01", "o'brien", "a.b-c_d+e@site.kr", "straße".casefold(), "7up"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        ".x",
        "-x",
        "_x",
        "@x",
        "a/b",
        "a%2fb",
        "a b",
        "kim01\n",
        "kim01\x00",
        "a\tb",
        "a:b",
        "a*",
        "a(b)",
        "a\\b",
        "a,b",
        "a" * 65,
        "KIM01",
        "a\u200bb",
        "\ud800",
    ],
)
def test_no_names(name: str) -> None:
    assert not is_name(name)


@given(st.text())
def test_folding_twice_changes_nothing(typed: str) -> None:
    once = fold_name(typed)
    if is_name(once):
        assert fold_name(once) == once


@pytest.mark.parametrize("text", ["kim01@centre.ac.kr", "o'neil+notebook@localhost", "a@b-c.d"])
def test_mail_addresses(text):
    assert is_email(text)


@pytest.mark.parametrize(
    "text",
    ["", "kim01", "kim01@", "kim 01@a.b", "김@a.b", "a@b\nBcc: c@d", "a,b@c.d", "<a@b.c>", "a@.b", "a@b..c", "a@" + "b." * 140 + "c"],
)
def test_what_is_no_mail_address(text):
    assert not is_email(text)
