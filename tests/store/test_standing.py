import pytest

from jupyterhub_backendai.core.quota import Scope
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.store.standing import load_standing
from tests.factories import GIB, add_user, make_slots
from tests.services.launching import limit
from tests.services.test_summary import add_session


def fill(db):
    add_user(db, "kim01", "alpha", "beta")
    add_user(db, "lee01", "alpha")
    add_session(db, "kim01", project="alpha", status=SessionStatus.RUNNING, slots=make_slots(2, GIB))
    add_session(db, "kim01", project="beta", server_name="b", status=SessionStatus.RUNNING, slots=make_slots(1, GIB))
    add_session(db, "kim01", project="beta", server_name="c", slots=make_slots(8, GIB), scheduled_at=None)
    add_session(db, "lee01", project="alpha", status=SessionStatus.RUNNING, slots=make_slots(3, GIB))
    limit(db, keypair={"cpu": "8"}, project={"cpu": "6"}, domain={"cpu": "100"}, name="alpha", sessions=5)


async def test_every_limit_and_what_is_used_of_it(database):
    await database.run(fill)
    found = await database.run(load_standing, "kim01", "alpha", "small")
    used = {share.limit.scope: share.usage.slots.amount("cpu") for share in found.shares}
    assert used == {Scope.KEYPAIR: 3, Scope.USER: 3, Scope.PROJECT: 5, Scope.DOMAIN: 6}
    assert (found.remaining("cpu"), found.remaining("mem").is_infinite(), found.projects) == (1, True, ("alpha", "beta"))
    keypair = found.share(Scope.KEYPAIR)
    assert (keypair.limit.sessions, keypair.usage.sessions, keypair.usage.pending_sessions) == (5, 2, 1)
    assert keypair.usage.pending_slots.amount("cpu") == 8
    assert {name: usage.sessions for name, usage in found.by_project.items()} == {"alpha": 1, "beta": 1}
    assert (found.by_resource_group["small"].slots.amount("cpu"), found.resource_group.slots.amount("cpu")) == (3, 6)


async def test_the_first_project_is_meant_without_a_word(database):
    await database.run(fill)
    assert (await database.run(load_standing, "kim01")).project == "alpha"
    with pytest.raises(BackendAIError):
        await database.run(load_standing, "nobody")


async def test_somebody_without_a_keypair_is_under_the_default_policy(database):
    await database.run(add_user, "park04")
    found = await database.run(load_standing, "park04")
    assert (found.access_key, found.share(Scope.KEYPAIR).limit.name, found.remaining("cpu").is_infinite()) == ("", "default", True)
