"""What a scheduler gives one person, at admission: choices, shares of GPUs, and what would wait for ever."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.core.partitions import Association, Limits, PartitionRules, Qos, SchedulerFacts, ShareFigures
from jupyterhub_backendai.core.scheduler_choice import SchedulerChoice
from jupyterhub_backendai.core.slots import CUDA_SHARES, ResourceSlots
from jupyterhub_backendai.errors import Forbidden, InvalidParameters
from jupyterhub_backendai.store import sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user, make_spec
from tests.services.private import figures, people, service, settings
from tests.services.test_admit import count_audit

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]

FACTS = SchedulerFacts(
    cluster="lab",
    associations={
        "kim01": (Association("free", qos=("normal",), is_default=True), Association("paid", qos=("normal", "high"))),
        "root01": (Association("free", qos=("normal",), is_default=True),),
    },
    qos={"normal": Qos("normal"), "high": Qos("high", Limits(per_user={"cpu": 4}))},
    enforces=frozenset({"associations", "limits", "qos"}),
)
SHARES = (ShareFigures("v100", "shard", 8, 80, 80, 8),)


@pytest.fixture
async def queue(figures, people):
    """The queue ``batch``, and a superadmin with a Unix account, which gives no more of Slurm than it has itself."""
    await people.run(add_user, "root01", role=Role.SUPERADMIN)
    figures.set_row("batch", scheduler=FACTS, rules=PartitionRules(), shares=SHARES)
    return figures


def spec(user="kim01", shares="", **request):
    found = make_spec(user, queue="batch", **request)
    slots = ResourceSlots({**found.request.slots, CUDA_SHARES: shares}) if shares else found.request.slots
    return replace(found, request=replace(found.request, slots=slots))


async def test_ones_own_account_and_quality_of_service(service, queue, people):
    choice = SchedulerChoice(account="paid", qos="high")
    admission = await service.admit(spec(choice=choice))
    assert (admission.account, admission.choice) == ("paid", choice)
    [info] = await people.run(sessions.list_live)
    assert info.choice == choice


async def test_somebody_elses_is_refused_and_recorded(service, queue, people):
    names = {"account": "secret", "qos": "high", "reservation": "course", "features": "a100", "cluster": "other"}
    for user in ("kim01", "root01"):
        for name, value in names.items():
            with pytest.raises(Forbidden) as refusal:
                await service.admit(spec(user, choice=SchedulerChoice(**{name: value})))
            assert [violation.field for violation in refusal.value.violations] == [name]
    entries = await people.run(count_audit)
    assert [user for user, action, _, result in entries if (action, result) == ("session.start", "refused")] == ["kim01"] * 5 + [
        "root01"
    ] * 5
    assert not await people.run(sessions.list_live)


async def test_what_would_wait_for_ever(service, queue):
    with pytest.raises(InvalidParameters) as refusal:
        await service.admit(spec(choice=SchedulerChoice(account="paid", qos="high"), cpu=5))
    assert [str(violation.params["name"]) for violation in refusal.value.violations] == ["high (QOS)"]


async def test_a_share_of_a_gpu_is_parts_of_one(service, queue, people):
    admission = await service.admit(spec(shares="0.375"))
    assert (admission.gres, admission.gpu_type, admission.slots.amount(CUDA_SHARES)) == ("shard:3", "", Decimal("0.375"))
    typed = await service.admit(spec("root01", "0.5", gpu_type="v100"))
    assert (typed.gres, typed.gpu_type) == ("shard:v100:4", "v100")
    with pytest.raises(InvalidParameters):
        await service.admit(spec(shares="0.3", server_name="b"))
