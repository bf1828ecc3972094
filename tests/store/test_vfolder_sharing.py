"""Sharing in the database: who may ask and answer, names, and answers that come at the same moment; on both databases."""

import asyncio

import pytest

from jupyterhub_backendai.core.identity import Actor, Role, UserStatus
from jupyterhub_backendai.core.vfolders import FolderStatus, InvitationState, Permission
from jupyterhub_backendai.errors import AlreadyExists, BackendAIError, Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import models, vfolder_gates, vfolder_invitations, vfolder_sharing
from jupyterhub_backendai.store.vfolder_grants import list_grants
from jupyterhub_backendai.store.vfolders import find_access
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user
from tests.factories_folders import HOST, add_folder, add_host, share_folder

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
KIM, LEE, PARK, JUNG, HAN = (Actor(name, Role.USER, "default") for name in ("kim01", "lee01", "park04", "jung03", "han05"))
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("choi01", Role.ADMIN, "default")
RO, RW, WD = Permission


@pytest.fixture
async def people(database):
    """kim01, lee01 and park04 with mail addresses and Unix accounts, two administrators; everybody may invite."""

    def add(db):
        roles = {"kim01": "user", "lee01": "user", "park04": "user", "choi01": "admin", "root": "superadmin"}
        for number, (name, role) in enumerate(roles.items()):
            add_user(db, name, email=f"{name}@Example.org", role=Role(role), posix_uid=5000 + number)
        add_host(db)

    await database.run(add)
    return database


@pytest.fixture
async def folder(people):
    return await people.run(add_folder, "data", "kim01")


async def invite(db, folder, *who, permission=RW, actor=KIM):
    return await db.run_exclusive(vfolder_invitations.invite, actor, folder, list(who), permission)


async def shared(db, folder, who="lee01", actor=LEE, permission=RW):
    outcome = await invite(db, folder, f"{who}@example.org", permission=permission)
    await db.run_exclusive(vfolder_invitations.accept, actor, outcome.invited[0].id)


async def user_id(db, name):
    return await db.run(lambda session: session.query(models.User).filter_by(name=name).one().id)


async def test_asked_and_accepted(people, folder):
    outcome = await invite(people, folder, "LEE01@example.org", "park04", "nobody@example.org", "kim01")
    assert {item.invitee for item in outcome.invited} == {"lee01", "park04"}
    assert [(item.email, item.violation.rule) for item in outcome.refused] == [("nobody@example.org", "unknown"), ("kim01", "owner")]
    [received] = await people.run(vfolder_invitations.list_received, "lee01")
    assert (received.inviter, received.folder, received.permission) == ("kim01", "data", RW)
    assert len(await people.run(vfolder_invitations.list_sent, "kim01")) == 2
    with pytest.raises(NotFound):
        await people.run(find_access, "lee01", folder)
    for _ in range(2):
        accepted = await people.run_exclusive(vfolder_invitations.accept, LEE, received.id)
        assert accepted.state is InvitationState.ACCEPTED
    access = await people.run(find_access, "lee01", folder)
    assert (access.permission, access.source) == (RW, "invitation")
    assert {grant.uid for grant in await people.run(list_grants, folder)} == {5000, 5001}
    [share] = await people.run(vfolder_sharing.list_shared, "kim01")
    assert (share.user, share.permission, share.source) == ("lee01", RW, "invitation")
    acts = await people.run(lambda db: [row.action for row in db.query(models.AuditEntry) if row.action.startswith("vfolder")])
    assert sorted(acts) == ["vfolder.accept", "vfolder.invite", "vfolder.invite"]


async def test_who_cannot_be_asked_is_said_for_each(people, folder):
    with pytest.raises(NotFound) as caught:
        await invite(people, folder, "a@example.org", "b@example.org")
    assert [violation.params["email"] for violation in caught.value.violations] == ["a@example.org", "b@example.org"]
    await shared(people, folder)
    with pytest.raises(AlreadyExists) as caught:
        await invite(people, folder, "lee01", "a@example.org")
    assert [violation.rule for violation in caught.value.violations] == ["member", "unknown"]
    await invite(people, folder, "park04")
    with pytest.raises(AlreadyExists, match="invited already"):
        await invite(people, folder, "park04")


