"""The helper's systemd unit gives it what it needs for folders and quotas: the same capabilities, without systemd."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import jupyterhub_backendai
from jupyterhub_backendai.errors import BackendAIError, Conflict
from jupyterhub_backendai.services.storage.files import FolderFiles
from jupyterhub_backendai.services.storage.hosts import Storage
from tests.filesystems import MIB, mounted_btrfs
from tests.helper.folders_site import account, grant
from tests.helperd import running_helper
from tests.services.storage.folders_on_disk import HOST, access, make_folder

pytestmark = [pytest.mark.root, pytest.mark.ldap, pytest.mark.filesystems]
UNIT = Path(jupyterhub_backendai.__file__).parent / "share" / "systemd" / "jupyterhub-backendai-helper.service"


def read_capabilities() -> list[str]:
    found = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found
    return [name.removeprefix("CAP_").lower() for name in found[1].split()]


@pytest.fixture(params=["the unit's", "without quotas"])
def capabilities(request: pytest.FixtureRequest) -> list[str]:
    return [name for name in read_capabilities() if request.param == "the unit's" or name != "sys_admin"]


@pytest_asyncio.fixture
async def storage(capabilities: list[str]) -> AsyncIterator[Storage]:
    bounds = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    prefix = ("setpriv", f"--bounding-set={bounds}", "--inh-caps=-all", "--no-new-privs")
    quota = "classic" if "sys_admin" in capabilities else ""
    with mounted_btrfs(quota=quota) as path, running_helper("--storage", f"{HOST}={path}", prefix=prefix) as helper:
        storage = Storage({HOST: str(path)}, str(helper.socket))
        yield storage
        storage.close()


async def fill(files: FolderFiles) -> None:
    for number in range(8):
        await files.write(b"%d" % number, os.urandom(MIB))


async def test_folders_live_and_end(storage: Storage, capabilities: list[str]) -> None:
    folder = make_folder()
    assert storage._helper is not None
    prepared = storage._helper.call("quota_prepare", host=HOST, scope=folder.quota_scope_id.replace(":", "-"), limit=4 * MIB)
    assert (await prepared)["driver"] == ("btrfs" if "sys_admin" in capabilities else "accounting")
    await storage.make_folder(folder, [grant("kim01", "wd", is_owner=True), grant("lee01")])
    await storage.set_gate(folder, [grant("kim01", "wd", is_owner=True), grant("lee01", "ro")])
    files = storage.files(access(folder), account("kim01"))
    await files.write(b"one", b"hello")
    assert [entry.name for entry in (await storage.files(access(folder), account("lee01")).list(b"")).entries] == [b"one"]
    if "sys_admin" in capabilities:
        with pytest.raises(BackendAIError, match="no room"):
            await fill(files)
    await storage.remove_folder(folder)


async def test_quotas_without_the_right_to_set_them_are_said() -> None:
    """Not silently without limits."""
    bounds = ",".join(["-all", *(f"+{name}" for name in read_capabilities() if name != "sys_admin")])
    with mounted_btrfs() as path, running_helper("--storage", f"{HOST}={path}", prefix=("setpriv", f"--bounding-set={bounds}")) as helper:
        storage = Storage({HOST: str(path)}, str(helper.socket))
        assert storage._helper is not None
        with pytest.raises(Conflict, match="Operation not permitted"):
            await storage._helper.call("quota_prepare", host=HOST, scope=make_folder().quota_scope_id.replace(":", "-"), limit=4 * MIB)
        storage.close()
