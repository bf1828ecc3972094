from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.core.vfolders import FolderStatus, HostPermission, OwnershipType, Permission, UsageMode
from jupyterhub_backendai.errors import AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound, QuotaExceeded
from jupyterhub_backendai.store import folder_tasks, models, vfolder_changes, vfolder_grants, vfolder_hosts
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.vfolder_changes import Act, NewFolder
from jupyterhub_backendai.store.vfolder_lists import FolderFilter, list_everybody, list_mine
from jupyterhub_backendai.store.vfolders import find_access, list_access
from tests.factories import add_member, add_user
from tests.factories_folders import HOST, add_folder, add_host, mount_folder, share_folder

ME, LEE = Act("kim01", "127.0.0.1"), Act("lee01")
ROOT, ADMIN, STRANGER = Act("root"), Act("choi01"), Act("park04")


@pytest.fixture
async def folders(database: Database) -> Database:
    """kim01 and lee01 are in the project alpha; choi01 administers their domain, root everything; park04 is elsewhere."""

    def fill(db):
        add_user(db, "kim01", "alpha", posix_uid=5001, posix_gid=500)
        add_user(db, "lee01", "alpha", posix_uid=5002, posix_gid=500)
        add_user(db, "choi01", role=Role.ADMIN, posix=False)
        add_user(db, "root", role=Role.SUPERADMIN, posix=False)
        db.add(models.Domain(name="physics"))
        db.flush()
        db.get(models.User, add_user(db, "park04", role=Role.ADMIN)).domain = "physics"
        add_host(db)

    await database.run_exclusive(fill)
    return database


async def make(db: Database, name: str = "data", act: Act = ME, **fields) -> str:
    folder = await db.run_exclusive(vfolder_changes.create, act, NewFolder(name, **fields))
    await db.run_exclusive(vfolder_changes.finish_making, act, folder.id)
    return folder.id


async def refuse(error, db: Database, function, *args, **kwargs) -> str:
    with pytest.raises(error) as caught:
        await db.run_exclusive(function, *args, **kwargs)
    return str(caught.value)


async def test_a_new_folder_is_ready_when_its_directory_is_there(folders):
    folder = await folders.run_exclusive(vfolder_changes.create, ME, NewFolder("data", usage_mode=UsageMode.DATA))
    assert (folder.status, folder.host, folder.quota_scope_id) == (FolderStatus.PERFORMING, HOST, f"user:{folder.user_id}")
    await folders.run_exclusive(vfolder_changes.finish_making, ME, folder.id)
    access = await folders.run(find_access, "kim01", folder.id)
    assert (access.folder.status, access.permission, access.is_owner) == (FolderStatus.READY, Permission.READ_WRITE_DELETE, True)
    entries = await folders.run(
        lambda db: [(row.action, row.object, row.source) for row in db.query(models.AuditEntry).filter_by(actor="kim01")]
    )
    assert entries == [("vfolder.create", folder.id, "127.0.0.1")]


async def test_a_folder_whose_directory_could_not_be_made_is_none(folders):
    folder = await folders.run_exclusive(vfolder_changes.create, ME, NewFolder("data"))
    await folders.run_exclusive(vfolder_changes.give_up_making, folder.id)
    assert await folders.run(list_access, "kim01") == []
    await folders.run_exclusive(vfolder_changes.finish_making, ME, folder.id)  # too late, and no error
    assert await make(folders)


@pytest.mark.parametrize(
    "name", ["", "a b", "..", ".", "-x", "가나다", "a/b", "a" * 65, ".ssh", ".bashrc", ".bash_profile", "a\n", ".terminfo"]
)
async def test_names_that_cannot_be(folders, name):
    await refuse(InvalidParameters, folders, vfolder_changes.create, ME, NewFolder(name))


async def test_models_have_longer_names(folders):
    assert await make(folders, "m" * 128, usage_mode=UsageMode.MODEL)
    await refuse(InvalidParameters, folders, vfolder_changes.create, ME, NewFolder("m" * 129, usage_mode=UsageMode.MODEL))


