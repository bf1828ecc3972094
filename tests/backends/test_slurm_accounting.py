"""What jobs have used, from recorded answers of sacct."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_backendai.backends.commands import CommandFailed, CommandResult
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.backends.slurm_accounting import build_usage, parse_tres, parse_usage
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.errors import SchedulerUnavailable
from tests.factories import GIB

TIMES = "2026-11-20T10:00:00|2026-11-20T10:20:00"
RECORDED = Path(__file__).parent.parent / "assets/slurm/22.05/usage.txt"


def test_usage_of_slurm_22_05():
    found = parse_usage(RECORDED.read_text())
    assert sorted(found, key=int) == ["1", "8", "12", "120", "129", "138", "142", "798", "8646"]
    assert (found["1"].seconds, found["1"].gpu_type, found["1"].user) == (3, "v100", "kim01")
    assert found["1"].slots == {"cpu": 4, "mem": 16000 * 2**20, "cuda.device": 1}
    assert (found["8"].seconds, dict(found["8"].slots), found["8"].is_over) == (0, {}, True)
    assert found["120"].slots == {"cpu": 64, "mem": 250 * GIB, "cuda.device": 8}
    assert "cuda.shares" not in found["129"].slots
    assert all(job.is_over and not job.is_node_failure for job in found.values())


@pytest.mark.parametrize(
    ("state", "is_over", "is_node_failure"),
    [
        ("RUNNING", False, False),
        ("PENDING", False, False),
        ("SUSPENDED", False, False),
        ("a state of tomorrow", False, False),
        ("NODE_FAIL", True, True),
        ("BOOT_FAIL", True, True),
        ("OUT_OF_MEMORY", True, False),
        ("PREEMPTED", True, False),
        ("CANCELLED by 0", True, False),
    ],
)
def test_states(state, is_over, is_node_failure):
    job = parse_usage(f"7|kim01|{state}|60|cpu=1,mem=1G,node=1|{TIMES}\n")["7"]
    assert (job.is_over, job.is_node_failure) == (is_over, is_node_failure)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "7|kim01|COMPLETED|60",
        "7|kim01|COMPLETED|60|cpu=1",
        f"7|kim01|COMPLETED||cpu=1|{TIMES}",
        f"7.batch|kim01|COMPLETED|60|cpu=1|{TIMES}",
        "\x00\xff|",
    ],
)
def test_a_line_that_was_cut_off_is_no_line(line):
    assert parse_usage(line) == {}


def test_a_job_that_its_owner_puts_back_is_charged_for_every_run():
    """Recorded: sbatch --no-requeue, then scontrol update Requeue=1 and scontrol requeue by the owner, and scancel."""
    job = parse_usage(RECORDED.read_text())["8646"]
    assert (job.seconds, job.is_over, dict(job.slots)) == (6, True, {"cpu": 1, "mem": 100 * 2**20})


def test_runs_that_end_with_their_node_and_jobs_of_the_same_id_are_not_charged():
    lines = [
        "7|kim01|COMPLETED|5000|cpu=8,node=1|2026-11-01T10:00:00|2026-11-01T12:00:00",  # Slurm has begun to count anew since
        "7|kim01|REQUEUED|100|cpu=2,node=1|2026-11-20T10:00:00|2026-11-20T10:02:00",
        "7|kim01|NODE_FAIL|1000|cpu=2,node=1|2026-11-20T10:02:01|2026-11-20T10:20:00",
        "7|kim01|COMPLETED|30|cpu=2,node=1|2026-11-20T10:20:00|2026-11-20T10:25:00",
    ]
    job = parse_usage("".join(f"{line}\n" for line in reversed(lines)))["7"]
    assert (job.seconds, job.is_node_failure, dict(job.slots)) == (130, False, {"cpu": 2})
    assert parse_usage(lines[1].replace("|kim01|", "|lee01|") + "\n" + lines[3].replace("10:20:00|", "10:02:00|") + "\n")["7"].seconds == 30


def test_amounts_that_are_none():
    assert parse_tres("cpu=x,mem=,gres/gpu:a100=2,node=1,=,")[0] == {"cuda.device": 2}
    assert parse_tres("mem=1.50G")[0] == {"mem": GIB + GIB // 2}


def make_backend(answer):
    backend = SlurmBackend(BackendAI())

    async def run(_arguments):
        if isinstance(answer, Exception):
            raise answer
        return answer

    backend._run = run
    return backend


async def test_a_cluster_without_accounting_says_so():
    disabled = CommandResult(1, "", "Slurm accounting storage is disabled\n")
    assert await make_backend(disabled).read_usage(["7"]) is None
    assert (await make_backend(CommandResult(0, RECORDED.read_text(), "")).read_usage(["1"]))["1"].seconds == 3


@pytest.mark.parametrize(
    "answer",
    [
        CommandResult(1, "", "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection"),
        CommandResult(0, "", "sacct: error: Connection refused"),
        CommandFailed("%(program)s gave no answer", program="sacct"),
    ],
)
async def test_an_accounting_that_does_not_answer_is_no_answer(answer):
    with pytest.raises(SchedulerUnavailable):
        await make_backend(answer).read_usage(["7"])


def test_the_command():
    assert build_usage("/usr/bin", ["1", "2"])[:7] == ["/usr/bin/sacct", "-n", "-X", "-P", "-D", "-j", "1,2"]
