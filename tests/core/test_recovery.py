from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core import recovery


@given(st.binary(min_size=recovery.RANDOM_BYTES, max_size=recovery.RANDOM_BYTES))
def test_what_is_shown_can_be_typed(random: bytes) -> None:
    code = recovery.make_code(random)
    assert len(code) == recovery.LENGTH
    assert recovery.parse_code(recovery.format_code(code)) == code


@pytest.mark.parametrize("typed", ["abcde-fghij", " ABCDE FGHIJ ", "ＡＢＣＤＥ－ＦＧＨＩＪ", "ABCDE\u2013FGH1J"])
def test_spellings_are_one_code(typed: str) -> None:
    assert recovery.parse_code(typed) == "ABCDEFGHIJ"


def test_what_base32_does_not_have_is_read_as_meant() -> None:
    assert recovery.parse_code("0BCD1-FGH8J") == "OBCDIFGHBJ"


@pytest.mark.parametrize("typed", ["", "123456", "ABCDE-FGHI", "ABCDE-FGHIJK", "ABCDE-FGHI9", "ÄBCDE-FGHIJ", "x" * 10_000])
def test_what_is_none(typed: str) -> None:
    assert recovery.parse_code(typed) == ""


def test_hashes_depend_on_code_and_salt() -> None:
    salts = ["00" * recovery.SALT_BYTES, "11" * recovery.SALT_BYTES]
    hashes = {recovery.hash_code(code, salt) for code in ("ABCDEFGHIJ", "ABCDEFGHIK") for salt in salts}
    assert len(hashes) == 4
    assert {len(hashed) for hashed in hashes} == {64}