async def test_a_name_is_taken_by_all_that_somebody_sees_until_it_is_deleted_for_good(folders):
    mine = await make(folders)
    assert "already a folder data" in await refuse(AlreadyExists, folders, vfolder_changes.create, ME, NewFolder("data"))
    await make(folders, act=LEE)  # another one's
    shared = await make(folders, "shared", LEE)
    await folders.run_exclusive(share_folder, shared, "kim01")
    await refuse(AlreadyExists, folders, vfolder_changes.create, ME, NewFolder("shared"))
    await make(folders, "ours", ADMIN, project="alpha")
    await refuse(AlreadyExists, folders, vfolder_changes.create, ME, NewFolder("ours"))
    await refuse(AlreadyExists, folders, vfolder_changes.rename, ME, mine, "ours")
    await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)
    await refuse(AlreadyExists, folders, vfolder_changes.create, ME, NewFolder("data"))
    await folders.run_exclusive(vfolder_changes.begin_purge, ME, mine, "data")
    assert await make(folders)


async def test_counts_are_exact_however_many_ask_at_once(folders):
    def limit(db):
        db.get(models.UserResourcePolicy, "default").max_vfolder_count = 3

    await folders.run_exclusive(limit)
    asked = [folders.run_exclusive(vfolder_changes.create, ME, NewFolder(f"f{number}")) for number in range(8)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    refused = [result for result in results if isinstance(result, QuotaExceeded)]
    assert len(refused) == 5, results
    assert "3 folders and has 3" in str(refused[0])
    assert await folders.run(lambda db: db.query(models.VFolder).count()) == 3


async def test_a_name_is_given_once_however_many_ask_at_once(folders):
    asked = [folders.run_exclusive(vfolder_changes.create, ME, NewFolder("same")) for _ in range(6)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, AlreadyExists) for result in results) == 5, results


async def test_what_is_in_the_trash_counts(folders):
    def limit(db):
        db.get(models.UserResourcePolicy, "default").max_vfolder_count = 1

    await folders.run_exclusive(limit)
    mine = await make(folders)
    await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)
    await refuse(QuotaExceeded, folders, vfolder_changes.create, ME, NewFolder("other"))


async def test_folders_of_a_project_are_made_by_its_administrators(folders):
    await refuse(Forbidden, folders, vfolder_changes.create, ME, NewFolder("ours", project="alpha"))
    await refuse(NotFound, folders, vfolder_changes.create, STRANGER, NewFolder("ours", project="alpha"))
    ours = await make(folders, "ours", ADMIN, project="alpha", permission=Permission.READ_ONLY)
    access = await folders.run(find_access, "kim01", ours)
    assert (access.folder.ownership_type, access.permission, access.source) == (OwnershipType.PROJECT, Permission.READ_ONLY, "project")
    await refuse(InvalidParameters, folders, vfolder_changes.create, ADMIN, NewFolder(".cache", project="alpha"))
    await make(folders, ".local", ADMIN, project="alpha")


async def test_who_may_change_a_folder(folders):
    mine, ours = await make(folders), await make(folders, "ours", ADMIN, project="alpha")
    await folders.run_exclusive(share_folder, mine, "lee01", Permission.READ_WRITE)
    rename = vfolder_changes.rename
    await refuse(Forbidden, folders, rename, LEE, mine, "x")  # a reader and writer
    await refuse(Forbidden, folders, rename, LEE, ours, "x")  # a member
    await refuse(NotFound, folders, rename, ADMIN, mine, "x")  # people's own folders are no business of the domain's
    await refuse(NotFound, folders, rename, STRANGER, ours, "x")
    assert (await folders.run_exclusive(rename, ADMIN, ours, "x")).name == "x"
    assert (await folders.run_exclusive(rename, ROOT, mine, "y")).name == "y"
    await folders.run_exclusive(lambda db: setattr(db.query(models.VFolderPermission).one(), "permission", Permission.READ_WRITE_DELETE))
    assert (await folders.run_exclusive(rename, LEE, mine, "z")).name == "z"


