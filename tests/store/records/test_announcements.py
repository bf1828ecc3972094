from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.errors import InvalidParameters, NotFound
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.records.announcements import list_current

NEWS = RECORDS["announcements"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def make(title, **fields):
    return {"title": {"en": title, "ko": f"{title} 안내"}, "body": {"en": "Read this."}, **fields}


async def test_an_announcement_is_made_changed_and_removed(database):
    change = await database.run(NEWS.add, ROOT, make("Stop", starts_at="2026-03-01T09:00+09:00", level="warning"))
    assert change.after.values["starts_at"] == datetime(2026, 3, 1, 0, tzinfo=UTC)
    change = await database.run(NEWS.update, ROOT, change.after.key, {"is_active": False, "starts_at": None})
    assert change.after.values["starts_at"] is None
    await database.run(NEWS.remove, ROOT, change.after.key)
    with pytest.raises(NotFound):
        await database.run(NEWS.find, ROOT, change.after.key)


async def test_current_ones_the_gravest_first(database):
    times = {
        "plain": {},
        "newer": {},
        "grave": {"level": "danger", "starts_at": NOW.isoformat(), "ends_at": (NOW + DAY).isoformat()},
        "over": {"ends_at": NOW.isoformat()},
        "later": {"starts_at": (NOW + DAY).isoformat()},
        "off": {"is_active": False},
    }
    for title, fields in times.items():
        await database.run(NEWS.add, ROOT, make(title, **fields))
    found = await database.run(list_current, NOW)
    assert [record.values["title"]["en"] for record in found] == ["grave", "newer", "plain"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"title": {}}, {"title"}),
        ({"body": {"en": " "}}, {"body"}),
        ({"level": "loud", "starts_at": "tomorrow"}, {"level", "starts_at"}),
        ({"starts_at": "2026-03-02", "ends_at": "2026-03-01"}, {"ends_at"}),
        ({"title": {"en": "x" * 201}}, {"title"}),
    ],
)
async def test_refusals(database, fields, wrong):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(NEWS.add, ROOT, {**make("x"), **fields})
    assert {item.field for item in caught.value.violations} == wrong


async def test_search_in_both_languages_and_sort_by_title(database):
    for title in ("b", "a"):
        await database.run(NEWS.add, ROOT, make(title))
    page = await database.run(NEWS.list_page, ROOT, Query(search="a 안내"))
    assert [record.values["title"]["en"] for record in page.records] == ["a"]
    page = await database.run(NEWS.list_page, ROOT, Query(sort="title"))
    assert [record.values["title"]["en"] for record in page.records] == ["a", "b"]


async def test_for_superadmins_only(database):
    with pytest.raises(NotFound):
        await database.run(NEWS.list_page, ADMIN, Query())
