"""What is said of a sudo that does not work; that it works is test_slurm_ways.py's."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.backends.sudo import Sudo, SudoUnavailable


@pytest.mark.parametrize("script", ["echo 'sudo: a password is required' >&2; exit 1", "echo 'a password is required'", "exit 3"])
async def test_an_administrator_reads_why(tmp_path, caplog, script):
    program = tmp_path / "sudo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    sudo = Sudo(["/opt/once"], "{user}", "")
    sudo.program = [str(program)]
    with pytest.raises(SudoUnavailable):
        await sudo.call("mkdir", user="kim01", uid=1001)
    assert "mkdir" in caplog.text
    assert ("a password is required" in caplog.text) is (">&2" in script)
