from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.errors import InvalidParameters

SECRET = b"12345678901234567890"
# RFC 6238, appendix B (SHA-1), the last six digits
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_vectors(at: int, code: str) -> None:
    assert otp.code_at(SECRET, otp.step_of(at)) == code
    assert otp.find_step(SECRET, code, at) == at // 30


@pytest.mark.parametrize(("ahead", "found"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_window_is_one_step(ahead: int, found: bool) -> None:
    step = otp.step_of(1111111111)
    assert otp.find_step(SECRET, otp.code_at(SECRET, step + ahead), 1111111111) == (step + ahead if found else None)


def test_a_token_may_drift_as_far_as_it_was_seen_to() -> None:
    now = 1111111111.0
    step = otp.step_of(now) + 2
    code = otp.code_at(SECRET, step)
    assert otp.find_step(SECRET, code, now) is None
    assert otp.find_step(SECRET, code, now, drift=1) == step
    assert otp.drift_of(step, now) == 2
    assert otp.drift_of(step + 1000, now) == otp.MAX_DRIFT


@pytest.mark.parametrize(
    "typed", ["", "28708", "2870822", "287082\n", "２８７０８２", "287o82", "-87082", "+28708", "2 8 7 0 8", "٢٨٧٠٨٢", "287\t082"]
)
def test_only_six_ascii_digits_are_a_code(typed: str) -> None:
    assert otp.find_step(SECRET, typed, 59) is None


@pytest.mark.parametrize("typed", ["287082", "287 082", " 287082 "])
def test_blanks_are_forgiven(typed: str) -> None:
    assert otp.find_step(SECRET, typed, 59) == 1


@given(st.text(max_size=12))
def test_anything_typed_is_read(typed: str) -> None:
    otp.find_step(SECRET, typed, 59)


@given(st.binary(min_size=20, max_size=64))
def test_secrets_come_back(secret: bytes) -> None:
    text = otp.format_secret(secret)
    assert otp.parse_secret(text) == secret
    assert otp.parse_secret(" ".join(text[i : i + 4] for i in range(0, len(text), 4)).lower()) == secret


@pytest.mark.parametrize("text", ["", "AAAA", base64.b32encode(b"x" * 19).decode(), "0189" * 8, "é" * 32])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameters):
        otp.parse_secret(text)


def test_uri() -> None:
    uri = urlsplit(otp.build_uri(SECRET, "kim01", "KISTI: 한국 & co"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert uri.path.count(":") == 1
    query = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert query == {"secret": otp.format_secret(SECRET), "issuer": "KISTI  한국 & co", "algorithm": "SHA1", "digits": "6", "period": "30"}


@pytest.mark.parametrize("drift", [-1, 0, 1])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_code_that_was_typed_late_once_makes_no_clock_wrong(drift: int, offset: int) -> None:
    """Over the end of its step it looks like a token that is behind; the next one may be of a clock that is a second ahead."""
    now = 1_700_000_010.0
    step = otp.step_of(now) + offset
    assert otp.find_step(SECRET, otp.code_at(SECRET, step), now, drift=drift) == step


def test_a_token_that_drifted_far_opens_nothing_between() -> None:
    now = 1_700_000_010.0
    assert otp.find_step(SECRET, otp.code_at(SECRET, otp.step_of(now) + 3), now, drift=5) is None
    assert otp.find_step(SECRET, otp.code_at(SECRET, otp.step_of(now) - 2), now, drift=5) is None
