"""``folders/invitations``, ``folders/shared`` and ``folders/<id>/{invite,shares,leave}``: owner, member, administrators, strangers."""

import asyncio

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.vfolders import InvitationState, Permission
from jupyterhub_backendai.errors import BackendAIError, StorageUnavailable
from jupyterhub_backendai.services.folder_access import FolderAccess
from jupyterhub_backendai.store import models, vfolder_invitations
from tests.factories import make_slots
from tests.fakes import Postbox
from tests.services.data_folders import add_folder, share, user_id
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


class Gates:
    """A storage host that keeps what it was told; ``is_away``: it does not answer."""

    def __init__(self):
        self.told, self.is_away = [], False

    async def set_gate(self, folder, grants):
        if self.is_away:
            raise StorageUnavailable(host=folder.host)
        self.told.append((folder.name, {grant.uid: grant.permission.value for grant in grants}))


@pytest.fixture
async def shop(admin_site):
    """The folder ``data`` of kim01's and ``team`` of the project alpha's; everybody has a Unix account of their own."""

    def add(db):
        for number, row in enumerate(db.query(models.User).order_by(models.User.name)):
            row.email, row.posix_name, row.posix_uid, row.posix_gid = f"{row.name}@example.org", row.name, 5000 + number, 5000
        return add_folder(db, "data", "kim01"), add_folder(db, "team", project="alpha", permission=Permission.READ_ONLY)

    admin_site.folder, admin_site.team = await admin_site.site.db.run(add)
    parts = admin_site.site.application.settings
    admin_site.gates, parts["mail"] = Gates(), Postbox()
    parts["folder_access"] = FolderAccess(admin_site.site.db, admin_site.gates)
    admin_site.mails = parts["mail"].mails
    return admin_site


async def invite(shop, *who, **body):
    return await shop.owner.ask("POST", f"folders/{shop.folder}/invite", {"emails": list(who), **body})


async def accepted(shop):
    _, answer, _ = await invite(shop, "jung03@example.org")
    status, invitation, _ = await shop.member.ask("POST", f"folders/invitations/{answer['invited'][0]['id']}/accept")
    assert status == 200, invitation
    return invitation


async def test_an_invitation_from_the_first_word_to_the_gate(shop):
    status, answer, _ = await invite(shop, "jung03@example.org", "who@example.org", permission="ro")
    assert status == 201
    [invited] = answer["invited"]
    assert (invited["invitee"], invited["permission"], invited["state"]) == ("jung03", "ro", "pending")
    assert [(item["email"], item["rule"]) for item in answer["refused"]] == [("who@example.org", "unknown")]
    [mail] = shop.mails
    assert (mail.to, "kim01 shares the folder data with you" in mail.subject) == ("jung03@example.org", True)
    assert "Read only" in mail.text
    assert [len((await caller.get("folders/invitations"))[1]["invitations"]) for caller in shop.callers[:5]] == [0, 0, 0, 1, 0]
    assert [len((await caller.get("folders/invitations/sent"))[1]["invitations"]) for caller in shop.callers[:5]] == [0, 0, 1, 0, 0]
    path = f"folders/invitations/{invited['id']}"
    assert (await shop.owner.ask("PATCH", path, {"permission": "rw"}))[1]["permission"] == "rw"
    for caller, expected in ((shop.root, 404), (shop.admin, 404), (shop.owner, 404), (shop.stranger, 404), (shop.outsider, 401)):
        assert [(await caller.ask("POST", f"{path}/{act}"))[0] for act in ("accept", "decline")] == [expected] * 2
    for caller, expected in ((shop.root, 404), (shop.admin, 404), (shop.member, 404), (shop.stranger, 404), (shop.outsider, 401)):
        assert (await caller.ask("PATCH", path, {"permission": "wd"}))[0] == expected
        assert (await caller.ask("DELETE", path))[0] == expected
    assert (await shop.member.ask("POST", f"{path}/accept"))[0] == 200
    assert shop.gates.told[-1] == ("data", {5001: "rw", 5002: "wd"})  # by name: choi01, jung03, kim01
    assert (await shop.owner.get("folders/shared"))[1]["shared"][0]["user"] == "jung03"
    assert (await shop.member.ask("POST", f"{path}/decline"))[0] == 409


async def test_declined_and_cancelled(shop):
    for caller, method, act, state in (("member", "POST", "/decline", "rejected"), ("owner", "DELETE", "", "canceled")):
        _, answer, _ = await invite(shop, "jung03@example.org")
        path = f"folders/invitations/{answer['invited'][0]['id']}"
        status, invitation, _ = await getattr(shop, caller).ask(method, f"{path}{act}")
        assert (status, invitation["state"]) == (200, state)
        assert (await shop.member.ask("POST", f"{path}/accept"))[0] == 404


