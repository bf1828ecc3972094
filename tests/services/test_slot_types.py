"""The slots that engines have are there by themselves."""

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.slots import ResourceSlots, SlotKind
from jupyterhub_backendai.errors import Conflict, SchedulerUnavailable
from jupyterhub_backendai.services.groups import ResourceGroups
from jupyterhub_backendai.services.slot_types import SlotLearner, list_configured
from jupyterhub_backendai.store.models import AuditEntry
from jupyterhub_backendai.store.records import RECORDS, list_slot_kinds
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import make_queue
from tests.fakes import FakeEngine

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
ROOT = Actor("root", Role.SUPERADMIN)
SLOTS = RECORDS["resource_slot_types"]
QUEUES = [{"name": "small", "engine": "local", "capacity": {"cpu": 4, "rocm.device": 2, "fpga.part": "0.5", "BAD": 1}}]


class Engine(FakeEngine):
    """An engine that reports slots, or does not answer."""

    kinds: dict[str, SlotKind]

    async def slot_kinds(self):
        if self.error:
            raise self.error
        return self.kinds


async def engines_of(database):
    def read(db):
        return {item.values["name"]: item.values["engines"] for item in SLOTS.list_page(db, ROOT, Query()).records}

    return await database.run(read)


@pytest.fixture
def learner(database, tmp_path):
    slurm, local = Engine(), Engine(name="local")
    slurm.kinds, local.kinds = {"gres.shard": SlotKind.COUNT, "cpu": SlotKind.COUNT}, {}
    found = SlotLearner(
        database, {"slurm": slurm, "local": local}, ResourceGroups(BackendAI(state_dir=str(tmp_path), queues=QUEUES), database)
    )
    found.slurm = slurm
    return found


async def test_slots_come_by_themselves_and_stay_while_an_engine_has_them(database, learner):
    assert await learner.learn() == ["fpga.part", "rocm.device", "gres.shard"]
    assert await learner.learn() == []
    kinds = await database.run(list_slot_kinds)
    assert (kinds["gres.shard"], kinds["fpga.part"], "BAD" in kinds) == (SlotKind.COUNT, SlotKind.FRACTION, False)
    assert await engines_of(database) == {"fpga.part": ("local",), "gres.shard": ("slurm",), "rocm.device": ("local",)}
    assert await database.run(lambda db: db.query(AuditEntry).filter_by(action="resource_slot_type.create").count()) == 3
    with pytest.raises(Conflict, match="slurm"):
        await database.run_exclusive(SLOTS.remove, ROOT, "gres.shard")
    learner.slurm.error = SchedulerUnavailable()
    await learner.learn()
    assert (await engines_of(database))["gres.shard"] == ("slurm",)
    learner.slurm.error, learner.slurm.kinds = None, {}
    await learner.learn()
    assert (await engines_of(database))["gres.shard"] == ()
    await database.run_exclusive(SLOTS.remove, ROOT, "gres.shard")


async def test_one_that_an_administrator_made_is_taken_over_as_it_is(database, learner):
    await database.run_exclusive(SLOTS.add, ROOT, {"name": "gres.shard", "kind": "fraction"})
    assert "gres.shard" not in await learner.learn()
    assert (await database.run(list_slot_kinds))["gres.shard"] is SlotKind.FRACTION
    assert (await engines_of(database))["gres.shard"] == ("slurm",)


def test_slots_of_the_configuration_file():
    queues = [make_queue("a", engine="local", capacity=ResourceSlots({"x": 1, "mem": 5})), make_queue("b", engine="slurm")]
    queues.append(make_queue("c", engine="local", max_slots=ResourceSlots({"x": "0.5", "y": "Infinity"})))
    assert list_configured(queues, "local") == {"x": SlotKind.FRACTION, "y": SlotKind.COUNT}
