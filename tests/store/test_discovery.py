from __future__ import annotations

from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.store import discovery, resource_groups
from jupyterhub_backendai.store.models import ResourceGroup

CONFIGURED = {"gpu": Queue("gpu", "slurm", "a100", labels={"en": "GPUs"}), "here": Queue("here", "local")}
FOUND = [Queue("a100", "slurm"), Queue("v100", "slurm"), Queue("here", "slurm"), Queue("bad name", "slurm")]


async def test_partitions_become_groups_behind_the_others(database):
    await database.run_exclusive(resource_groups.sync, CONFIGURED)
    assert await database.run_exclusive(discovery.add_missing, FOUND) == ("v100",)
    assert await database.run_exclusive(discovery.add_missing, FOUND) == ()
    queues = await database.run(resource_groups.list_queues)
    assert list(queues) == ["gpu", "here", "v100"]
    assert queues["v100"].is_open
    # the file does not name it, and so leaves it alone
    await database.run_exclusive(resource_groups.sync, CONFIGURED)
    assert "v100" in await database.run(resource_groups.list_queues)


async def test_a_group_that_was_closed_stays_closed(database):
    def close(db):
        db.get_one(ResourceGroup, "v100").is_active = False

    await database.run_exclusive(discovery.add_missing, FOUND)
    await database.run_exclusive(close)
    assert await database.run_exclusive(discovery.add_missing, FOUND) == ()
    assert "v100" not in await database.run(resource_groups.list_queues)


async def test_a_group_that_was_removed_does_not_come_back_open_to_everybody(database):
    def remove(db):
        db.delete(db.get_one(ResourceGroup, "v100"))

    await database.run_exclusive(discovery.add_missing, FOUND)
    await database.run_exclusive(remove)
    more = [*FOUND, Queue("new", "slurm")]
    assert await database.run_exclusive(discovery.add_missing, more) == ("new",)