async def test_who_may_invite(shop):
    body = {"emails": ["jung03@example.org"]}
    for caller, expected in ((shop.root, 404), (shop.admin, 404), (shop.member, 404), (shop.stranger, 404), (shop.outsider, 401)):
        assert (await caller.ask("POST", f"folders/{shop.folder}/invite", body))[0] == expected
    assert (await shop.owner.ask("POST", f"folders/{shop.team}/invite", body))[0] == 400
    await accepted(shop)
    assert (await shop.member.ask("POST", f"folders/{shop.folder}/invite", body))[0] == 403
    assert (await invite(shop, "jung03@example.org"))[0] == 409
    assert (await invite(shop, "who@example.org"))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"emails": []},
        {"emails": "  "},
        {"emails": [1]},
        {"emails": {"a": 1}},
        {"emails": ["a\x00b"]},
        {"emails": ["\ud800"]},
        {"emails": ["a" * 400]},
        {"emails": [f"{number}@example.org" for number in range(101)]},
        {"emails": ["jung03"], "permission": "all"},
        {"emails": ["jung03"], "permission": ["rw"]},
        {"emails": ["jung03"], "permission": None},
    ],
)
async def test_what_cannot_be_understood(shop, body):
    status, answer, _ = await shop.owner.ask("POST", f"folders/{shop.folder}/invite", body)
    assert status == 400
    assert answer["violations"]


async def test_a_share_is_changed_and_taken_back_and_sessions_are_named(shop):
    await accepted(shop)
    db = shop.site.db
    jung = await db.run(user_id, "jung03")
    path = f"folders/{shop.folder}/shares"
    for engine in ("slurm", "docker", "local"):
        await db.run(add_session, jung, engine, shop.folder)
    status, answer, _ = await shop.owner.get(path)
    assert status == 200
    assert [(item["user"], item["permission"]) for item in answer["shares"]] == [("jung03", "rw")]
    assert len(answer["sessions"]) == 3
    for caller, expected in ((shop.admin, 404), (shop.member, 403), (shop.stranger, 404), (shop.outsider, 401)):
        assert (await caller.get(path))[0] == expected
        assert (await caller.ask("PATCH", f"{path}/{jung}", {"permission": "wd"}))[0] == expected
        assert (await caller.ask("DELETE", f"{path}/{jung}"))[0] == expected
    assert (await shop.root.get(path))[0] == 200
    status, answer, _ = await shop.owner.ask("PATCH", f"{path}/{jung}", {"permission": "ro"})
    assert (status, answer["share"]["permission"], answer["applied"]) == (200, "ro", True)
    assert "ro" in shop.gates.told[-1][1].values()
    shop.gates.is_away = True
    status, answer, _ = await shop.owner.ask("DELETE", f"{path}/{jung}")
    assert (status, answer["applied"]) == (200, False)
    assert sorted((item["engine"], item["keeps"]) for item in answer["sessions"]) == [("docker", False), ("local", True), ("slurm", False)]
    assert (await shop.owner.ask("DELETE", f"{path}/{jung}"))[0] == 404
    shop.gates.is_away = False
    access = shop.site.application.settings["folder_access"]
    assert await access.look() == 2  # the project's folder was never told
    assert ("data", 1) in [(name, len(grants)) for name, grants in shop.gates.told[-2:]]
    assert await access.look() == 0


async def test_leaving(shop):
    await accepted(shop)
    path = f"folders/{shop.folder}/leave"
    for caller, expected in ((shop.owner, 400), (shop.admin, 404), (shop.root, 404), (shop.stranger, 404), (shop.outsider, 401)):
        assert (await caller.ask("POST", path))[0] == expected
    assert (await shop.member.ask("POST", path))[0] == 200
    assert (await shop.member.ask("POST", path))[0] == 404
    assert (await shop.member.ask("POST", f"folders/{shop.team}/leave"))[0] == 400


async def test_members_of_a_project_get_permissions_of_their_own(shop):
    body, path = {"emails": "jung03", "permission": "rw"}, f"folders/{shop.team}/shares"
    for caller, expected in ((shop.owner, 403), (shop.member, 403), (shop.stranger, 404), (shop.outsider, 401)):
        assert (await caller.ask("POST", path, body))[0] == expected
    status, answer, _ = await shop.admin.ask("POST", path, body)
    assert (status, answer["shares"][0]["source"], answer["shares"][0]["permission"]) == (201, "override", "rw")
    assert (await shop.admin.ask("POST", path, {"emails": ["park04"]}))[0] == 404
    assert (await shop.root.ask("POST", f"folders/{shop.folder}/shares", body))[0] == 400
    shares = (await shop.member.get(path))[1]["shares"]
    assert {item["user"]: item["permission"] for item in shares} == {"jung03": "rw", "kim01": "ro", "lee01": "ro"}
    jung = answer["shares"][0]["user_id"]
    assert (await shop.owner.ask("DELETE", f"{path}/{jung}"))[0] == 403
    assert (await shop.root.ask("DELETE", f"{path}/{jung}"))[0] == 200