async def test_a_permission_of_the_host_that_is_missing_is_named(folders):
    mine = await make(folders)

    def take_away(db):
        policy = db.get(models.KeypairResourcePolicy, "default")
        policy.allowed_vfolder_hosts = {HOST: ["mount-in-session"]}

    await folders.run_exclusive(take_away)
    assert "create-vfolder" in await refuse(Forbidden, folders, vfolder_changes.create, ME, NewFolder("x", host=HOST))
    assert "no storage host" in await refuse(Forbidden, folders, vfolder_changes.create, ME, NewFolder("x"))
    assert HOST in (told := await refuse(Forbidden, folders, vfolder_changes.rename, ME, mine, "x"))
    assert "modify-vfolder" in told
    assert "delete-vfolder" in await refuse(Forbidden, folders, vfolder_changes.move_to_trash, ME, mine)
    await refuse(NotFound, folders, vfolder_changes.create, ME, NewFolder("x", host="none:such"))


async def test_permissions_of_a_host_are_the_union_of_all_who_grant_them(folders):
    def grant(db):
        db.get(models.KeypairResourcePolicy, "default").allowed_vfolder_hosts = {HOST: ["create-vfolder"]}
        db.get(models.Domain, "default").allowed_vfolder_hosts = {HOST: ["upload-file"]}
        db.query(models.Project).filter_by(name="alpha").one().allowed_vfolder_hosts = {
            HOST: ["invite-others"],
            "gone:x": ["create-vfolder"],
        }
        beta = add_user(db, "jung03", "beta")
        db.query(models.Project).filter_by(name="beta").one().allowed_vfolder_hosts = {HOST: ["delete-vfolder"]}
        return beta, db.query(models.Project).filter_by(name="beta").one().id

    _, beta = await folders.run_exclusive(grant)
    allowed = vfolder_hosts.allowed_hosts
    assert await folders.run(allowed, "kim01") == {HOST: {HostPermission.CREATE, HostPermission.UPLOAD, HostPermission.INVITE}}
    assert await folders.run(allowed, "jung03") == {HOST: {HostPermission.CREATE, HostPermission.UPLOAD, HostPermission.DELETE}}
    assert HostPermission.INVITE not in (await folders.run(allowed, "kim01", beta))[HOST]
    assert await folders.run(allowed, "root") == {HOST: frozenset(HostPermission)}
    assert await folders.run(allowed, "nobody") == {}
    await folders.run_exclusive(lambda db: setattr(db.get(models.StorageHost, HOST), "is_active", False))
    assert await folders.run(allowed, "root") == {}


async def test_a_new_host_is_open_to_the_default_policy_once(folders):
    def take_away(db):
        db.get(models.KeypairResourcePolicy, "default").allowed_vfolder_hosts = {}

    assert len((await folders.run(vfolder_hosts.allowed_hosts, "kim01"))[HOST]) == 8
    await folders.run_exclusive(take_away)
    await folders.run_exclusive(add_host)
    assert await folders.run(vfolder_hosts.allowed_hosts, "kim01") == {}
    await folders.run_exclusive(vfolder_hosts.sync, {})
    assert await folders.run(vfolder_hosts.list_hosts) == []  # the file has it no more
    await folders.run_exclusive(add_host)
    assert [host.name for host in await folders.run(vfolder_hosts.list_hosts)] == [HOST]


async def test_the_trash_and_back(folders):
    mine = await make(folders)
    await refuse(Conflict, folders, vfolder_changes.restore, ME, mine)
    await refuse(Conflict, folders, vfolder_changes.begin_purge, ME, mine, "data")
    assert (await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)).status is FolderStatus.DELETE_PENDING
    await refuse(Conflict, folders, vfolder_changes.rename, ME, mine, "x")
    await refuse(Conflict, folders, vfolder_changes.move_to_trash, ME, mine)
    assert (await folders.run_exclusive(vfolder_changes.restore, ME, mine)).status is FolderStatus.READY
    await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)
    assert "exactly" in await refuse(InvalidParameters, folders, vfolder_changes.begin_purge, ME, mine, "Data")
    assert (await folders.run_exclusive(vfolder_changes.begin_purge, ME, mine, "data")).status is FolderStatus.DELETE_ONGOING
    await refuse(NotFound, folders, vfolder_changes.restore, ME, mine)


