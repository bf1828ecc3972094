"""How long a session may be made: the operator who gives the time is held to no limit of Slurm's, so we hold to its owner's."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.partitions import Association, Limits, Qos, Reservation, SchedulerFacts
from jupyterhub_backendai.core.queues import Figures, Queue, QueueFigures
from jupyterhub_backendai.core.scheduler_choice import SchedulerChoice
from jupyterhub_backendai.services.extensions import find_longest_s
from tests.factories import make_slots

HOUR_S = 3600
FACTS = SchedulerFacts(
    associations={"kim01": (Association("free", qos=("short", "long"), default_qos="short", is_default=True),)},
    qos={"short": Qos("short", Limits(max_wall_s=2 * HOUR_S)), "long": Qos("long")},
    reservations=(Reservation("course", None, 1000.0 + HOUR_S, users=frozenset({"kim01"})),),
    enforces=frozenset({"associations", "limits", "qos"}),
)
ROW = QueueFigures("gpu", max_time_s=12 * HOUR_S, scheduler=FACTS, read_at=1000.0)


@pytest.mark.parametrize(
    ("choice", "row", "hours"),
    [
        (SchedulerChoice(), ROW, 2),
        (SchedulerChoice(qos="long"), ROW, 12),
        (SchedulerChoice(qos="long", reservation="course"), ROW, 12),
        (SchedulerChoice(), replace(ROW, scheduler=None), 12),
        (SchedulerChoice(), None, None),
        (SchedulerChoice(cluster="west"), replace(ROW, max_time_s=99 * HOUR_S, clusters={"west": ROW}), 2),
    ],
)
def test_more_time_is_never_more_than_slurm_lets_the_owner_have(choice, row, hours):
    queue = Queue("gpu", "slurm")
    parts = SimpleNamespace(figures=SimpleNamespace(figures=lambda: Figures({"gpu": row} if row else {})))
    posix = PosixAccount("kim01", 1001, 1001, "/home/kim01")
    session = SimpleNamespace(queue="gpu", project="default", slots=make_slots(1), gpu_type="", choice=choice, posix=posix)
    assert find_longest_s(parts, queue, session) == (hours * HOUR_S if hours else None)
