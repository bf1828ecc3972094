"""A queue that is on two clusters: one line of the table, a choice in the form, and each request measured where it goes to."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.partitions import Association, SchedulerFacts
from jupyterhub_backendai.core.queues import GPUFigures, QueueFigures
from tests.databases import sqlite_template
from tests.factories import GIB, make_slots
from tests.services.public import Browser, Site, browser, read_form, site
from tests.services.public import settings as plain_settings

__all__ = ["browser", "plain_settings", "site", "sqlite_template"]
QUEUES = [
    {"name": "gpu", "engine": "slurm", "clusters": ["east", "west"], "labels": {"en": "GPU", "ko": "GPU"}},
    {"name": "west", "engine": "slurm", "partition": "gpu", "clusters": ["west"]},
]


def facts(cluster: str, account: str) -> SchedulerFacts:
    held = (Association(account, is_default=True), Association(f"{account}-more"))
    return SchedulerFacts(cluster=cluster, associations={"kim01": held})


EAST = QueueFigures(
    "gpu", 1, 2, 0, 3, (GPUFigures("v100", 4, 1, 2),), waiting=3, max_time_s=3600, max_slots=make_slots(8, 64 * GIB, 2),
    scheduler=facts("east", "physics"),
)  # fmt: skip
WEST = QueueFigures(
    "gpu", 0, 1, 1, 2, (GPUFigures("a100", 8, 8, 8),), waiting=1, max_time_s=7200, max_slots=make_slots(64, 32 * GIB, 8),
    scheduler=facts("west", "biology"),
)  # fmt: skip


@pytest.fixture
def settings(plain_settings: BackendAI) -> BackendAI:
    plain_settings.queues, plain_settings.slurm_clusters = QUEUES, ["east", "west"]
    return plain_settings


@pytest.fixture(autouse=True)
def rows(site: Site) -> None:
    site.engine.rows = {"gpu": EAST, "gpu@west": WEST}


async def test_the_table_has_both_together_and_the_form_names_them(browser: Browser) -> None:
    _, page = await browser.get("launch?queue=gpu")
    line = page.find("tr", attrs={"data-queue": "gpu"})
    assert [line.find(attrs={"data-cell": cell}).text.strip() for cell in ("alloc", "idle", "down", "total", "waiting")] == list("13154")
    assert line["data-cpu"] == "64"
    assert [option["value"] for option in page.find("select", id="cluster").find_all("option")] == ["", "east", "west"]
    only = page.find("tr", attrs={"data-queue": "west"})
    assert only.find(attrs={"data-cell": "total"}).text.strip() == "2"


async def test_a_queue_on_one_cluster_asks_nothing(browser: Browser) -> None:
    _, page = await browser.get("launch?queue=west")
    assert page.find("select", id="cluster") is None


async def test_accounts_are_those_of_the_cluster_that_is_chosen(browser: Browser) -> None:
    def accounts(page) -> list[str]:
        return [option["value"] for option in page.find("select", id="account").find_all("option")]

    _, page = await browser.get("launch?queue=gpu")
    assert accounts(page) == ["", "physics", "physics-more"]
    _, page = await browser.get("launch?queue=gpu&cluster=west")
    assert accounts(page) == ["", "biology", "biology-more"]


@pytest.mark.parametrize(
    ("cluster", "cpu", "account", "refused"),
    [
        ("", "16", "", "cpu"),
        ("west", "16", "", ""),
        ("west", "16", "physics", "account"),
        ("west", "16", "biology", ""),
        ("north", "4", "", "cluster"),
    ],
)
async def test_a_request_is_measured_where_it_goes_to(site: Site, browser: Browser, cluster, cpu, account, refused) -> None:
    _, page = await browser.get("launch?queue=gpu")
    form = {**read_form(page), "queue": "gpu", "cluster": cluster, "cpu": cpu, "mem": "16g", "gpu": "0", "time": "30m", "account": account}
    response, page = await browser.post("launch", form)
    assert response.status == ({"cpu": 400, "": 303}.get(refused, 403)), page.text[:500]
    if refused:
        assert page.find(id=refused)["aria-invalid"] == "true"
