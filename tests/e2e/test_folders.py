"""Folders on a real platform: made, copied by another person, thrown away and deleted, as files of real accounts."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from tests.e2e.marks import PLATFORM, needs_lab
from tests.e2e.stack import until
from tests.e2e.test_batch import ask

pytestmark = PLATFORM


def run_as(name: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of somebody's, as a job on a node would run it."""
    account = pwd.getpwnam(name)
    return subprocess.run(command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], capture_output=True, text=True, check=False)


async def until_ready(user, folder_id: str):
    async def look():
        _, folder = await ask(user, "GET", f"folders/{folder_id}")
        return folder if folder["status"] in ("ready", "error") else None

    return await until(look, 30, "the copy")


async def until_gone(user, folder_id: str) -> None:
    async def look():
        return (await ask(user, "GET", f"folders/{folder_id}"))[0] == 404

    await until(look, 30, "the deletion")


async def delete(user, folder) -> None:
    assert (await ask(user, "POST", f"folders/{folder['id']}/trash"))[0] == 200
    assert (await ask(user, "POST", f"folders/{folder['id']}/purge", {"name": folder["name"]}))[0] == 202
    await until_gone(user, folder["id"])


@needs_lab
async def test_folders_of_two_accounts_on_the_cluster(slurm, researchers):
    kim, lee = await researchers("kim01"), await researchers("lee01")
    status, folder = await ask(kim, "POST", "folders", {"name": "measurements", "cloneable": True})
    assert (status, folder["status"]) == (201, "ready"), folder
    path = Path(slurm.read_settings().list_storage_hosts()[folder["host"]].path, folder["quota_scope_id"].replace(":", "-"), folder["id"])
    data = str(path / "data")
    assert run_as("kim01", "sh", "-c", f"echo eins > {data}/a; mkdir {data}/b; echo 둘 > {data}/b/한글").returncode == 0
    assert (path.stat().st_uid, (path / "data").stat().st_uid) == (0, pwd.getpwnam("kim01").pw_uid)
    assert run_as("lee01", "ls", data).returncode != 0

    _, account = await ask(lee, "GET", "account")
    _, answer = await ask(kim, "POST", f"folders/{folder['id']}/invite", {"emails": [account["email"]], "permission": "ro"})
    invitation = answer["invited"][0]["id"]
    assert (await ask(lee, "POST", f"folders/invitations/{invitation}/accept"))[0] == 200
    assert run_as("lee01", "cat", f"{data}/a").returncode == 0

    status, copy = await ask(lee, "POST", f"folders/{folder['id']}/clone", {"name": "copy"})
    assert status == 202, copy
    copy = await until_ready(lee, copy["id"])
    assert (copy["status"], copy["task"]["trouble"]) == ("ready", ""), copy
    copied = path.parents[1] / copy["quota_scope_id"].replace(":", "-") / copy["id"] / "data"
    assert run_as("lee01", "cat", f"{copied}/b/한글").stdout == "둘\n"
    assert (copied / "a").stat().st_uid == pwd.getpwnam("lee01").pw_uid
    assert run_as("kim01", "ls", str(copied)).returncode != 0

    assert (await ask(kim, "POST", f"folders/{folder['id']}/trash"))[0] == 200
    assert run_as("lee01", "cat", f"{data}/a").returncode != 0
    assert run_as("kim01", "cat", f"{data}/a").returncode != 0
    assert (await ask(kim, "POST", f"folders/{folder['id']}/restore"))[0] == 200
    assert run_as("kim01", "cat", f"{data}/a").stdout == "eins\n"
    await delete(kim, folder)
    await delete(lee, copy)
    assert not os.path.lexists(path)


async def test_without_root_a_folder_is_the_service_s_own(local, people):
    user = await people("user1")
    status, folder = await ask(user, "POST", "folders", {"name": ".local"})
    assert status == 201, folder
    path = local.state / "folders" / folder["quota_scope_id"].replace(":", "-") / folder["id"]
    assert sorted(entry.name for entry in path.iterdir()) == ["data", "work"]
    assert (await ask(await people("user2"), "GET", f"folders/{folder['id']}"))[0] == 404
    await delete(user, folder)
    assert not path.exists()