async def test_what_others_threw_away_is_not_there(folders):
    mine = await make(folders)
    await folders.run_exclusive(share_folder, mine, "lee01", Permission.READ_WRITE)
    await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)
    await refuse(NotFound, folders, vfolder_changes.restore, LEE, mine)


async def test_a_folder_in_a_live_session_stays(folders):
    mine = await make(folders)
    await folders.run_exclusive(mount_folder, mine, is_live=False)
    session = await folders.run_exclusive(mount_folder, mine)
    assert "in use by 1 sessions" in await refuse(Conflict, folders, vfolder_changes.move_to_trash, ME, mine)
    await folders.run_exclusive(lambda db: setattr(db.get(models.ComputeSession, session), "released_at", models.now()))
    await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)


async def test_options(folders):
    mine = await make(folders)
    after = await folders.run_exclusive(vfolder_changes.update_options, ME, mine, permission=Permission.READ_ONLY, cloneable=True)
    assert (after.permission, after.cloneable) == (Permission.READ_ONLY, True)
    await folders.run_exclusive(vfolder_changes.update_options, ME, mine, cloneable=True)  # nothing changes: no second row
    entries = await folders.run(lambda db: [row.details for row in db.query(models.AuditEntry).filter_by(action="vfolder.options")])
    assert entries == [{"name": "data", "permission": "ro", "cloneable": True}]


async def test_only_what_may_be_copied_is(folders):
    mine = await make(folders)
    await folders.run_exclusive(share_folder, mine, "lee01")
    assert "may not be copied" in await refuse(Forbidden, folders, vfolder_changes.begin_clone, LEE, mine, NewFolder("copy"))
    await folders.run_exclusive(vfolder_changes.update_options, ME, mine, cloneable=True)
    await refuse(NotFound, folders, vfolder_changes.begin_clone, STRANGER, mine, NewFolder("copy"))
    await refuse(AlreadyExists, folders, vfolder_changes.begin_clone, LEE, mine, NewFolder("data"))
    copy, task_id = await folders.run_exclusive(vfolder_changes.begin_clone, LEE, mine, NewFolder("copy"))
    assert (copy.status, copy.user, copy.host) == (FolderStatus.CLONING, "lee01", HOST)
    task = await folders.run(folder_tasks.get, task_id)
    assert (task.kind, task.folder_id, task.source_id, task.status) == ("clone", copy.id, mine, "pending")
    assert "being copied" in await refuse(Conflict, folders, vfolder_changes.move_to_trash, ME, mine)
    assert "still being copied" in await refuse(Conflict, folders, vfolder_changes.move_to_trash, LEE, copy.id)


async def test_a_shared_folder_gets_no_name_with_a_dot(folders):
    mine = await make(folders)
    await folders.run_exclusive(share_folder, mine, "lee01")
    await refuse(InvalidParameters, folders, vfolder_changes.rename, ME, mine, ".cache")


async def test_who_may_use_the_files(folders):
    mine, ours = await make(folders), await make(folders, "ours", ADMIN, project="alpha", permission=Permission.READ_ONLY)
    await folders.run_exclusive(share_folder, mine, "lee01", Permission.READ_ONLY)
    await folders.run_exclusive(share_folder, mine, "choi01", Permission.READ_ONLY)  # who has no Unix account
    await folders.run_exclusive(share_folder, ours, "lee01", Permission.READ_WRITE, "override")
    grants = [
        (grant.uid, grant.permission.value, grant.is_owner, grant.gid) for grant in await folders.run(vfolder_grants.list_grants, mine)
    ]
    assert grants == [(5001, "wd", True, 500), (5002, "ro", False, 500)]
    grants = [(grant.uid, grant.permission.value) for grant in await folders.run(vfolder_grants.list_grants, ours)]
    assert grants == [(5001, "ro"), (5002, "rw")]
    await folders.run_exclusive(
        lambda db: setattr(db.query(models.User).filter_by(name="lee01").one(), "status", models.UserStatus.INACTIVE)
    )
    assert [grant.uid for grant in await folders.run(vfolder_grants.list_grants, mine)] == [5001]
    await folders.run_exclusive(vfolder_changes.move_to_trash, ME, mine)
    assert await folders.run(vfolder_grants.list_grants, mine) == []


