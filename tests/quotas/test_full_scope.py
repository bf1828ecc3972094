"""A full disk never keeps a session from starting: its own program, as the person, with folders in a scope where nothing fits any more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_backendai.errors import StorageFull
from jupyterhub_backendai.spawner import singleuser
from tests.helper.folders_site import account
from tests.quotas.test_at_work import Place, paths, place, socket, sqlite_template

__all__ = ["paths", "place", "socket", "sqlite_template"]
pytestmark = [pytest.mark.root, pytest.mark.ldap, pytest.mark.filesystems]
LINES = """
set -e
test "$(ls data | wc -l)" -gt 10
if head -c 4M /dev/urandom >data/more; then echo more fitted; exit 1; fi
rm data/more data/1 data/2 data/3
sync
echo still here >data/kept
echo done
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home directory of kim01's, on another disk."""
    entry, path = account("kim01"), Path(tempfile.mkdtemp(prefix="home-", dir="/run"))
    (path / "workspace").mkdir()
    for directory in (path, path / "workspace"):
        os.chown(directory, entry.uid, entry.gid)
    yield path
    shutil.rmtree(path)


async def test_a_session_starts_and_makes_room(place: Place, home: Path) -> None:
    entry, folder = account("kim01"), await place.make("local:btrfs")
    with pytest.raises(StorageFull):
        await place.fill(folder)
    data = Path(place.storage.path(folder))
    items = [
        {"source": str(data), "target": "data", "is_own_part": False},
        {"source": str(data / "kim01"), "target": ".local", "is_own_part": True},  # cannot be made now
    ]
    links = {"session_id": "a" * 32, "admitted_at": time.time(), "live": [], "items": items, "records": str(home / ".backendai" / "links")}
    session = home / "session.json"
    session.write_text(json.dumps({"session_id": "a" * 32, "environment": {}, "command": [], "lines": LINES, "links": links}))
    os.chown(session, entry.uid, entry.gid)
    program = home / "singleuser.py"  # the checkout may be in a directory of root's
    shutil.copy(singleuser.__file__, program)
    done = subprocess.run(
        ["/usr/bin/python3", program, "--session", session],
        cwd=home / "workspace",
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        user=entry.uid,
        group=entry.gid,
        extra_groups=[],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.decode().endswith("done\n"), (done.stdout, done.stderr)
    assert done.returncode == 0
    assert (data / "kept").read_text() == "still here\n"
    assert (home / "workspace" / "data").readlink() == data
