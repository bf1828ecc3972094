"""A folder that two real Unix accounts share: through the path that sessions get, the kernel lets in whom the database says, and nobody else."""

import subprocess

import pytest

from jupyterhub_backendai.core.identity import UserStatus
from jupyterhub_backendai.errors import NotFound
from jupyterhub_backendai.store import models, vfolder_ownership
from jupyterhub_backendai.store.vfolder_gates import load_gate
from jupyterhub_backendai.store.vfolder_rules import find_any
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.services.data_folders import share, user_id
from tests.services.storage.sharing import RO, ROOT, RW, people, place

__all__ = ["people", "place", "sqlite_template"]
RUNNING = """
import sys
for line in sys.stdin:
    try:
        print("read", open(sys.argv[1]).read(), flush=True)
    except OSError as e:
        print(type(e).__name__, flush=True)
"""


async def test_b_reads_until_a_takes_it_back_and_then_not(place, people):
    kim, lee, park = people
    folder, path = await place.make()
    file = path / "한글 노트.txt"
    assert kim.write(file, "secret")
    assert not lee.read(file)[0]
    await place.share(folder, RO)
    assert lee.read(file) == (True, "secret")
    assert not lee.write(file)
    assert not lee.write(path / "new")
    assert not park.read(file)[0]
    # a process of lee01's that runs all the while, as a session does
    running = lee.start(RUNNING, file)
    try:
        assert ask(running) == "read secret"
        await place.change(folder, None)
        assert ask(running) == "PermissionError"
        assert not lee.read(file)[0]
    finally:
        running.stdin.close()
        running.wait(10)
        running.stdout.close()
    with pytest.raises(NotFound):
        await place.files(folder, lee)


