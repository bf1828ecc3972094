"""``GET`` and ``POST rest/v1/admin/rescan``, with the lab's registry behind it."""

import asyncio

import pytest
import pytest_asyncio
from aiohttp import web

from jupyterhub_backendai.services.rescan import MAX_SILENCES, Rescanner
from jupyterhub_backendai.store import leases, models
from tests.lab import REGISTRY_LOGIN, REGISTRY_URL
from tests.pushing import KERNEL, Pusher
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
PATH = "admin/rescan"


@pytest_asyncio.fixture
async def pusher():
    async with Pusher() as pusher:
        yield pusher


@pytest_asyncio.fixture
async def registry(admin_site, pusher):
    user_name, password = REGISTRY_LOGIN
    data = {"name": "lab", "url": REGISTRY_URL, "user_name": user_name, "password": password, "projects": [pusher.project]}
    assert (await admin_site.root.ask("POST", "admin/container_registries", data))[0] == 201
    return "lab"


async def rescan(site, registry=""):
    """Look through it to the end, and what that came to."""
    status, answer, _ = await site.root.ask("POST", PATH, {"registry": registry} if registry else {})
    assert (status, answer["items"][0]["registry"]) == (202, registry or "lab")
    await site.site.application.settings["rescanner"].wait()
    status, answer, _ = await site.root.get(PATH)
    assert (status, answer["is_running"]) == (200, False)
    return answer["items"][0]


@pytest.mark.registry
async def test_a_registry_is_looked_through(admin_site, pusher, registry):
    status, answer, _ = await admin_site.root.get(PATH)
    assert (status, answer["items"][0]["state"]) == (200, "")
    await pusher.push("python", "3.12", {**KERNEL, "ai.backend.resource.min.cpu": "2"})
    old = await pusher.push("python", "3.11")
    await pusher.push("tool", "1", {})
    found = await rescan(admin_site, registry)
    assert (found["state"], found["added"], found["skipped"], found["error"]) == ("done", 2, 1, "")
    status, image, _ = await admin_site.root.get(f"admin/images/{pusher.name('python', '3.12').replace('/', '%2F')}")
    assert (status, image["min_slots"], image["container_registry"], image["is_gone"]) == (200, {"cpu": "2"}, "lab", False)
    assert image["architectures"] == ["x86_64"]
    found = await rescan(admin_site)
    assert (found["added"], found["updated"], found["unchanged"], found["gone"]) == (0, 0, 2, 0)
    await pusher.push("python", "3.12", {**KERNEL, "ai.backend.resource.min.cpu": "3"})
    await pusher.delete("python", old)
    found = await rescan(admin_site, registry)
    assert (found["updated"], found["gone"]) == (1, 1)
    status, page, _ = await admin_site.root.get("admin/images?is_gone=true")
    assert [item["name"] for item in page["items"]] == [pusher.name("python", "3.11")]
    await admin_site.root.ask("PATCH", "admin/container_registries/lab", {"takes_unlabelled": True})
    assert (await rescan(admin_site, registry))["added"] == 1


@pytest.mark.registry
async def test_a_wrong_password_is_said_and_nothing_is_lost(admin_site, pusher, registry):
    await pusher.push("python")
    await rescan(admin_site, registry)
    await admin_site.root.ask("PATCH", "admin/container_registries/lab", {"password": "wrong"})
    found = await rescan(admin_site, registry)
    assert (found["state"], "user name" in found["error"]) == ("failed", True)
    image = await admin_site.site.db.run(lambda db: db.get(models.Image, pusher.name("python")))
    assert not image.is_gone


async def test_addresses_within_the_site_are_refused(admin_site):
    data = {"name": "lab", "url": "https://10.0.0.1:5000"}
    await admin_site.root.ask("POST", "admin/container_registries", data)
    found = await rescan(admin_site, "lab")
    assert (found["state"], "10.0.0.1" in found["error"]) == ("failed", True)


async def test_a_registry_that_falls_silent_is_not_asked_for_ever(admin_site):
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/v2/_catalog":
            return web.json_response({"repositories": [f"r{number}" for number in range(200)]})
        return web.json_response({}, status=200 if request.path == "/v2/" else 503)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await admin_site.root.ask("POST", "admin/container_registries", {"name": "lab", "url": url})
    found = await rescan(admin_site, "lab")
    assert (found["state"], "does not answer" in found["error"]) == ("failed", True)
    assert len(asked) < 3 * MAX_SILENCES
    await runner.cleanup()


async def test_two_services_do_not_look_at_once(admin_site):
    await admin_site.root.ask("POST", "admin/container_registries", {"name": "lab", "url": "http://127.0.0.1:1"})
    await admin_site.site.db.run_exclusive(leases.take, "rescan:lab", "another", 60)
    found = await rescan(admin_site, "lab")
    assert (found["state"], "Another service" in found["error"]) == ("failed", True)
    await admin_site.site.db.run(leases.give_back, "rescan:lab", "another")
    assert "does not answer" in (await rescan(admin_site, "lab"))["error"]


async def test_what_is_under_way_is_not_begun_again_and_ends_with_the_service(admin_site):
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    await admin_site.root.ask("POST", "admin/container_registries", {"name": "lab", "url": url})
    for _ in range(2):
        status, answer, _ = await admin_site.root.ask("POST", PATH, {"registry": "lab"})
        assert (status, answer["is_running"]) == (202, True)
    rescanner = admin_site.site.application.settings["rescanner"]
    assert len(rescanner._tasks) == 1
    await rescanner.close()
    assert await admin_site.site.db.run(lambda db: db.query(models.Lease).filter(models.Lease.name.like("rescan%")).count()) == 0
    silent.close()
    assert (await Rescanner(admin_site.site.settings, admin_site.site.db).list_scans())[0].state == ""


async def test_what_cannot_be_looked_through(admin_site):
    await admin_site.root.ask("POST", "admin/container_registries", {"name": "here", "url": "http://localhost", "type": "local"})
    for body, expected in (({"registry": "none"}, 404), ({"registry": "here"}, 409), ({"registry": 7}, 400)):
        assert (await admin_site.root.ask("POST", PATH, body))[0] == expected


async def test_for_everybody_else_there_is_none(admin_site):
    people = (
        (admin_site.admin, 404),
        (admin_site.stranger, 404),
        (admin_site.owner, 404),
        (admin_site.member, 404),
        (admin_site.outsider, 401),
    )
    for caller, expected in people:
        assert (await caller.ask("POST", PATH, {}))[0] == expected
        assert (await caller.get(PATH))[0] == expected
