"""Partitions of Slurm that become resource groups by themselves."""

from dataclasses import replace

import pytest

from jupyterhub_backendai.core.partitions import PartitionRules
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.services.discovery import choose
from tests.databases import sqlite_template
from tests.services.public import V100, Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]

HIDDEN = QueueFigures("secret", rules=PartitionRules(is_hidden=True))
ROWS = {"cas_v100": V100, "a100": replace(V100, name="a100"), "secret": HIDDEN, "gpu@west": replace(V100, name="gpu@west")}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [("all", ["cas_v100", "a100", "gpu.west"]), (["secret", "a100"], ["a100", "secret"]), (["gpu@west"], ["gpu.west"]), ([], [])],
)
def test_which_partitions_become_groups(wanted, names):
    queues = choose(ROWS, wanted)
    assert [queue.name for queue in queues] == names
    assert [(queue.partition, queue.clusters) for queue in queues if queue.name == "gpu.west"] in ([], [("gpu", ("west",))])


async def ask(site, user):
    headers = {"Authorization": f"token {site.hub.let_in(user)}"}
    async with Browser(site).http as http, http.get(f"{site.url}rest/v1/queues", headers=headers) as response:
        return {queue["name"]: queue for queue in (await response.json())["queues"]}


async def test_everybody_sees_them_behind_the_configured_ones(site, settings):
    settings.slurm_queues = "all"
    site.engine.rows = {name: ROWS[name] for name in ("cas_v100", "a100", "secret")}
    queues = await ask(site, "lee01")
    # the configured group v100 has the partition cas_v100 already
    assert list(queues) == ["small", "v100", "vip", "a100"]
    assert (queues["a100"]["engine"], queues["a100"]["nodes"]["total"], queues["a100"]["is_free"]) == ("slurm", 6, True)
    reads = site.engine.reads
    await site.figures.read()
    assert site.engine.reads == reads + 1


async def test_a_partition_that_was_taken_away_is_closed(site):
    site.engine.rows = {"a100": V100}
    queues = await ask(site, "kim01")
    assert (queues["v100"]["is_open"], queues["v100"]["nodes"]["total"], queues["v100"]["error"]) == (False, 0, "")


async def test_nothing_is_made_where_the_site_does_not_want_it(site):
    site.engine.rows = {"cas_v100": V100, "a100": V100}
    assert list(await ask(site, "kim01")) == ["small", "v100"]
