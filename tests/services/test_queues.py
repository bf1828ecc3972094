import asyncio
from dataclasses import replace

import pytest

from jupyterhub_backendai.core.partitions import Association, NodeShape, PartitionRules, Qos, SchedulerFacts, ShareFigures
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import SchedulerUnavailable
from jupyterhub_backendai.services.queues import ENGINE_FAILED, FiguresReader
from jupyterhub_backendai.store import sessions
from tests.databases import sqlite_template
from tests.factories import GIB, make_queue, make_spec
from tests.fakes import ACCESS
from tests.services.public import V100, Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
API = "rest/v1/queues"


async def ask(site, token, path=API):
    headers = {"Authorization": f"token {token}"} if token else {}
    async with Browser(site).http as http, http.get(site.url + path, headers=headers, allow_redirects=False) as response:
        return response, await response.json(content_type=None)


async def test_queues_for_a_program(site):
    response, answer = await ask(site, site.hub.let_in("kim01"))
    assert response.status == 200
    small, v100 = answer["queues"]
    assert (v100["nodes"], v100["waiting"], v100["max_time_s"]) == ({"alloc": 1, "idle": 2, "down": 3, "total": 6}, 7, 7200)
    assert v100["gpus"] == [{"type": "v100", "total": 12, "free": 5, "per_node": 2}]
    assert (small["nodes"]["idle"], small["is_free"], small["is_exclusive"]) == (1, True, False)
    assert answer["error"] == ""


async def test_what_one_may_choose_is_ones_own(site):
    held = {"kim01": (Association("free", qos=("normal",), default_qos="normal", is_default=True), Association("paid", qos=("high",)))}
    facts = SchedulerFacts("lab", held, qos={"normal": Qos("normal"), "high": Qos("high")})
    shape = NodeShape(40, 384 * GIB, {"v100": 2}, {"v100": 16}, ("v100",), 5, 4, 3)
    share = ShareFigures("v100", "shard", 8, 64, 60, 8)
    site.engine.rows = {"cas_v100": replace(V100, scheduler=facts, rules=PartitionRules(), shapes=(shape,), shares=(share,))}
    _, answer = await ask(site, site.hub.let_in("kim01"))
    v100 = answer["queues"][1]
    assert v100["choices"]["accounts"] == [
        {"name": "free", "qos": ["normal"], "default_qos": "normal", "is_default": True},
        {"name": "paid", "qos": ["high"], "default_qos": "high", "is_default": False},
    ]
    assert (v100["choices"]["qos"], v100["choices"]["features"], v100["choices"]["clusters"]) == (["normal", "high"], ["v100"], ["lab"])
    assert v100["shares"] == [{"type": "v100", "kind": "shard", "per_gpu": 8, "total": 64, "free": 60, "most": 8}]
    [shown] = v100["shapes"]
    assert (shown["count"], shown["up"], shown["idle"], shown["cpu"], shown["gpus"]) == (5, 4, 3, 40, {"v100": 2})
    _, answer = await ask(site, site.hub.let_in("lee01"))
    other = answer["queues"][1]["choices"]
    assert (other["accounts"], other["qos"], other["is_known"]) == ([], [], False)


async def test_only_queues_of_ones_projects(site):
    _, answer = await ask(site, site.hub.let_in("lee01"))
    assert [queue["name"] for queue in answer["queues"]] == ["small", "v100", "vip"]


@pytest.mark.parametrize("token", ["", "wrong", "token-of-kim01"])
async def test_without_a_good_token_there_is_json_not_a_redirect(site, token):
    response, answer = await ask(site, token)
    assert response.status == 401
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert answer["error_code"] == "backendai_auth_unauthenticated"
    assert {"type", "title", "msg", "data", "violations"} <= set(answer)


async def test_a_token_without_access_to_the_service(site):
    response, _ = await ask(site, site.hub.let_in("kim01", "narrow", "read:users!user=kim01"))
    assert response.status == 403


async def test_a_service_is_no_person(site):
    response, _ = await ask(site, site.hub.let_in("kim01", "robot", ACCESS, kind="service"))
    assert response.status == 403