async def test_tasks_are_taken_once_and_by_the_next_when_they_look_dead(folders):
    await folders.run_exclusive(folder_tasks.add, "purge", "f1")
    assert await folders.run_exclusive(folder_tasks.add, "purge", "f1") == (await folders.run_exclusive(folder_tasks.add, "purge", "f1"))
    claimed = await asyncio.gather(*(folders.run_exclusive(folder_tasks.claim, ["purge"], 5) for _ in range(4)))
    (first,) = [task for tasks in claimed for task in tasks]
    assert await folders.run(folder_tasks.beat, first, {"done_bytes": 7})
    later = models.now() + timedelta(seconds=folder_tasks.STALE_S + 1)
    (second,) = await folders.run_exclusive(folder_tasks.claim, ["purge"], 5, later)
    assert (second.tries, second.done_bytes) == (2, 7)
    assert not await folders.run(folder_tasks.beat, first, {})  # who looked dead has no say
    assert not await folders.run_exclusive(folder_tasks.finish, first, {})
    assert await folders.run_exclusive(folder_tasks.put_back, second, {"message": "x"}, 60)
    assert await folders.run_exclusive(folder_tasks.claim, ["purge"], 5) == []  # not yet
    (third,) = await folders.run_exclusive(folder_tasks.claim, ["purge"], 5, later + timedelta(seconds=60))
    assert await folders.run_exclusive(folder_tasks.finish, third, {})
    assert await folders.run_exclusive(folder_tasks.forget_old) == 0
    assert await folders.run_exclusive(folder_tasks.forget_old, later + timedelta(days=8)) == 1


async def test_ten_thousand_folders_cost_one_page(folders):
    def fill(db):
        first = add_folder(db, "f0")
        row = db.get(models.VFolder, first)
        same = {name: getattr(row, name) for name in ("host", "quota_scope_id", "domain", "ownership_type", "user_id", "creator", "status")}
        db.add_all([models.VFolder(name=f"f{number}", used_bytes=number, **same) for number in range(1, 300)])
        add_member(db, db.query(models.User).filter_by(name="root").one().id, "beta")

    await folders.run_exclusive(fill)
    found = await folders.run(list_mine, "kim01", FolderFilter(sort="-used_bytes", size=10, page=2))
    assert (found.total, found.pages, [access.folder.name for access in found.folders][:2]) == (300, 30, ["f289", "f288"])
    assert (await folders.run(list_mine, "lee01", FolderFilter())).total == 0
    assert (await folders.run(list_everybody, "root", FolderFilter(search="F29"))).total == 11
    assert (await folders.run(list_everybody, "choi01", FolderFilter())).total == 0
    with pytest.raises(NotFound):
        await folders.run(list_everybody, "kim01", FolderFilter())


async def test_folders_of_a_closed_project_are_its_administrators_only(folders):
    ours = await make(folders, "ours", ADMIN, project="alpha")
    await folders.run_exclusive(lambda db: setattr(db.query(models.Project).filter_by(name="alpha").one(), "is_active", False))
    assert await folders.run(list_access, "kim01") == []
    assert (await folders.run(list_mine, "kim01", FolderFilter())).total == 0
    assert (await folders.run(list_everybody, "choi01", FolderFilter())).total == 1
    assert await folders.run(vfolder_grants.list_grants, ours) == []
