"""Names that no two clusters share, and a queue that is on several."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.core.clusters import (
    complete_choice,
    find_figures,
    join_job,
    join_node,
    merge,
    pick_figures,
    split_job,
    split_node,
)
from jupyterhub_backendai.core.partitions import SchedulerFacts
from jupyterhub_backendai.core.queues import GPUFigures, Queue, QueueFigures
from jupyterhub_backendai.core.scheduler_choice import SchedulerChoice
from jupyterhub_backendai.core.scheduler_offers import find_offer
from jupyterhub_backendai.core.sessions import check_request, parse_request
from tests.factories import GIB, make_slots

EAST = QueueFigures(
    "gpu", 1, 2, 0, 3, (GPUFigures("v100", 4, 1, 2),), waiting=3, running=1, max_time_s=3600, max_slots=make_slots(8, 64 * GIB, 2),
    scheduler=SchedulerFacts(cluster="east"),
)  # fmt: skip
WEST = QueueFigures(
    "gpu", 0, 1, 1, 2, (GPUFigures("a100", 8, 8, 8), GPUFigures("v100", 2, 2, 4)), waiting=1, max_time_s=None,
    max_slots=make_slots(64, 32 * GIB, 8), scheduler=SchedulerFacts(cluster="west"),
)  # fmt: skip
BOTH = Queue("gpu", "slurm", clusters=("east", "west"))
ROWS = {"gpu": EAST, "gpu@west": WEST}


@pytest.mark.parametrize(("job", "cluster"), [("17", ""), ("17", "west"), ("", "")])
def test_a_job_and_its_cluster_come_back(job: str, cluster: str) -> None:
    assert split_job(join_job(job, cluster)) == (job, cluster)
    assert split_node(join_node(job, cluster)) == (job, cluster)


def test_a_job_without_a_number_is_no_clusters() -> None:
    assert join_job("", "west") == ""


def test_a_queue_on_two_clusters_is_both_together() -> None:
    row = find_figures(BOTH, "gpu", ROWS, "east")
    assert (row.nodes_alloc, row.nodes_idle, row.nodes_down, row.nodes_total, row.waiting) == (1, 3, 1, 5, 4)
    assert row.gpus == (GPUFigures("a100", 8, 8, 8), GPUFigures("v100", 6, 3, 4))
    assert row.max_slots == make_slots(64, 64 * GIB, 8)
    assert row.max_time_s is None
    assert row.clusters == {"east": EAST, "west": WEST}


def test_a_queue_is_where_it_says() -> None:
    assert find_figures(Queue("gpu", "slurm"), "gpu", ROWS, "east") is EAST
    assert find_figures(Queue("gpu", "slurm", clusters=("west",)), "gpu", ROWS, "east").max_slots == WEST.max_slots
    assert find_figures(Queue("gpu", "slurm", clusters=("north",)), "gpu", ROWS, "east") is None


def test_one_old_row_makes_the_row_old() -> None:
    row = merge({"east": QueueFigures("gpu", read_at=20.0), "west": QueueFigures("gpu", read_at=10.0, error="away")})
    assert (row.read_at, row.error) == (10.0, "away")


def test_the_first_cluster_unless_another_is_chosen() -> None:
    assert complete_choice(SchedulerChoice(), BOTH).cluster == "east"
    assert complete_choice(SchedulerChoice(cluster="west"), BOTH).cluster == "west"
    assert complete_choice(SchedulerChoice(), Queue("gpu", "slurm")).cluster == ""


def test_a_request_is_measured_against_the_cluster_that_it_goes_to() -> None:
    row = find_figures(BOTH, "gpu", ROWS, "east")

    def check(**fields: str) -> set[str]:
        request = parse_request({"queue": "gpu", "cpu": "16", "mem": "16g", "time": "30m", **fields})
        return {violation.field for violation in check_request(request, BOTH, row, ("p",))}

    assert check() == {"cpu"}
    assert check(cluster="west") == set()
    assert check(cluster="west", mem="48g") == {"mem"}
    assert check(cluster="north") == {"cluster"}
    assert pick_figures(BOTH, row, "west") is WEST
    assert find_offer(BOTH, row, None).clusters == ("east", "west")