async def test_the_table_alone(browser):
    response, page = await browser.get("queues", headers={"Sec-Fetch-Mode": "navigate"})
    assert response.status == 200
    assert [row["data-queue"] for row in page.select("tr[data-queue]")] == ["small", "v100"]
    assert not page.find("html")


async def test_the_table_by_script_needs_the_token(browser):
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    response, _ = await browser.get("queues", headers=headers)
    assert response.status == 302
    token = (await browser.form())["_xsrf"]
    response, _ = await browser.get("queues", headers={**headers, "X-XSRFToken": token})
    assert response.status == 200


async def test_stale_rows_stay_with_their_age(browser, site):
    await browser.get("launch")
    before = site.figures.figures().queues["v100"]
    site.engine.error = SchedulerUnavailable()
    await site.figures.read()
    after = site.figures.figures()
    assert (after.queues["v100"].nodes_idle, after.queues["v100"].read_at) == (2, before.read_at)
    assert after.queues["v100"].error == ENGINE_FAILED
    assert after.queues["small"].error == ""
    _, page = await browser.get("launch")
    row = page.select_one("tr[data-queue=v100]")
    assert "bai-stale" in row["class"]
    assert "last figures" in row.text
    assert float(page.find(id="queues")["data-read-at"]) == before.read_at < after.queues["small"].read_at
    site.engine.error = None
    await site.figures.read()
    assert site.figures.figures().error == ""


async def test_an_engine_that_never_answered(browser, site):
    site.engine.error = RuntimeError("bug")
    _, page = await browser.get("launch")
    row = page.select_one("tr[data-queue=v100]")
    assert "cannot be read right now" in row.text
    assert row.select_one("[data-cell=alloc]").text == "–"


async def test_local_figures_are_what_is_counted(browser, site, settings):
    queue = settings.list_queues()["small"]
    await site.db.run_exclusive(sessions.admit, make_spec(queue="small", cpu=4, mem=GIB), queue, None)
    await site.figures.read()
    row = site.figures.figures().queues["small"]
    assert (row.nodes_alloc, row.nodes_idle, row.running) == (1, 0, 1)


async def test_whoever_looks_joins_the_pass_that_goes_on(site):
    first, second = site.figures.read(), site.figures.read()
    assert first is second
    await first
    assert site.engine.reads == 1


async def test_a_hanging_engine_does_not_hold_the_page(browser, site):
    gate = asyncio.Event()

    async def hang():
        await gate.wait()
        return {}

    site.engine.capacity = hang
    response, _ = await browser.get("launch")
    assert response.status == 200
    assert not gate.is_set()
    gate.set()


async def test_reading_goes_on_faster_while_somebody_looks(site, settings):
    settings.figures_interval_s, settings.figures_idle_interval_s = 0.01, 3600
    reader = FiguresReader(settings, site.db, {"slurm": site.engine})
    loop = asyncio.create_task(reader.run())
    async with asyncio.timeout(60):
        while site.engine.reads < 1:
            await asyncio.sleep(0)
        reader.touch()
        while site.engine.reads < 3:
            await asyncio.sleep(0)
    loop.cancel()


async def test_who_comes_while_it_is_read_is_no_reason_to_read_again(site, settings):
    """A hundred people who look would else have everything read twice each time."""
    settings.figures_interval_s = settings.figures_idle_interval_s = 3600
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow():
        site.engine.reads += 1
        begun.set()
        await gate.wait()
        return {}

    site.engine.capacity = slow
    reader = FiguresReader(settings, site.db, {"slurm": site.engine})
    loop = asyncio.create_task(reader.run())
    async with asyncio.timeout(60):
        await begun.wait()
        reader.touch()
        gate.set()
        await reader.read()
    for _ in range(20):
        await asyncio.sleep(0)
    assert site.engine.reads == 1
    loop.cancel()


def test_a_queue_of_no_capacity_is_never_full():
    from jupyterhub_backendai.services.queues import measure_local

    assert measure_local(make_queue(capacity=ResourceSlots()), None).nodes_idle == 1
    assert V100.nodes_total == 6
