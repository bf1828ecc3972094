"""Members' parts of a project's ``.local``: what one member puts in another one's place is never used, and nobody can put it there later."""

from __future__ import annotations

import dataclasses
import os
import pwd
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterhub_backendai.core.vfolder_mounts import Mount
from jupyterhub_backendai.core.vfolders import OwnershipType
from jupyterhub_backendai.errors import Conflict
from jupyterhub_backendai.services import own_parts
from tests.helper.folders_site import FoldersSite, account, folders_helper, folders_site, grant
from tests.services.storage.folders_on_disk import access, make_folder

pytestmark = pytest.mark.root
LOCAL = make_folder(
    5, name=".local", ownership_type=OwnershipType.PROJECT, quota_scope_id=f"project:{9:032x}", project_id=f"{9:032x}", user_id=""
)
PART = "f" * 32


@pytest.fixture(scope="module")
def site() -> Iterator[FoldersSite]:
    with folders_helper() as (helper, path), folders_site(helper, path) as found:
        yield found


def as_user(name: str, act: Callable[[], object]) -> str:
    """What a process of that person says of it: the error's name, "" for none."""
    entry = pwd.getpwnam(name)
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        try:
            act()
        except OSError as exc:
            os.write(writer, type(exc).__name__.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as file:
        return file.read().decode()


async def test_a_part_is_its_members_alone(site: FoldersSite):
    await site.make(LOCAL, grant("lee01"), grant("park04"))
    data = site.data(LOCAL)
    assert as_user("lee01", lambda: (data / PART).mkdir(mode=0o777)) == ""
    with pytest.raises(Conflict):  # prepared by somebody else: not used
        await site.storage.make_own_part(LOCAL, account("park04"), PART)
    assert as_user("lee01", (data / PART).rmdir) == ""
    for _ in range(2):
        await site.storage.make_own_part(LOCAL, account("park04"), PART)
    status = (data / PART).stat()
    assert (status.st_uid, status.st_mode & 0o777) == (pwd.getpwnam("park04").pw_uid, 0o700)
    assert as_user("lee01", (data / PART / "bin").mkdir) == "PermissionError"
    assert as_user("lee01", lambda: (data / PART).rename(data / "elsewhere")) == "PermissionError"
    # a folder that is no such one any more is everybody's again
    await site.storage.set_gate(dataclasses.replace(LOCAL, name="data"), [grant("kim01", "wd", is_owner=True), grant("lee01")])
    assert as_user("lee01", lambda: (data / PART).rename(data / "elsewhere")) == ""


async def test_a_session_does_without_a_part_that_is_not_its_persons():
    class Storage:
        async def make_own_part(self, *_: Any) -> None:
            raise Conflict

    class Database:
        def __init__(self) -> None:
            self.dropped: list[Any] = []

        async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
            if function is own_parts.vfolders.find_access:
                return access(LOCAL)
            self.dropped.append((function, *arguments))
            return None

    part = Mount(LOCAL.id, ".local", f"/x/{PART}", ".local", False, PART, True)
    whole = Mount("1" * 32, "data", "/y", "data", False)
    parts = SimpleNamespace(storage=Storage(), db=Database())
    admission = dataclasses.make_dataclass("Admission", ["engine", "mounts", "posix", "session_id"])("docker", (part, whole), None, "s")
    found = await own_parts.make_own_parts(parts, admission, "park04")
    assert found.mounts == (whole,)
    assert parts.db.dropped == [(own_parts.session_mounts.drop, "s", [".local"])]
