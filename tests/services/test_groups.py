"""What the database says of resource groups and images reaches the launch page, the table and admission."""

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.errors import InvalidParameters
from jupyterhub_backendai.services.queues import FiguresReader
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.records import RECORDS
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.services.public import Browser, browser, settings, site

__all__ = ["browser", "settings", "site", "sqlite_template"]
ROOT = Actor("root", Role.SUPERADMIN)
OWN = {"name": "own", "engine": "local", "capacity": {"cpu": "4", "mem": "8g"}, "labels": {"en": "Our own"}}


async def change(site, noun, verb, *arguments):
    groups = site.application.settings["groups"]
    await groups.ready()
    await site.db.run(getattr(RECORDS[noun], verb), ROOT, *arguments)
    await groups.refresh()


async def seen(browser):
    _, page = await browser.get("launch")
    return [row["data-queue"] for row in page.select("tr[data-queue]")]


@pytest.mark.parametrize(
    ("who", "fields", "sees"),
    [
        ("kim01", {"is_open": True}, True),
        ("kim01", {}, False),
        ("kim01", {"domains": ["default"]}, True),
        ("kim01", {"domains": ["default"], "is_active": False}, False),
        ("kim01", {"is_open": True, "is_public": False}, False),
        ("lee01", {"projects": ["default/alpha"]}, True),
        ("kim01", {"projects": ["default/alpha"]}, False),
    ],
)
async def test_who_sees_an_administrators_group(site, who, fields, sees):
    await change(site, "resource_groups", "add", {**OWN, **fields})
    browser = Browser(site)
    await browser.log_in(site.hub.let_in(who))
    assert ("own" in await seen(browser)) is sees
    async with browser.http:
        response, page = await browser.post("launch", {**await browser.form(), "queue": "own"})
    assert (response.status, bool(site.hub.starts)) == ((303, True) if sees else (400, False)), page.text


async def test_a_superadmin_sees_what_is_not_public(site, browser):
    await change(site, "resource_groups", "add", {**OWN, "is_public": False})
    await site.db.run(lambda db: setattr(db.query(models.User).filter_by(name="kim01").one(), "role", Role.SUPERADMIN))
    assert "own" in await seen(browser)


async def test_a_group_is_used_for_the_project_that_it_is_linked_to(site):
    await change(site, "resource_groups", "add", {**OWN, "projects": ["default/alpha"]})
    browser = Browser(site)
    await browser.log_in(site.hub.let_in("lee01"))
    async with browser.http:
        response, page = await browser.post("launch", {**await browser.form(), "queue": "own", "project": "vips"})
    assert response.status == 403
    assert "not open to the project vips" in page.text


async def test_what_the_file_names_can_be_made_inactive(site, browser):
    await change(site, "resource_groups", "update", "small", {"is_active": False})
    assert await seen(browser) == ["v100"]


async def test_an_images_bounds_are_said_beside_the_fields(site, browser):
    bounds = {"min_slots": {"cpu": "2", "mem": "2g"}, "max_slots": {"cpu": "2"}}
    await change(site, "images", "update", "default", bounds)
    response, page = await browser.post("launch", await browser.form())
    assert response.status == 400
    assert "needs at least 2 of cpu; you asked for 1" in page.text
    assert "needs at least 2 GiB of mem" in page.text
    response, _ = await browser.post("launch", {**await browser.form(), "cpu": "2", "mem": "2g"})
    assert response.status == 303


async def test_an_inactive_image_is_not_offered(site, browser):
    form = await browser.form()
    await change(site, "images", "update", "default", {"is_active": False})
    response, page = await browser.get("launch")
    assert response.status == 200
    assert not page.select("#environment option")
    response, page = await browser.post("launch", form)
    assert response.status == 400
    assert "There is no environment default" in page.text


async def test_the_figures_have_a_group_of_the_database(site, settings):
    await change(site, "resource_groups", "add", {**OWN, "is_open": True})
    figures = await FiguresReader(settings, site.db, {}, site.application.settings["groups"]).look(max_age_s=0)
    assert figures.queues["own"].max_slots["cpu"] == 4


@pytest.mark.parametrize(
    "entry",
    [{"name": "e", "min_slots": {"cpu": "lots"}}, {"name": "e", "max_slots": {"cpu": -1}}, {"name": "e", "labels": 5}, {"labels": {}}],
)
def test_an_environment_that_cannot_be_read_stops_the_start_by_name(entry):
    with pytest.raises(InvalidParameters, match="environments"):
        BackendAI(environments=[entry]).list_environments()
    assert BackendAI(environments=[{"name": "e"}]).list_environments()["e"]["labels"] == {}


@pytest.mark.parametrize(
    "fields", [{"scheduler": "first"}, {"agent_selection_strategy": "any"}, {"allowed_session_types": ["x"]}, {"capacity": [1]}, {"x": 1}]
)
def test_a_queue_that_cannot_be_read_stops_the_start_by_name(fields):
    with pytest.raises(InvalidParameters, match="queues"):
        BackendAI(queues=[{"name": "q", "engine": "local", **fields}]).list_queues()


async def test_a_new_groups_figures_are_read_at_the_next_look(site, browser):
    groups = site.application.settings["groups"]
    site.application.settings["figures"] = reader = FiguresReader(site.settings, site.db, {"slurm": site.engine}, groups)
    assert await seen(browser) == ["small", "v100"]
    await change(site, "resource_groups", "add", {**OWN, "is_open": True})
    _, page = await browser.get("launch")
    assert page.select_one("tr[data-queue=own] [data-cell=idle]").text == "1"
    before = site.engine.reads
    await reader.look()
    assert site.engine.reads == before


async def call(site, name, method, path, **kwargs):
    headers = {"Authorization": f"token {site.hub.let_in(name)}"}
    async with Browser(site).http as http, http.request(method, f"{site.url}rest/v1/{path}", headers=headers, **kwargs) as response:
        return response.status, await response.json(content_type=None) if response.status != 204 else None


async def test_over_rest_a_group_is_there_for_people_at_once_and_gone_again(site):
    await site.db.run(add_user, "root", role=Role.SUPERADMIN)
    await site.db.run(add_user, "park04", role=Role.ADMIN)
    status, _ = await call(site, "root", "POST", "admin/resource_groups", json={**OWN, "projects": ["default/alpha"]})
    assert status == 201
    for name, sees in (("lee01", True), ("kim01", False), ("park04", False)):
        _, answer = await call(site, name, "GET", "queues")
        assert ("own" in [queue["name"] for queue in answer["queues"]]) is sees, name
    status, answer = await call(site, "park04", "GET", "admin/resource_groups/own")
    assert (status, answer["projects"]) == (200, ["default/alpha"])
    for name, refusal in (("park04", 403), ("kim01", 404)):
        status, _ = await call(site, name, "PATCH", "admin/resource_groups/own", json={"is_open": True})
        assert status == refusal
    status, answer = await call(site, "root", "PATCH", "admin/resource_groups/small", json={"capacity": {"cpu": "99"}})
    assert (status, answer["violations"][0]["message"]) == (400, "This is set in jupyterhub_config.py.")
    status, _ = await call(site, "root", "DELETE", "admin/resource_groups/own")
    assert status == 204
    _, answer = await call(site, "lee01", "GET", "queues")
    assert "own" not in [queue["name"] for queue in answer["queues"]]