async def test_a_person_of_the_owners_level_takes_others_rights_back(shop):
    await accepted(shop)
    db = shop.site.db
    lee, jung = await db.run(user_id, "lee01"), await db.run(user_id, "jung03")
    await db.run(share, shop.folder, "lee01")
    path = f"folders/{shop.folder}/shares"
    assert (await shop.member.ask("DELETE", f"{path}/{lee}"))[0] == 403
    assert (await shop.owner.ask("PATCH", f"{path}/{jung}", {"permission": "wd"}))[0] == 200
    assert (await shop.member.ask("DELETE", f"{path}/{jung}"))[0] == 400  # oneself: that is leaving
    assert (await shop.member.ask("DELETE", f"{path}/{lee}"))[0] == 200


async def test_whoever_lost_the_say_about_a_folder_has_nobody_join_any_more(shop):
    await accepted(shop)
    db, jung = shop.site.db, await shop.site.db.run(user_id, "jung03")
    path = f"folders/{shop.folder}/shares/{jung}"
    for act, body in (("PATCH", {"permission": "rw"}), ("DELETE", None)):
        assert (await shop.owner.ask("PATCH", path, {"permission": "wd"}))[0] == 200
        asked = (await shop.member.ask("POST", f"folders/{shop.folder}/invite", {"emails": ["lee01@example.org"], "permission": "ro"}))[1]
        invitation = asked["invited"][0]["id"]
        assert (await shop.owner.ask(act, path, body))[0] == 200
        assert await db.run(try_to_accept, invitation) == "NotFound"
        assert (await shop.member.ask("PATCH", f"folders/invitations/{invitation}", {"permission": "wd"}))[0] == 409
        # nor where the question was left behind
        await db.run(set_state, invitation, InvitationState.PENDING)
        assert (await shop.member.ask("PATCH", f"folders/invitations/{invitation}", {"permission": "wd"}))[0] in (403, 404)
        assert await db.run(try_to_accept, invitation) == "NotFound"
        await db.run(set_state, invitation, InvitationState.CANCELED)


def set_state(db, invitation_id, state):
    db.get(models.VFolderInvitation, invitation_id).state = state


def try_to_accept(db, invitation_id):
    try:
        vfolder_invitations.accept(db, Actor("lee01", Role.USER, "default", ""), invitation_id)
    except BackendAIError as exc:
        return type(exc).__name__
    return "accepted"


def add_session(db, owner_id, engine, folder):
    row = models.ComputeSession(
        id=models.new_id(),
        user_id=owner_id,
        domain="default",
        project="alpha",
        server_name=engine,
        queue="q",
        engine=engine,
        environment="e",
        interface="lab",
        slots=make_slots(),
        time_limit_s=60,
    )
    db.add(row)
    db.flush()
    mount = {"target": "data", "vfolder_id": folder, "name": "data", "source": "/srv", "is_read_only": False}
    db.add(models.SessionMount(session_id=row.id, **mount))


async def test_another_owner(shop):
    path, body = f"folders/{shop.folder}/change-ownership", {"user": "jung03@example.org"}
    callers = ((shop.owner, 403), (shop.member, 404), (shop.admin, 404), (shop.stranger, 404), (shop.outsider, 401))
    for caller, expected in callers:
        assert (await caller.ask("POST", path, body))[0] == expected
    for wrong, expected in (({}, 400), ({"user": 1}, 400), ({"user": "who@example.org"}, 404), ({"user": "kim01"}, 400)):
        assert (await shop.root.ask("POST", path, wrong))[0] == expected
    assert (await shop.root.ask("POST", f"folders/{shop.team}/change-ownership", body))[0] == 400
    status, answer, _ = await shop.root.ask("POST", path, body)
    assert (status, answer["status"]) == (202, "performing")
    assert (await shop.root.ask("POST", path, body))[0] == 409
    tasks = await shop.site.db.run(lambda db: [(row.kind, row.vfolder_id) for row in db.query(models.FolderTask)])
    assert tasks == [("ownership", shop.folder)]


async def test_whoever_an_administrator_takes_out_of_a_project_is_shut_out_at_once(shop):
    access = FolderAccess(shop.site.db, shop.gates, interval_s=3600)
    shop.site.application.settings["folder_access"] = access
    running = asyncio.create_task(access.run())
    try:
        await told(shop, ("team", 3))
        status, answer, _ = await shop.admin.ask("PATCH", "admin/users/jung03", {"projects": []})
        assert status == 200, answer
        await told(shop, ("team", 2))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def told(shop, what):
    async with asyncio.timeout(20):
        while what not in [(name, len(grants)) for name, grants in shop.gates.told]:
            await asyncio.sleep(0.02)
