"""Everything without root: a service of an ordinary account has its own worker, shuts and deletes its own folders, and says whom it serves."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

SCRIPT = """
import asyncio, os, sys
from datetime import UTC, datetime
from dataclasses import replace
from jupyterhub_backendai.core.vfolders import Access, Folder, FolderStatus, OwnershipType, Permission, UsageMode
from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.services.storage.hosts import Storage

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = Folder(id="1" * 32, name="f", host="h", quota_scope_id="user:" + "7" * 32, status=FolderStatus.READY, usage_mode=UsageMode.GENERAL,
    ownership_type=OwnershipType.USER, permission=Permission.READ_WRITE, domain="default", creator="kim", cloneable=False, created_at=MOMENT,
    status_changed_at=MOMENT, user_id="7" * 32, user="kim")
TRASH = replace(FOLDER, status=FolderStatus.DELETE_PENDING)

async def refused(act):
    try:
        await act
    except BackendAIError as exc:
        return exc.status
    return 0

async def main():
    storage = Storage({"h": sys.argv[1]}, "/nowhere/helper.sock")
    assert storage.is_single_user
    files = storage.files(Access(FOLDER, Permission.READ_WRITE_DELETE, "owner"), None)
    await storage.make_folder(FOLDER, [])  # people need no Unix account here
    await files.write(b"d", b"x")
    await files.make_directory(b"e/f")
    gate = os.path.dirname(storage.path(FOLDER))
    assert os.stat(gate).st_mode & 0o777 == 0o700
    await storage.set_gate(TRASH, [])
    assert await refused(files.list(b"")) == 403
    assert await refused(files.write(b"d", b"y")) == 403
    await storage.set_gate(FOLDER, [])
    assert (await files.list(b"")).total == 2
    assert await storage.apply_access(FOLDER, [], None) == 0
    other = replace(FOLDER, id="2" * 32)
    await storage.make_folder(other, [])
    assert await storage.copy(FOLDER, other, None) == 0
    os.chmod(os.path.join(storage.path(FOLDER), "e"), 0)
    await storage.set_gate(TRASH, [])
    await storage.remove_folder(TRASH)
    await storage.remove_folder(TRASH)
    assert await storage.list_folders("h") == [("user-" + "7" * 32, "2" * 32)]
    await storage.set_gate(replace(other, status=FolderStatus.DELETE_PENDING), [])
    await storage.remove_directory("h", "user-" + "7" * 32, "2" * 32)
    assert await storage.list_folders("h") == []
    storage.close()
    print("all of it")

asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="unprivileged-", dir="/dev/shm"))
    os.chown(path, pwd.getpwnam("kim01").pw_uid, -1)
    yield path
    shutil.rmtree(path)


def test_an_ordinary_account_serves_itself(home: Path):
    command = ["runuser", "-u", "kim01", "--", sys.executable, "-c", SCRIPT, str(home / "folders")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout == "all of it\n", done.stderr
    assert done.returncode == 0
