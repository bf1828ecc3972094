"""The nodes' page and REST, as superadministrator, domain administrator, member and stranger meet them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.nodes import Node, NodeState
from jupyterhub_backendai.errors import Conflict, SchedulerUnavailable
from jupyterhub_backendai.services.nodes import NodesReader, join
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.nodes import NodeUse
from tests.databases import sqlite_template
from tests.factories import GIB, make_slots
from tests.fakes import FakeEngine
from tests.services.admin.conftest import admin, member, people, root
from tests.services.public import Browser, nobody, settings, site

__all__ = ["admin", "member", "nobody", "people", "root", "settings", "site", "sqlite_template"]
API = "rest/v1/admin/nodes"
N1 = Node("n1", "slurm", NodeState.BUSY, "MIXED", make_slots(8, 32 * GIB, 2), make_slots(2, 8 * GIB, 1), {"v100": (2, 1)}, 1.5, ("gpu",))
N2 = Node("n2", "slurm", NodeState.DRAINED, "IDLE+DRAIN", make_slots(8), reason="<b>fan</b>")
HERE = Node("here", "local", NodeState.IDLE, slots=make_slots(4, 8 * GIB))


@dataclass
class FakeCluster(FakeEngine):
    found: list[Node] = field(default_factory=list)
    acts: list[tuple] = field(default_factory=list)
    refusal: Exception | None = None

    async def nodes(self):
        self.reads += 1
        if self.error:
            raise self.error
        return self.found

    async def drain(self, node, reason):
        if self.refusal:
            raise self.refusal
        self.acts.append(("drain", node, reason))

    async def resume(self, node):
        self.acts.append(("resume", node))


@pytest_asyncio.fixture
async def cluster(site):
    cluster = FakeCluster(found=[N1, N2])
    site.application.settings["nodes"] = NodesReader(site.db, {"slurm": cluster, "local": FakeCluster(found=[HERE])})
    return cluster


async def call(site, name, method="GET", path=API, **kwargs):
    headers = {"Authorization": f"token {site.hub.let_in(name)}"}
    async with Browser(site).http as http, http.request(method, site.url + path, headers=headers, **kwargs) as response:
        return response, await response.json(content_type=None)


async def count_acts(site):
    rows = await site.db.run(lambda db: [(row.actor, row.action, row.object, row.result) for row in db.query(models.AuditEntry)])
    return [row for row in rows if row[1].startswith("node.")]


async def test_the_table_says_state_use_load_and_reason(root, cluster):
    response, page = await root.get("admin/nodes")
    assert response.status == 200
    first, second, here = page.select("tr[data-node]")
    assert first.select_one("[data-cell=state]").get_text(" ", strip=True) == "in use MIXED"
    bars = [bar.get_text(" ", strip=True) for bar in first.select(".bai-node-bar")]
    assert [text.split(" ", 1)[0] for text in bars] == ["CPUs", "Memory", "GPU"]
    assert "8 GiB / 32 GiB" in bars[1]
    assert first.select_one("meter")["value"] == "2.0"
    assert first.select_one("[data-cell=load]").text == "1.50"
    assert "<b>fan</b>" in second.text
    assert "drained" in second.text
    assert (bool(first.select("form")), bool(second.select("form")), bool(here.select("form"))) == (True, True, False)
    response, part = await root.get("admin/nodes-table", headers={"Sec-Fetch-Mode": "navigate"})
    assert (response.status, part.find("html"), len(part.select("tr[data-node]"))) == (200, None, 3)
    assert cluster.reads == 1


async def test_search_state_and_pages_are_in_the_address(root, cluster, site):
    cluster.found = [replace(N1, name=f"n{number}", partitions=("gpu" if number % 2 else "cpu",)) for number in range(250)] + [
        replace(N2, name="last")
    ]

    async def seen(query):
        _, page = await root.get(f"admin/nodes?{query}")
        assert page.find(id="nodes-box")["data-url"].endswith(f"nodes-table?{query}")
        return [row["data-node"] for row in page.select("tr[data-node]")]

    assert len(await seen("")) == 100
    assert await seen("state=drained") == ["last"]
    assert await seen("q=FAN") == ["last"]
    assert len(await seen("q=gpu&page=2")) == 25
    assert await seen("q=nothing") == []
    assert len((await root.get("admin/nodes?page=99&state=nonsense"))[1].select("tr[data-node]")) == 52
    _, page = await root.get("admin/nodes?q=gpu")
    assert [link["href"].rpartition("?")[2] for link in page.select(".page-link")] == ["q=gpu", "q=gpu&page=2"]


async def test_draining_needs_a_reason_and_leaves_a_row(root, cluster, site):
    _, page = await root.get("admin/nodes")
    token = page.select_one("input[name=_xsrf]")["value"]
    response, page = await root.post("admin/nodes/n1/drain", {"_xsrf": token, "reason": " State=IDLE "})
    assert response.status == 400
    assert "Say why" in page.find(id="errors").text
    assert page.select_one("tr[data-node=n1] input[name=reason]")["value"] == "State=IDLE"
    assert await count_acts(site) == []
    response, _ = await root.post("admin/nodes/n1/drain", {"_xsrf": token, "reason": "new  fan"})
    assert response.status == 303
    response, page = await root.get(response.headers["Location"].removeprefix("/services/backendai/"))
    assert "Nothing new is started" in page.text
    response, _ = await root.post("admin/nodes/n2/resume", {"_xsrf": token})
    assert response.status == 303
    assert cluster.acts == [("drain", "n1", "new fan"), ("resume", "n2")]
    assert await count_acts(site) == [("root", "node.drain", "n1", "ok"), ("root", "node.resume", "n2", "ok")]
    response, _ = await root.post("admin/nodes/n9/drain", {"_xsrf": token, "reason": "x"})
    assert response.status == 404
    response, _ = await root.post("admin/nodes/n1/drain", {"reason": "x"})
    assert response.status == 403


async def test_what_cannot_be_done_here_says_what_to_type(root, cluster, site):
    cluster.refusal = Conflict("type %(command)s", command="scontrol update NodeName=n1")
    _, page = await root.get("admin/nodes")
    token = page.select_one("input[name=_xsrf]")["value"]
    response, page = await root.post("admin/nodes/n1/drain", {"_xsrf": token, "reason": "fan"})
    assert response.status == 409
    assert "scontrol update NodeName=n1" in page.find(id="errors").text
    assert await count_acts(site) == [("root", "node.drain", "n1", "refused")]
    response, _ = await call(site, "root", "POST", f"{API}/here/drain", json={"reason": "x"})
    assert response.status == 200  # the fake can; the real local engine refuses


async def test_an_engine_that_is_away_keeps_its_last_nodes(root, cluster, site):
    await root.get("admin/nodes")
    cluster.error = SchedulerUnavailable()
    reader = site.application.settings["nodes"]
    reading = await reader.look(0)
    assert ([node.name for node in reading.nodes], reading.failed) == (["n1", "n2", "here"], ("slurm",))
    _, page = await root.get("admin/nodes")
    assert "slurm cannot be read" in page.text


async def test_for_programs(site, people, cluster):
    response, answer = await call(site, "root")
    assert (response.status, answer["total"]) == (200, 3)
    assert answer["items"][0]["gpus"] == [{"type": "v100", "total": 2, "used": 1}]
    assert answer["items"][0]["slots"]["cpu"] == "8"
    response, answer = await call(site, "root", path=f"{API}/n2")
    assert (answer["state"], answer["reason"]) == ("drained", "<b>fan</b>")
    response, answer = await call(site, "root", "POST", f"{API}/n1/drain", json={})
    assert (response.status, answer["violations"][0]["field"]) == (400, "reason")
    response, _ = await call(site, "root", "POST", f"{API}/n1/drain", json={"reason": "fan"})
    assert (response.status, cluster.acts) == (200, [("drain", "n1", "fan")])
    response, _ = await call(site, "root", path=f"{API}/n9")
    assert response.status == 404


@pytest.mark.parametrize("path", ["admin/nodes", "admin/nodes-table"])
async def test_pages_are_for_superadministrators(admin, member, nobody, cluster, path):
    for browser, status in ((admin, 404), (member, 404), (nobody, 302)):
        response, _ = await browser.get(path, headers={"Sec-Fetch-Mode": "navigate"})
        assert response.status == status


@pytest.mark.parametrize(
    ("method", "path"), [("GET", API), ("GET", f"{API}/n1"), ("POST", f"{API}/n1/drain"), ("POST", f"{API}/n1/resume")]
)
async def test_calls_are_for_superadministrators(site, people, cluster, method, path):
    for name in ("park04", "kim01"):
        response, _ = await call(site, name, method, path, json={"reason": "x"} if method == "POST" else None)
        assert response.status == 404
    async with Browser(site).http as http, http.request(method, site.url + path) as response:
        assert response.status == 401
    assert cluster.acts == []


def test_a_node_has_our_sessions():
    use = {("slurm", "n1"): NodeUse(2, make_slots(4)), ("slurm", ""): NodeUse(1), ("local", "localhost"): NodeUse(1, make_slots(2))}
    assert (join(N1, use).sessions, join(N1, use).session_slots["cpu"]) == (2, 4)
    assert join(N2, use).sessions == 0
    assert (join(HERE, use).sessions, join(HERE, use).state) == (1, NodeState.BUSY)
