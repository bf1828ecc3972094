from __future__ import annotations

import time

import jwt
import pytest

from jupyterhub_backendai.backends.slurm_tokens import LIFETIME_S, Tokens
from jupyterhub_backendai.errors import Forbidden, SchedulerUnavailable


async def test_a_token_is_signed_as_slurm_signs(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    tokens = Tokens(str(key), "/nonexistent")
    token = await tokens.make("kim01")
    claims = jwt.decode(token, b"k" * 32, algorithms=["HS256"])
    assert claims["sun"] == "kim01"
    assert claims["exp"] - claims["iat"] == LIFETIME_S
    assert abs(claims["iat"] - time.time()) < 5
    assert await tokens.make("kim01") == token
    assert await tokens.make("kim02") != token
    for name in ("", "#0", "kim 01", "kim01\nX-Other: 1", "-x"):
        with pytest.raises(Forbidden):
            await tokens.make(name)
    with pytest.raises(SchedulerUnavailable):
        await Tokens(str(tmp_path / "none"), "/nonexistent").make("kim01")


@pytest.mark.parametrize(
    ("script", "is_good"),
    [
        ("echo SLURM_JWT=aa.bb.cc; echo $2 >&2", True),
        ("echo 'error: Error fetching token' >&2; exit 1", False),
        ("echo SLURM_JWT=", False),
        ("echo nothing", False),
    ],
)
async def test_an_operator_asks_slurm_for_one(tmp_path, script, is_good):
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    tokens = Tokens("", str(tmp_path))
    if is_good:
        assert await tokens.make("kim01") == "aa.bb.cc"
    else:
        with pytest.raises(SchedulerUnavailable):
            await tokens.make("kim01")