async def test_two_accounts_of_one_address_are_not_guessed_at(people, folder):
    await people.run(add_user, "lee02", email="lee01@example.org", posix=False)
    with pytest.raises(NotFound, match="Several accounts"):
        await invite(people, folder, "lee01@example.org")
    assert (await invite(people, folder, "lee02")).invited[0].invitee == "lee02"


async def test_people_of_other_domains_and_closed_ones_are_unknown(people, folder):
    def change(db):
        db.add(models.Domain(name="physics"))
        db.flush()
        db.query(models.User).filter_by(name="lee01").one().domain = "physics"
        db.query(models.User).filter_by(name="park04").one().status = UserStatus.INACTIVE

    await people.run(change)
    with pytest.raises(NotFound):
        await invite(people, folder, "lee01", "park04")


@pytest.mark.parametrize(("name", "error"), [(".local", Forbidden), ("trash", Conflict)])
async def test_what_cannot_be_shared(people, name, error):
    status = FolderStatus.DELETE_PENDING if name == "trash" else FolderStatus.READY
    found = await people.run(lambda db: add_folder(db, name, "kim01", status=status))
    with pytest.raises(error):
        await invite(people, found, "lee01")


async def test_only_who_has_the_owners_level_asks_others(people, folder):
    for actor, error in ((LEE, NotFound), (ADMIN, NotFound), (ROOT, NotFound)):
        with pytest.raises(error):
            await invite(people, folder, "park04", actor=actor)
    await shared(people, folder)
    with pytest.raises(Forbidden):
        await invite(people, folder, "park04", actor=LEE)
    lee = await user_id(people, "lee01")
    await people.run_exclusive(vfolder_sharing.change_share, KIM, folder, lee, WD)
    assert (await invite(people, folder, "park04", actor=LEE)).invited
    with pytest.raises(InvalidParameters):
        await people.run_exclusive(vfolder_sharing.change_share, LEE, folder, lee, RO)


async def test_the_permission_of_the_host_is_asked_for(people, folder):
    await people.run(lambda db: setattr(db.get(models.KeypairResourcePolicy, "default"), "allowed_vfolder_hosts", {HOST: ["upload-file"]}))
    with pytest.raises(Forbidden, match="invite"):
        await invite(people, folder, "lee01")


async def test_a_name_that_is_taken_is_refused_at_accepting(people, folder):
    [invitation] = (await invite(people, folder, "lee01")).invited
    own = await people.run(add_folder, "data", "lee01")
    with pytest.raises(AlreadyExists, match="Rename it first"):
        await people.run_exclusive(vfolder_invitations.accept, LEE, invitation.id)
    await people.run(lambda db: setattr(db.get(models.VFolder, own), "name", "mine"))
    await people.run_exclusive(vfolder_invitations.accept, LEE, invitation.id)


async def test_declined_cancelled_and_changed(people, folder):
    [invitation] = (await invite(people, folder, "lee01")).invited
    for actor in (PARK, LEE, ROOT):
        with pytest.raises(NotFound):
            await people.run_exclusive(vfolder_invitations.change, actor, invitation.id, RO)
        with pytest.raises(NotFound):
            await people.run_exclusive(vfolder_invitations.cancel, actor, invitation.id)
    for actor in (KIM, PARK):
        with pytest.raises(NotFound):
            await people.run_exclusive(vfolder_invitations.decline, actor, invitation.id)
        with pytest.raises(NotFound):
            await people.run_exclusive(vfolder_invitations.accept, actor, invitation.id)
    assert (await people.run_exclusive(vfolder_invitations.change, KIM, invitation.id, RO)).permission is RO
    await people.run_exclusive(vfolder_invitations.decline, LEE, invitation.id)
    with pytest.raises(Conflict):
        await people.run_exclusive(vfolder_invitations.cancel, KIM, invitation.id)
    [again] = (await invite(people, folder, "lee01")).invited
    await people.run_exclusive(vfolder_invitations.cancel, KIM, again.id)
    with pytest.raises(NotFound):
        await people.run_exclusive(vfolder_invitations.accept, LEE, again.id)


