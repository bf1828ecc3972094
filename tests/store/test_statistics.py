from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.statistics import parse_period
from jupyterhub_backendai.errors import NotFound
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.statistics import MAX_LINES, load_statistics
from tests.factories import GIB, add_user, make_slots

ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("park04", Role.ADMIN, "default")
STRANGER = Actor("choi05", Role.ADMIN, "physics")
DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
PERIOD = parse_period({"from": "2026-03-01", "to": "2026-03-04"}, NOW)


def add_past(db, user, begin_h, end_h, **fields):
    """A session from one hour of March on to another (None: it still runs)."""
    at = [DAY + timedelta(hours=hour) if hour is not None else None for hour in (begin_h, end_h)]
    row = models.ComputeSession(
        **{
            "id": models.new_id(),
            "user_id": db.query(models.User).filter_by(name=user).one().id,
            "domain": "default",
            "project": "alpha",
            "queue": "small",
            "engine": "local",
            "environment": "default",
            "interface": "lab",
            "slots": make_slots(2, 4 * GIB, 1),
            "time_limit_s": 7200,
            "status": SessionStatus.TERMINATED if at[1] else SessionStatus.RUNNING,
            "server_name": models.new_id(),
            "created_at": at[0] or DAY,
            "started_at": at[0],
            "terminated_at": at[1],
            "released_at": at[1],
            **fields,
        }
    )
    db.add(row)
    db.flush()


def fill(db):
    for name in ("kim01", "lee01"):
        add_user(db, name)
    db.add(models.Domain(name="physics"))
    db.flush()
    add_past(db, "kim01", -5, 2)  # over the period's beginning: 2 h
    add_past(db, "kim01", 23, 25)  # over midnight
    add_past(db, "lee01", 70, None, project="beta", queue="big")  # runs: 14 h until now
    add_past(db, "lee01", 10, 11, domain="physics", slots=make_slots(8, GIB))
    add_past(db, "lee01", -9, -6)  # before
    add_past(db, "lee01", 84, 85)  # only after now
    add_past(db, "lee01", None, 5)  # never started


async def load(database, actor=ROOT, by="resource_group", **filters):
    return await database.run(load_statistics, actor, PERIOD, by, NOW, filters)


async def test_hours_are_counted_within_the_period_and_divided_by_days(database):
    await database.run(fill)
    found = await load(database)
    use = dict(found.groups)
    assert list(use) == ["big", "small"]
    assert (use["big"].sessions, use["small"].sessions, found.total.sessions, found.people) == (1, 2, 3, 2)
    assert (use["small"].hours, use["small"].slot_hours["cpu"], use["big"].slot_hours["cpu"]) == (5, 16, 28)
    assert found.total.slot_hours["mem"] == (2 + 2 + 14) * 4 * GIB + GIB
    days = {key: [slots.amount("cpu") for slots in buckets] for key, buckets in found.lines.items()}
    assert days == {"small": [14, 2, 0, 0], "big": [0, 0, 4, 24]}


@pytest.mark.parametrize(
    ("by", "groups"),
    [("project", {"alpha": 16, "beta": 28}), ("user", {"kim01": 8, "lee01": 36}), ("domain", {"default": 36, "physics": 8})],
)
async def test_groups(database, by, groups):
    await database.run(fill)
    found = await load(database, by=by)
    assert {key: use.slot_hours["cpu"] for key, use in found.groups} == groups
    assert set(found.lines) == set(groups)


async def test_who_sees_what(database):
    await database.run(fill)
    assert [key for key, _ in (await load(database, ADMIN, "domain")).groups] == ["default"]
    found = await load(database, STRANGER, "user")
    assert ([key for key, _ in found.groups], found.people, found.total.slot_hours["cpu"]) == (["lee01"], 1, 8)
    with pytest.raises(NotFound):
        await load(database, Actor("kim01", Role.USER, "default"))


async def test_filters(database):
    await database.run(fill)
    found = await load(database, by="project", user="lee01", domain="default")
    assert [key for key, _ in found.groups] == ["beta"]
    assert (await load(database, user="nobody")).groups == ()


async def test_few_lines_and_the_rest(database):
    def fill_many(db):
        add_user(db, "kim01")
        for number in range(MAX_LINES + 3):
            add_past(db, "kim01", 0, number + 1, queue=f"q{number}")

    await database.run(fill_many)
    found = await load(database)
    assert len(found.groups) == MAX_LINES + 3
    assert list(found.lines) == [*(key for key, _ in found.groups[:MAX_LINES]), ""]
    assert sum(slots.amount("cpu") for buckets in found.lines.values() for slots in buckets) == found.total.slot_hours["cpu"]
    assert sum(slots.amount("cpu") for slots in found.lines[""]) == 2 * (1 + 2 + 3)
