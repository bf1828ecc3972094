"""A folder that is given to somebody else: killed at every step it is whole, and somebody's; on both databases."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.vfolders import FolderStatus, Permission
from jupyterhub_backendai.errors import AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound, StorageUnavailable
from jupyterhub_backendai.services.folder_access import FolderAccess
from jupyterhub_backendai.services.folder_ownership import FolderOwners
from jupyterhub_backendai.services.folder_tasks import Progress
from jupyterhub_backendai.store import folder_tasks, models, vfolder_invitations, vfolder_ownership, vfolder_works
from jupyterhub_backendai.store.vfolder_rules import find_any
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user
from tests.services.data_folders import add_folder, share, user_id

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
ROOT, KIM = Actor("root", Role.SUPERADMIN), Actor("kim01", Role.USER, "default")
UIDS = {"kim01": 5001, "lee01": 5002, "park04": 5003}


class Killed(BaseException):
    """What a process is told last."""


class Disk:
    """Directories as (scope, id) with the files in them and whom the gate lets in; ends the process before or after a step."""

    is_single_user = False

    def __init__(self, kill_at=0):
        self.directories, self.calls, self.kill_at, self.is_away = {}, 0, kill_at, False

    def _step(self):
        self.calls += 1
        if self.calls == self.kill_at:
            raise Killed
        if self.is_away:
            raise StorageUnavailable(host="local:folders")

    @staticmethod
    def _key(folder):
        return folder.quota_scope_id

    async def make_folder(self, folder, grants):
        self._step()
        known = self.directories.setdefault(self._key(folder), {"files": set()})
        known["gate"] = [grant.uid for grant in grants]
        self._step()

    async def set_gate(self, folder, grants):
        self._step()
        self.directories[self._key(folder)]["gate"] = sorted(grant.uid for grant in grants)
        self._step()

    async def apply_access(self, folder, grants, account, *, others):
        self._step()
        others.add(-1)
        assert account.uid in self.directories[self._key(folder)]["gate"]
        return 1

    async def copy(self, source, target, account, progress):
        self._step()
        assert account.uid in self.directories[self._key(source)]["gate"]
        for name in sorted(self.directories[self._key(source)]["files"]):
            self.directories[self._key(target)]["files"].add(name)
            self._step()
        return getattr(self, "skipped", 0)

    async def remove_folder(self, folder):
        self._step()
        self.directories.pop(self._key(folder), None)
        self._step()


@pytest.fixture
async def people(database):
    def add(db):
        for name, uid in UIDS.items():
            add_user(db, name, email=f"{name}@example.org", posix_uid=uid)
        add_user(db, "root", role=Role.SUPERADMIN, posix=False)

    await database.run(add)
    return database


async def start(db, kill_at=0):
    """A folder of kim01's that park04 shares, on its way to lee01, with its directory."""

    def add(session):
        folder = add_folder(session, f"data{kill_at}", "kim01")
        share(session, folder, "park04")
        return folder, user_id(session, "kim01"), user_id(session, "lee01")

    folder, kim, lee = await db.run(add)
    disk = Disk(kill_at)
    disk.directories[f"user:{kim}"] = {"files": {"a", "b", "c"}, "gate": [5001, 5003]}
    await db.run_exclusive(vfolder_ownership.begin, ROOT, folder, "lee01")
    return folder, kim, lee, disk


async def work(db, disk, folder):
    owners = FolderOwners(db, disk, FolderAccess(db, disk))
    [task] = [item for item in await db.run_exclusive(folder_tasks.claim, ["ownership"], 10) if item.folder_id == folder]
    await owners.move(task, Progress())
    await db.run(lambda session: setattr(session.get(models.FolderTask, task.id), "status", "done"))


async def requeue(db):
    """Another process takes over what a dead one had."""
    await db.run(lambda session: session.query(models.FolderTask).filter_by(status="running").update({"status": "pending"}))


async def test_killed_at_every_step_it_is_whole_and_somebodys(people):
    for kill_at in range(1, 60):
        folder, _, lee, disk = await start(people, kill_at)
        with contextlib.suppress(Killed):
            await work(people, disk, folder)
        row = await people.run(find_any, folder)
        owner_has = disk.directories[row.quota_scope_id]["files"]
        assert owner_has == {"a", "b", "c"}, kill_at
        was_killed = disk.calls == kill_at
        await requeue(people)
        if was_killed:
            await work(people, disk, folder)
        row = await people.run(find_any, folder)
        assert (row.user, row.status, row.quota_scope_id) == ("lee01", FolderStatus.READY, f"user:{lee}")
        assert disk.directories == {f"user:{lee}": {"files": {"a", "b", "c"}, "gate": [5002, 5003]}}
        if not was_killed:
            break
    assert 10 < kill_at < 59


async def test_who_owns_it_now_is_not_asked_to_share_it(people):
    folder, kim, lee, disk = await start(people)
    asked = {"vfolder_id": folder, "inviter_id": kim, "permission": Permission.READ_ONLY}

    def invite(db):
        park = user_id(db, "park04")
        db.add_all(models.VFolderInvitation(id=models.new_id(), invitee_id=invitee, **asked) for invitee in (lee, park))

    await people.run(invite)
    await work(people, disk, folder)
    assert await people.run(vfolder_invitations.list_received, "lee01") == []
    assert len(await people.run(vfolder_invitations.list_received, "park04")) == 1


async def test_what_cannot_be_copied_changes_nothing(people):
    folder, kim, _, disk = await start(people)
    disk.skipped = 2
    owners = FolderOwners(people, disk, FolderAccess(people, disk))
    [task] = await people.run_exclusive(folder_tasks.claim, ["ownership"], 10)
    with pytest.raises(Conflict, match="2 files") as caught:
        await owners.move(task, Progress())
    await owners.give_up(task, caught.value)
    row = await people.run(find_any, folder)
    assert (row.user, row.status) == ("kim01", FolderStatus.READY)
    assert disk.directories == {f"user:{kim}": {"files": {"a", "b", "c"}, "gate": [5001, 5003]}}


async def test_what_stands_against_it_is_said(people):
    folder = await people.run(add_folder, "data", "kim01")
    begin = vfolder_ownership.begin
    for actor, to, error in (
        (KIM, "lee01", Forbidden),
        (Actor("lee01", Role.USER, "default"), "lee01", NotFound),
        (Actor("choi", Role.ADMIN, "default"), "lee01", NotFound),
        (ROOT, "nobody", NotFound),
        (ROOT, "kim01", InvalidParameters),
    ):
        with pytest.raises(error):
            await people.run_exclusive(begin, actor, folder, to)
    await people.run(add_folder, "data", "lee01")
    with pytest.raises(AlreadyExists):
        await people.run_exclusive(begin, ROOT, folder, "lee01@example.org")
    await people.run_exclusive(begin, ROOT, folder, "park04")
    with pytest.raises(Conflict):
        await people.run_exclusive(begin, ROOT, folder, "park04")


async def test_a_sweep_leaves_what_is_under_way_and_frees_what_nobody_moves(people):
    folder, *_ = await start(people)
    long_ago = datetime.now(UTC) - timedelta(days=30)
    await people.run(lambda db: setattr(db.get(models.VFolder, folder), "created_at", long_ago))
    await people.run_exclusive(vfolder_works.tidy)
    assert (await people.run(find_any, folder)).status is FolderStatus.PERFORMING
    await people.run_exclusive(folder_tasks.cancel, folder)
    await people.run_exclusive(vfolder_works.tidy)
    assert (await people.run(find_any, folder)).status is FolderStatus.READY
