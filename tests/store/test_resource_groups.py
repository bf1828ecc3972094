"""Configured groups in the database, and who may use which."""

import asyncio
from dataclasses import replace

import pytest

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.errors import Forbidden, InvalidParameters
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.resource_groups import list_queues, list_usable, sync
from jupyterhub_backendai.store.sessions import admit
from tests.factories import add_user, make_queue, make_slots, make_spec

PLAIN = make_queue("plain", max_time_s=7200, labels={"ko": "기본"}, max_slots=make_slots(2))
VIP = make_queue("vip", projects=("alpha",), scheduler="drf")


def by_name(*queues):
    return {queue.name: queue for queue in queues}


def usable(db, user_id, *projects, role=Role.USER):
    return set(list_usable(db, user_id, projects, role))


async def test_groups_come_back_as_they_were_configured(database):
    await database.run(sync, by_name(VIP, PLAIN))
    found = await database.run(list_queues)
    assert list(found) == ["vip", "plain"]
    assert found["plain"] == PLAIN
    assert found["vip"] == replace(VIP, projects=None, is_open=False)


async def test_twice_changes_nothing_and_administrators_keep_what_is_theirs(database):
    await database.run(sync, by_name(PLAIN, VIP))
    await database.run(lambda db: setattr(db.get(models.ResourceGroup, "plain"), "scheduler", "fifo"))
    await database.run(lambda db: setattr(db.get(models.ResourceGroup, "vip"), "scheduler", "fifo"))
    entries = await database.run(lambda db: db.query(models.AuditEntry).count())
    await database.run(sync, by_name(PLAIN, VIP))
    found = await database.run(list_queues)
    assert (found["plain"].scheduler, found["vip"].scheduler) == ("fifo", "drf")
    assert await database.run(lambda db: db.query(models.AuditEntry).count()) == entries + 1


async def test_a_group_that_left_the_file_rests_until_it_is_back(database):
    await database.run(sync, by_name(PLAIN, VIP))
    await database.run(sync, by_name(PLAIN))
    assert list(await database.run(list_queues)) == ["plain"]
    assert await database.run(lambda db: db.get(models.ResourceGroup, "vip").is_configured) is False
    await database.run(sync, by_name(VIP, PLAIN))
    assert list(await database.run(list_queues)) == ["vip", "plain"]


async def test_a_file_that_restricts_a_group_closes_it_and_opens_it_again(database):
    user_id = await database.run(add_user, "kim01", "alpha")
    await database.run(sync, by_name(PLAIN))
    await database.run(sync, by_name(replace(PLAIN, projects=("beta",))))
    assert await database.run(usable, user_id, "alpha") == set()
    await database.run(sync, by_name(PLAIN))
    assert await database.run(usable, user_id, "alpha") == {"plain"}


async def test_usable_is_the_union_over_domain_projects_and_keypairs(database):
    user_id = await database.run(add_user, "kim01", "alpha", "beta")
    closed = [make_queue(name, is_open=False) for name in ("domain", "project", "keypair", "nobody")]
    hidden = make_queue("hidden", is_public=False)
    await database.run(sync, by_name(VIP, *closed, hidden, make_queue("off", is_active=False)))

    def link(db):
        beta = db.query(models.Project).filter_by(name="beta").one()
        db.add(models.Keypair(access_key="A" * 20, user_id=user_id, secret_key="x"))
        db.flush()
        db.add(models.ResourceGroupDomain(resource_group="domain", domain="default"))
        db.add(models.ResourceGroupProject(resource_group="project", project_id=beta.id))
        db.add(models.ResourceGroupKeypair(resource_group="keypair", access_key="A" * 20))

    await database.run(link)
    assert await database.run(usable, user_id, "alpha", "beta") == {"vip", "domain", "project", "keypair"}
    assert await database.run(usable, user_id, "alpha") == {"vip", "domain", "keypair"}
    assert await database.run(usable, user_id) == {"domain", "keypair"}
    assert await database.run(lambda db: usable(db, user_id, role=Role.SUPERADMIN)) == {"domain", "keypair", "hidden"}
    stranger = await database.run(add_user, "lee01", "alpha")
    await database.run(lambda db: setattr(db.get(models.Keypair, "A" * 20), "is_active", False))
    assert await database.run(usable, stranger, "alpha") == {"vip", "domain"}
    assert await database.run(usable, user_id) == {"domain"}


async def test_services_that_start_at_once_make_each_group_once(database):
    await asyncio.gather(*(database.run_exclusive(sync, by_name(PLAIN, VIP)) for _ in range(6)))
    assert list(await database.run(list_queues)) == ["plain", "vip"]


async def test_admission_asks_again_whatever_the_snapshot_says(database):
    await database.run(add_user, "kim01", "alpha")
    await database.run(sync, by_name(PLAIN, VIP, make_queue("closed", is_open=False)))
    queues = await database.run(list_queues)
    await database.run_exclusive(admit, make_spec(queue="vip"), queues["vip"], None)
    with pytest.raises(Forbidden, match="not open to the project alpha"):
        await database.run_exclusive(admit, make_spec(queue="closed"), queues["closed"], None)
    await database.run(lambda db: setattr(db.get(models.ResourceGroup, "plain"), "is_active", False))
    with pytest.raises(InvalidParameters, match="closed at the moment"):
        await database.run_exclusive(admit, make_spec(queue="plain"), queues["plain"], None)
    await database.run(lambda db: db.add(models.Image(name="default", min_slots=make_slots(3))))
    with pytest.raises(InvalidParameters, match="at least 3 of cpu"):
        await database.run_exclusive(admit, make_spec(queue="vip"), queues["vip"], None)
