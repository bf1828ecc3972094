"""Answers of a large centre, generated from recorded ones: 1,000 nodes and 10,000 jobs are read whole (how fast: script/bench poll)."""

from __future__ import annotations

from pathlib import Path

from jupyterhub_backendai.backends import slurm_facts, slurm_figures, slurm_nodes, slurm_parse
from jupyterhub_backendai.core.partitions import SchedulerFacts

RECORDED = Path(__file__).parents[1] / "assets" / "slurm" / "22.05"
NODES, JOBS, WAITING = 1000, 10_000, 9_000
MARK = "0123456789abcdef"


def generate_nodes() -> str:
    lines = [line for line in (RECORDED / "node.txt").read_text().splitlines() if "NodeName=jnode01 " in line]
    return "".join(f"{lines[0].replace('jnode01', f'n{number:04}')}\n" for number in range(NODES))


def generate_counts() -> str:
    return "".join(f"{'PENDING' if number < WAITING else 'RUNNING'}|jupyter\n" for number in range(JOBS))


def generate_jobs() -> str:
    head = f"{MARK}|JOBID|USER|STATE|EXEC_HOST|START_TIME|PARTITION|REASON|{MARK}|{'COMMENT':>33}\n"
    line = "{mark}|{number}|kim01|PENDING|n/a|N/A|jupyter|(자원 부족, Resources)|{mark}|{number:032x} \n"
    return head + "".join(line.format(mark=MARK, number=number) for number in range(1, JOBS + 1))


def test_the_table_of_a_thousand_nodes_and_ten_thousand_jobs() -> None:
    partitions = slurm_figures.parse_partitions((RECORDED / "partition.txt").read_text())
    nodes, jobs = generate_nodes(), generate_counts()
    row = slurm_facts.measure(partitions, nodes, jobs, SchedulerFacts())["jupyter"]
    assert (row.nodes_total, row.waiting, row.running) == (NODES, WAITING, JOBS - WAITING)
    assert sum(gpu.total for gpu in row.gpus) == 2 * NODES


def test_a_thousand_nodes_by_name() -> None:
    nodes = slurm_nodes.parse_nodes(generate_nodes())
    assert [nodes[0].name, nodes[-1].name, len(nodes)] == ["n0000", "n0999", NODES]


def test_ten_thousand_jobs_of_ours_and_their_places() -> None:
    text = generate_jobs()
    waiting = "".join(f"{number}|{JOBS - number}|jupyter\n" for number in range(1, JOBS + 1))
    jobs = slurm_parse.parse_jobs(text, MARK)
    places = slurm_parse.parse_positions(waiting)
    assert (len(jobs), jobs[-1].session_id) == (JOBS, f"{JOBS:032x}")
    assert (places["1", "jupyter"], places[str(JOBS), "jupyter"]) == (1, JOBS)
