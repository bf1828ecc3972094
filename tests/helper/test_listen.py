from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import pytest

from jupyterhub_backendai.helper.server import Refused, listen


@pytest.mark.root
def test_the_hubs_account_gets_to_a_socket_in_a_directory_that_is_new():
    directory = Path("/run") / f"backendai-listen-{secrets.token_hex(4)}"
    path = directory / "helper.sock"
    previous = os.umask(0o077)
    try:
        listener = listen(path, 65534, 65534)
    finally:
        os.umask(previous)
    try:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (65534, 0o660)
    finally:
        listener.close()
        path.unlink()
        directory.rmdir()


@pytest.mark.root
def test_a_directory_that_others_may_write_is_refused(tmp_path):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(Refused):
        listen(directory / "helper.sock", 65534, 65534)
