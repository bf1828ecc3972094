"""The list of folders that the page shows, on SQLite and on PostgreSQL."""

from sqlalchemy import event, insert

from jupyterhub_backendai.core.vfolders import FolderStatus, OwnershipType, Permission, UsageMode
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.vfolder_pages import TABS, FolderQuery, count_folders, list_page
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user
from tests.services.data_folders import add_folder, add_host, add_session, share, user_id

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]


def fill(db):
    add_user(db, "kim01")
    add_user(db, "lee01", "alpha")
    mine = add_folder(db, "Mine", used_bytes=10, created_at=models.now())
    add_folder(db, "model", usage_mode=UsageMode.MODEL, used_bytes=5)
    add_folder(db, "data_set", usage_mode=UsageMode.DATA)
    add_folder(db, ".local")
    add_folder(db, "project", project="default", permission=Permission.READ_ONLY, used_bytes=7)
    override = add_folder(db, "override", project="default", permission=Permission.READ_ONLY)
    share(db, override, "kim01", Permission.READ_WRITE, "override")
    add_folder(db, "elsewhere", project="alpha")
    add_host(db, name="nas:a")
    share(db, add_folder(db, "shared", owner="lee01", host="nas:a"), "kim01", Permission.READ_WRITE_DELETE)
    add_folder(db, "private", owner="lee01")
    add_folder(db, "thrown", status=FolderStatus.DELETE_PENDING)
    add_folder(db, "going", status=FolderStatus.DELETE_ONGOING)
    add_folder(db, "gone", status=FolderStatus.DELETE_COMPLETE)
    share(db, add_folder(db, "thrown-by-lee", owner="lee01", status=FolderStatus.DELETE_PENDING), "kim01")
    share(db, mine, "lee01")
    add_session(db, mine, "kim01", "work")
    return mine


async def names(database, **query):
    found = await database.run(list_page, "kim01", FolderQuery(**query))
    return [access.folder.name for access in found.folders]


async def test_what_is_in_which_tab(database):
    mine = await database.run(fill)
    assert await names(database) == ["data_set", "Mine", "override", "project", "shared"]
    assert await names(database, tab="automount") == [".local"]
    assert await names(database, tab="models") == ["model"]
    assert await names(database, tab="project") == ["override", "project"]
    assert await names(database, tab="invited") == ["shared"]
    assert await names(database, tab="trash") == ["going", "thrown"]
    page = await database.run(list_page, "kim01", FolderQuery(tab="trash"))
    assert dict(page.counts) == {"general": 5, "automount": 1, "models": 1, "project": 2, "invited": 1, "trash": 2}
    assert page.hosts == ("local:folders", "nas:a")
    page = await database.run(list_page, "kim01", FolderQuery())
    marks = page.marks[mine]
    assert (marks.shares, marks.invitations, marks.sessions) == (1, 0, 1)
    counts = await database.run(count_folders, "kim01")
    assert (counts.own, counts.most, counts.project, counts.invited) == (5, None, 2, 1)


QUERIES = [
    ({"text": "MIN"}, ["Mine"]),
    ({"text": "a_s"}, ["data_set"]),
    ({"text": "%"}, []),
    ({"text": "lee01"}, ["shared"]),
    ({"text": "default"}, ["override", "project"]),
    ({"host": "nas:a"}, ["shared"]),
    ({"type": "project"}, ["override", "project"]),
    ({"type": "user"}, ["data_set", "Mine", "shared"]),
    ({"permission": "ro"}, ["project"]),
    ({"permission": "rw"}, ["override"]),
    ({"permission": "wd"}, ["data_set", "Mine", "shared"]),
    ({"sort": "-name"}, ["shared", "project", "override", "Mine", "data_set"]),
    ({"sort": "-use"}, ["Mine", "project", "data_set", "override", "shared"]),
    ({"sort": "permission"}, ["project", "override", "Mine", "data_set", "shared"]),
    ({"size": 2, "page": 2}, ["override", "project"]),
    ({"size": 2, "page": 99}, ["shared"]),
]


async def test_filters_order_and_pages(database):
    await database.run(fill)
    for query, expected in QUERIES:
        assert await names(database, **query) == expected, query


async def test_a_stranger_and_nobody_see_nothing(database):
    await database.run(fill)
    await database.run(add_user, "stranger", "elsewhere")
    for who in ("stranger", "nobody"):
        page = await database.run(list_page, who, FolderQuery())
        assert (page.folders, page.total, page.pages) == ((), 0, 1)


async def test_ten_thousand_folders_take_no_more_questions_than_few(database):
    def fill_many(db):
        add_user(db, "kim01")
        first = add_folder(db, "first")
        row = db.get_one(models.VFolder, first)
        common = {
            "host": row.host,
            "quota_scope_id": row.quota_scope_id,
            "domain": "default",
            "ownership_type": OwnershipType.USER,
            "user_id": user_id(db, "kim01"),
            "creator": "kim01",
        }
        db.execute(insert(models.VFolder), [{"id": models.new_id(), "name": f"run-{number:05}", **common} for number in range(10_000)])

    await database.run(fill_many)
    asked = []
    event.listen(database.engine, "before_cursor_execute", lambda *words: asked.append(words[2]))
    for tab in TABS:
        page = await database.run(list_page, "kim01", FolderQuery(tab=tab, page=100))
    assert page.counts["general"] == 10_001
    assert len(asked) <= 12 * len(TABS)
