"""Files of very many lines: looked at and made so in the background, with hashes that are made before the transaction."""

import asyncio
import contextlib
import sqlite3

import pytest

from jupyterhub_backendai.services.admin import bulk
from jupyterhub_backendai.services.bulk_imports import BulkImporter
from jupyterhub_backendai.store import models
from tests.services.admin.conftest import read_fields, send
from tests.services.admin.test_maintenance import token_of


@pytest.fixture(autouse=True)
def hashes(site, monkeypatch):
    """Ten lines are many here; a password is hashed only while nobody writes."""
    monkeypatch.setattr(bulk, "FEW_ROWS", 5)
    safe = site.db.info["safe"]
    busy = []

    def hash_password(password):
        with contextlib.closing(sqlite3.connect(f"{site.settings.state_dir}/backendai.sqlite", timeout=1)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # fails while somebody else writes
        busy.append(password)
        return f"hash of {password} {len(busy)}"

    site.db.info["safe"] = type(safe)(safe.crypt, hash_password)
    return busy


def make_file(count, password="Passw0rd!long"):
    lines = [f"bulk{number:05},b{number}@localhost,{password}" for number in range(count)]
    return "\n".join(["name,email,password", *lines]) + "\n"


async def start(browser, document):
    fields = {"_xsrf": await token_of(browser), "document": document, "act": "look"}
    response, _ = await send(browser, "admin/users/import", fields)
    assert response.status == 303
    return response.headers["Location"].removeprefix("/services/backendai/")


async def follow(browser, path):
    async with asyncio.timeout(20):
        while True:
            response, page = await browser.get(path)
            assert response.status == 200
            if page.find(id="import")["data-running"] == "0":
                return page
            await asyncio.sleep(0.02)


async def count_people(site):
    return await site.db.run(lambda db: db.query(models.User).filter(models.User.name.like("bulk%")).count())


async def test_it_is_looked_at_then_made_so(root, site, hashes):
    path = await start(root, make_file(10))
    page = await follow(root, path)
    assert "10 new" in page.find(attrs={"role": "status"}).text
    assert (hashes, await count_people(site)) == ([], 0)
    assert len(page.select("tbody tr")) == 10
    response, _ = await send(root, path, read_fields(page))
    assert response.status == 303
    page = await follow(root, path)
    assert "Everything was made so" in page.find(attrs={"role": "status"}).text
    assert (len(hashes), await count_people(site)) == (10, 10)
    kept = await site.db.run(
        lambda db: {row.password_hash for row in db.query(models.LocalAccount).filter(models.LocalAccount.name.like("bulk%"))}
    )
    assert len(kept) == 10  # equal passwords have different hashes
    await send(root, path, {"_xsrf": await token_of(root)})
    assert len(hashes) == 10


async def test_wrong_lines_are_shown_and_nothing_can_be_made_so(root, site, hashes):
    path = await start(root, make_file(8) + "bulk00003,again@localhost,\nbad name,x,\n")
    page = await follow(root, path)
    assert "2 wrong" in page.find(attrs={"role": "status"}).text
    assert page.select("main form") == []
    await send(root, path, {"_xsrf": await token_of(root)})
    await asyncio.sleep(0)
    assert (hashes, await count_people(site)) == ([], 0)


async def test_what_changed_meanwhile_undoes_everything(root, site):
    path = await start(root, make_file(10).replace("password", "projects").replace("Passw0rd!long", "ends"))
    page = await follow(root, path)
    assert page.select_one("main form") is None  # there is no such project
    await site.db.run(lambda db: db.add(models.Project(id=models.new_id(), domain="default", name="ends")))
    path = await start(root, make_file(10).replace("password", "projects").replace("Passw0rd!long", "ends"))
    page = await follow(root, path)
    await site.db.run(lambda db: db.query(models.Project).filter_by(name="ends").delete())
    await send(root, path, read_fields(page))
    page = await follow(root, path)
    assert "Nothing was changed" in page.find(attrs={"role": "status"}).text
    assert await count_people(site) == 0


async def test_a_service_that_was_restarted_says_so(root, site):
    path = await start(root, make_file(10))
    page = await follow(root, path)
    site.application.settings["importer"] = BulkImporter(site.db)
    again = await follow(root, path)
    assert "choose the file again" in again.text
    response, _ = await send(root, path, read_fields(page))
    assert response.status == 404


async def test_it_is_nobody_elses(root, admin, member, site):
    path = await start(root, make_file(10))
    await follow(root, path)
    for browser in (admin, member):
        response, _ = await browser.get(path)
        assert response.status == 404
        response, _ = await send(browser, path, {"_xsrf": await token_of(browser)})
        assert response.status == 404
    assert await count_people(site) == 0
