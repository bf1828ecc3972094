"""Folders are settled in the transaction that admits a session."""

import asyncio

import pytest

from jupyterhub_backendai.core.vfolder_mounts import parse_mounts
from jupyterhub_backendai.core.vfolders import FolderStatus, Permission
from jupyterhub_backendai.errors import BackendAIError, Conflict, InvalidParameters
from jupyterhub_backendai.store import models, session_mounts, sessions
from jupyterhub_backendai.store.vfolder_changes import Act, move_to_trash
from tests.factories import GIB, add_user, make_queue, make_slots, make_spec
from tests.services.data_folders import add_folder, share

QUEUE = make_queue(capacity=make_slots(99, 99 * GIB, 9))


@pytest.fixture
async def people(database):
    def add(db):
        for name in ("kim01", "lee01"):
            add_user(db, name)
        return {
            "data": add_folder(db, "data"),
            ".cache": add_folder(db, ".cache"),
            ".local": add_folder(db, ".local", project="default", permission=Permission.READ_WRITE),
        }

    database.ids = await database.run(add)
    return database


def admit(database, mounts="", server_name="", user="kim01", queue=QUEUE, session_id=""):
    spec = make_spec(user, server_name, queue=queue.name, session_id=session_id, mounts=parse_mounts(mounts))
    return database.run_exclusive(sessions.admit, spec, queue, None)


def change(db, folder_id, **fields):
    row = db.get(models.VFolder, folder_id)
    for name, value in fields.items():
        setattr(row, name, value)


async def test_an_admission_has_what_was_asked_for_and_what_comes_by_itself(people):
    admission = await admit(people, "data/in:input:ro")
    found = {mount.target: (mount.name, mount.subpath, mount.is_read_only, mount.is_automatic) for mount in admission.mounts}
    user = await people.run(lambda db: db.query(models.User).filter_by(name="kim01").one().id)
    assert found == {
        "input": ("data", "in", True, False),
        ".cache": (".cache", "", False, True),
        ".local": (".local", user, False, True),
    }
    assert admission.admitted_at
    assert admission.neighbours == ()
    kept = await people.run(session_mounts.load, admission.session_id)
    assert {mount.target: mount for mount in kept} == {mount.target: mount for mount in admission.mounts}
    used = await people.run(lambda db: db.get(models.VFolder, people.ids["data"]).last_used_at)
    assert used is not None


async def test_asking_twice_gives_the_same_folders(people):
    first = await admit(people, "data", session_id="a" * 32)
    again = await admit(people, "data", session_id="a" * 32)
    assert set(again.mounts) == set(first.mounts)


async def test_a_refused_folder_refuses_the_session(people):
    with pytest.raises(InvalidParameters) as caught:
        await admit(people, "nothing,data:.ssh")
    assert [(violation.field, violation.rule) for violation in caught.value.violations] == [("mounts", "mount")] * 2
    assert await people.run(sessions.list_live) == ()


async def test_folders_of_others_are_none(people):
    with pytest.raises(InvalidParameters):
        await admit(people, people.ids["data"], user="lee01")
    admission = await admit(people, user="lee01")
    assert [mount.name for mount in admission.mounts] == [".local"]


async def test_a_session_knows_which_others_of_its_owner_have_folders(people):
    first = await admit(people, "data", "one")
    second = await admit(people, "", "two")
    assert second.neighbours == (first.session_id,)
    assert (await admit(people, "", "three", "lee01")).neighbours == ()
    await people.run(sessions.release, first.session_id)
    assert (await admit(people, "", "four")).neighbours == (second.session_id,)


async def test_a_name_that_another_live_session_gave_to_another_folder_is_taken(people):
    first = await admit(people, "data:in", "one")
    await people.run(add_folder, "other")
    with pytest.raises(InvalidParameters) as caught:
        await admit(people, "other:in", "two")
    assert "has another folder at in" in str(caught.value.violations[0])
    await people.run(sessions.release, first.session_id)
    assert (await admit(people, "other:in", "two")).mounts


async def test_what_was_lost_before_the_session_begins_is_not_mounted(people):
    shared = await people.run(add_folder, "shared", "lee01")
    await people.run(share, shared, "kim01", Permission.READ_WRITE)
    first = await admit(people, "data,shared", session_id="a" * 32)
    assert not any(mount.is_read_only for mount in first.mounts)

    def take(db):
        db.query(models.VFolderPermission).filter_by(vfolder_id=shared).one().permission = Permission.READ_ONLY
        change(db, people.ids["data"], status=FolderStatus.DELETE_PENDING)

    await people.run(take)
    again = await admit(people, "data,shared", session_id="a" * 32)
    assert {mount.name: mount.is_read_only for mount in again.mounts if not mount.is_automatic} == {"shared": True}
    assert "data" not in {mount.name for mount in await people.run(session_mounts.load, "a" * 32)}


async def test_a_folder_is_thrown_away_or_mounted_but_never_both(people):
    """Whoever comes first, on both databases, many times."""
    for number in range(12):
        name = f"race{number}"
        folder = await people.run(add_folder, name)
        admission, thrown = await asyncio.gather(
            admit(people, name, f"s{number}"), people.run_exclusive(move_to_trash, Act("kim01"), folder), return_exceptions=True
        )
        for result in (admission, thrown):
            assert isinstance(result, BackendAIError) or not isinstance(result, BaseException), result
        assert isinstance(admission, BackendAIError) is not isinstance(thrown, BackendAIError)


async def test_a_folder_of_a_session_can_be_thrown_away_when_that_is_over(people):
    admission = await admit(people, "data")
    with pytest.raises(Conflict):
        await people.run_exclusive(move_to_trash, Act("kim01"), people.ids["data"])
    await people.run(sessions.release, admission.session_id)
    await people.run_exclusive(move_to_trash, Act("kim01"), people.ids["data"])
    with pytest.raises(InvalidParameters) as caught:
        await admit(people, "data", "two")
    assert "is in the trash" in str(caught.value.violations[0])