async def test_of_accepting_and_taking_back_at_once_one_wins(people, folder):
    for _ in range(4):
        [invitation] = (await invite(people, folder, "lee01")).invited
        answers = await asyncio.gather(
            people.run_exclusive(vfolder_invitations.accept, LEE, invitation.id),
            people.run_exclusive(vfolder_invitations.accept, LEE, invitation.id),
            people.run_exclusive(vfolder_invitations.cancel, KIM, invitation.id),
            return_exceptions=True,
        )
        assert all(isinstance(answer, BackendAIError) or hasattr(answer, "state") for answer in answers), answers
        shares = await people.run(vfolder_sharing.list_shared, "kim01")
        is_cancelled = not isinstance(answers[2], Exception)
        assert len(shares) == (0 if is_cancelled else 1)
        assert [isinstance(answer, Exception) for answer in answers[:2]] == [is_cancelled] * 2
        if shares:
            await people.run_exclusive(vfolder_sharing.remove_share, KIM, folder, shares[0].user_id)


async def test_two_who_ask_the_same_person_at_once_ask_once(people, folder):
    answers = await asyncio.gather(*(invite(people, folder, "lee01") for _ in range(4)), return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert len(await people.run(vfolder_invitations.list_received, "lee01")) == 1


async def test_taking_back_and_leaving(people, folder):
    lee = await user_id(people, "lee01")
    await shared(people, folder)
    for actor, error in ((PARK, NotFound), (LEE, Forbidden), (ADMIN, NotFound)):
        with pytest.raises(error):
            await people.run_exclusive(vfolder_sharing.remove_share, actor, folder, lee)
    assert (await people.run_exclusive(vfolder_sharing.remove_share, KIM, folder, lee)).permission is RW
    with pytest.raises(NotFound):
        await people.run_exclusive(vfolder_sharing.remove_share, KIM, folder, lee)
    await shared(people, folder)
    with pytest.raises(InvalidParameters):
        await people.run_exclusive(vfolder_sharing.leave, KIM, folder)
    with pytest.raises(NotFound):
        await people.run_exclusive(vfolder_sharing.leave, PARK, folder)
    await people.run_exclusive(vfolder_sharing.leave, LEE, folder)
    assert [grant.uid for grant in await people.run(list_grants, folder)] == [5000]


async def test_overrides_in_a_projects_folder(people):
    def add(db):
        add_user(db, "jung03", "alpha", email="jung03@example.org", posix_uid=5010)
        add_user(db, "han05", "alpha", email="han05@example.org", posix_uid=5011)
        return add_folder(db, "team", project="alpha", permission=RO)

    folder = await people.run(add)
    jung, lee = await user_id(people, "jung03"), await user_id(people, "lee01")
    with pytest.raises(InvalidParameters):
        await invite(people, folder, "lee01", actor=JUNG)
    with pytest.raises(Forbidden):
        await people.run_exclusive(vfolder_sharing.share_with_members, JUNG, folder, ["han05"], RW)
    with pytest.raises(NotFound):
        await people.run_exclusive(vfolder_sharing.share_with_members, KIM, folder, ["jung03"], RW)
    with pytest.raises(NotFound) as caught:
        await people.run_exclusive(vfolder_sharing.share_with_members, ADMIN, folder, ["jung03", "lee01"], RW)
    assert [violation.params["email"] for violation in caught.value.violations] == ["lee01"]
    with pytest.raises(NotFound):
        await people.run_exclusive(vfolder_sharing.share_with_members, Actor("x", Role.ADMIN, "physics"), folder, ["jung03"], RW)
    [share] = await people.run_exclusive(vfolder_sharing.share_with_members, ADMIN, folder, ["jung03@example.org"], RW)
    assert (share.user, share.permission, share.source) == ("jung03", RW, "override")
    with pytest.raises(NotFound):
        await people.run_exclusive(vfolder_sharing.change_share, ADMIN, folder, lee, RW)
    found = await people.run(vfolder_sharing.list_shares, HAN, folder)
    assert [(item.user, item.permission.value, item.source) for item in found] == [("han05", "ro", "project"), ("jung03", "rw", "override")]
    assert {grant.uid: grant.permission for grant in await people.run(list_grants, folder)} == {5010: RW, 5011: RO}
    await people.run_exclusive(vfolder_sharing.remove_share, ROOT, folder, jung)
    assert (await people.run(find_access, "jung03", folder)).permission is RO
    with pytest.raises(InvalidParameters):
        await people.run_exclusive(vfolder_sharing.leave, JUNG, folder)


async def test_all_gates_in_a_look_are_what_each_one_is(people, folder):
    """Whoever leaves a project, is closed, gets another Unix account or is of a closed domain is found without a word of folders."""

    def add(db):
        add_user(db, "jung03", "alpha", posix_uid=5010)
        add_user(db, "same-uid", "alpha", posix_uid=5010)
        team = add_folder(db, "team", project="alpha", permission=RO)
        return [folder, team, add_folder(db, "old", "kim01", status=FolderStatus.DELETE_PENDING)]

    folders = await people.run(add)
    await shared(people, folder)

    def compare(db):
        behind = [folder_id for folder_id, _ in vfolder_gates.list_behind(db)]
        for folder_id in folders:
            wanted = list_grants(db, folder_id)
            kept = db.get(models.FolderGate, folder_id)
            assert (folder_id in behind) == (kept is None or kept.applied != vfolder_gates.describe(wanted))
        return behind

    def settle(db):
        for folder_id in folders:
            vfolder_gates.note_applied(db, folder_id, list_grants(db, folder_id))

    assert set(await people.run(compare)) == set(folders)
    await people.run_exclusive(settle)
    assert await people.run(compare) == []

    def user(db, name):
        return db.query(models.User).filter_by(name=name).one()

    changes = (
        (lambda db: setattr(user(db, "lee01"), "status", UserStatus.INACTIVE), [folders[0]]),
        (lambda db: setattr(user(db, "kim01"), "posix_uid", 6000), [folders[0]]),
        (lambda db: db.query(models.ProjectMember).filter_by(user_id=user(db, "same-uid").id).delete(), []),
        (lambda db: setattr(db.query(models.Project).filter_by(name="alpha").one(), "is_active", False), [folders[1]]),
        (lambda db: setattr(db.get(models.VFolder, folders[2]), "status", FolderStatus.READY), [folders[2]]),
        (lambda db: setattr(db.get(models.Domain, "default"), "is_active", False), [folders[0], folders[2]]),
    )
    for change, expected in changes:
        await people.run(change)
        assert set(await people.run(compare)) == set(expected)
        await people.run_exclusive(settle)


async def test_an_override_is_over_when_its_person_leaves_the_project(people):
    def add(db):
        add_user(db, "jung03", "alpha", posix_uid=5010)
        folder = add_folder(db, "team", project="alpha", permission=RO)
        share_folder(db, folder, "jung03", WD, "override")
        share_folder(db, add_folder(db, "own", "kim01"), "jung03", WD)
        return folder

    folder = await people.run(add)
    assert await people.run(vfolder_gates.drop_old_overrides) == 0
    jung = await user_id(people, "jung03")
    await people.run(lambda db: db.query(models.ProjectMember).filter_by(user_id=jung).delete())
    assert await people.run(vfolder_gates.drop_old_overrides) == 1
    await people.run(lambda db: db.add(models.ProjectMember(user_id=jung, project_id=db.get(models.VFolder, folder).project_id)))
    assert (await people.run(find_access, "jung03", folder)).permission is RO
    await people.run(lambda db: setattr(db.query(models.Project).filter_by(name="alpha").one(), "is_active", False))
    with pytest.raises(NotFound):
        await people.run(find_access, "jung03", folder)