def ask(process):
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def start_bound(person, source, target, *arguments):
    """A process of somebody's that sees a directory bound to another place, as in a container."""
    identity = [f"--reuid={person.account.uid}", f"--regid={person.account.gid}", "--clear-groups"]
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(source), str(target)]
    return subprocess.Popen(
        [*command, "setpriv", *identity, "/usr/bin/python3", "-c", RUNNING, *map(str, arguments)],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_a_bind_mount_is_shut_too(place, people):
    """Past the gate there is the list of the folder's top; and, once they have followed, those of the directories in it."""
    kim, lee, _ = people
    folder, path = await place.make()
    assert kim.do("import os, sys; os.mkdir(sys.argv[1])", path / "sub")[0]
    assert kim.write(path / "sub" / "file", "secret")
    await place.share(folder, RW)
    assert lee.write(path / "sub" / "lees", "mine")
    targets = [path.parents[2] / name for name in ("whole", "part")]
    for target in targets:
        target.mkdir(mode=0o755)
    whole = start_bound(lee, path, targets[0], targets[0] / "sub" / "file")
    part = start_bound(lee, path / "sub", targets[1], targets[1] / "lees")
    try:
        assert [ask(process) for process in (whole, part)] == ["read secret", "read mine"]
        await place.change(folder, None)
        assert ask(whole) == "PermissionError"
        await place.folder_tasks.run_due()
        assert [ask(process) for process in (whole, part)] == ["PermissionError"] * 2
    finally:
        for process in (whole, part):
            process.stdin.close()
            process.wait(10)
            process.stdout.close()


async def test_permissions_follow_in_files_that_were_there(place, people):
    kim, lee, _ = people
    folder, path = await place.make()
    assert kim.do("import os, sys; os.makedirs(sys.argv[1]); open(sys.argv[1] + '/f', 'w').write('1')", path / "deep" / "er")[0]
    assert kim.do("import os, sys; os.chmod(sys.argv[1], 0o600)", path / "deep" / "er" / "f")[0]
    old = path / "deep" / "er" / "f"
    await place.share(folder, RW)
    assert lee.read(old) == (True, "1")
    assert lee.write(old, "2")
    assert lee.write(path / "deep" / "er" / "lees", "3")
    assert kim.read(path / "deep" / "er" / "lees") == (True, "3")
    assert kim.write(path / "deep" / "er" / "lees", "4")
    await place.change(folder, RO)
    await place.folder_tasks.run_due()
    assert lee.read(old) == (True, "2")
    assert not lee.write(old, "5")
    assert not lee.write(path / "deep" / "er" / "more")
    assert not lee.write(path / "more")


async def test_only_whose_files_are_there_is_asked(place, people):
    kim, lee, park = people
    folder, path = await place.make()
    await place.share(folder, RW)
    assert kim.write(path / "x")
    assert park.account.uid not in await owners(place, folder, kim)
    assert await owners(place, folder, kim) == set()
    assert lee.write(path / "y")
    assert await owners(place, folder, kim) == {lee.account.uid}
    assert lee.do("import os, sys; os.mkdir(sys.argv[1]); os.chmod(sys.argv[1], 0o700)", path / "hidden")[0]
    assert await owners(place, folder, kim) == {-1}


async def owners(place, folder, person):
    gate = await place.db.run(load_gate, folder)
    found = set()
    await place.storage.apply_access(gate.folder, gate.wanted, person.account, others=found)
    return found


async def test_whoever_is_closed_or_gets_another_account_is_found(place, people):
    kim, lee, park = people
    folder, path = await place.make()
    await place.share(folder, RW)
    assert lee.write(path / "x")
    assert await place.folder_access.look() == 0

    def change(db, **values):
        for name, value in values.items():
            setattr(db.query(models.User).filter_by(name="lee01").one(), name, value)

    await place.db.run(lambda db: change(db, status=UserStatus.INACTIVE))
    assert await place.folder_access.look() == 1
    assert not lee.read(path / "x")[0]
    await place.db.run(lambda db: change(db, status=UserStatus.ACTIVE, posix_uid=park.account.uid, posix_name="park04"))
    assert await place.folder_access.look() == 1
    assert not lee.read(path / "x")[0]
    assert kim.read(path / "x")[0]
    assert park.do("import os, sys; os.listdir(sys.argv[1])", path)[0]


async def test_members_of_a_project_have_its_folder_while_they_are_in_it(place, people):
    kim, lee, park = people

    def add(db):
        for name in ("kim01", "lee01"):
            db.add(models.ProjectMember(user_id=user_id(db, name), project_id=project.id))

    project = await place.db.run(lambda db: _add(db, models.Project(domain="default", name="alpha")))
    await place.db.run(add)
    _, path = await place.make("team", project="alpha", permission=RW)
    assert kim.write(path / "ours", "1")
    assert lee.write(path / "ours", "2")
    assert not park.read(path / "ours")[0]
    await place.db.run(lambda db: db.query(models.ProjectMember).filter_by(user_id=user_id(db, "lee01"), project_id=project.id).delete())
    assert await place.folder_access.look() == 1
    assert not lee.read(path / "ours")[0]
    assert kim.read(path / "ours") == (True, "2")


def _add(db, row):
    db.add(row)
    db.flush()
    return row


async def test_a_folder_changes_its_owner_with_all_that_is_in_it(place, people):
    kim, lee, park = people
    folder, path = await place.make()
    await place.share(folder, RW)
    assert kim.do("import os, sys; os.makedirs(sys.argv[1]); open(sys.argv[1] + '/f', 'w').write('1')", path / "deep")[0]
    assert lee.write(path / "lees", "2")
    await place.db.run_exclusive(vfolder_ownership.begin, ROOT, folder, "park04")
    place.folder_tasks.wake()
    await place.folder_tasks.run_due()
    found = await place.db.run(find_any, folder)
    assert (found.user, found.status.value, found.status_reason) == ("park04", "ready", "")
    new = place.path(found)
    assert not path.parent.exists()
    assert (new / "deep" / "f").stat().st_uid == park.account.uid
    assert park.read(new / "lees") == (True, "2")
    assert lee.write(new / "lees", "3")
    assert not kim.read(new / "lees")[0]


async def test_one_who_cannot_be_let_in_keeps_nobody_else_in(place, people):
    """An account that the helper refuses (a system's) is no reason that somebody whose right was taken away keeps it."""
    kim, lee, _ = people
    folder, path = await place.make()
    await place.share(folder, RW)
    assert kim.write(path / "x")
    lee_id = await place.db.run(user_id, "lee01")

    def change(db):
        db.query(models.VFolderPermission).filter_by(user_id=lee_id).delete()
        add_user(db, "daemon", posix_uid=1)
        share(db, folder, "daemon")

    await place.db.run(change)
    assert not await place.folder_access.apply(folder)
    assert not lee.read(path / "x")[0]
    assert kim.read(path / "x")[0]
