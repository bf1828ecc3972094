from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_backendai.backends import slurm_parse as parse
from jupyterhub_backendai.core.sessions import JobState

ASSETS = Path(__file__).parent.parent / "assets" / "slurm" / "22.05"
MARK = "a1b2c3d4e5f60718"
SESSION = "0123456789abcdef0123456789abcdef"


def recorded(name: str) -> str:
    return (ASSETS / f"{name}.txt").read_text()


def test_recorded_jobs():
    jobs = {job.status.job_id: job for job in parse.parse_jobs(recorded("jobs"), MARK)}
    assert set(jobs) == {"118", "119", "120", "121", "122", "123", "124"}
    running = jobs["118"]
    assert (running.session_id, running.partition) == (SESSION, "jupyter")
    assert (running.status.state, running.status.user, running.status.node) == (JobState.RUNNING, "kim01", "jnode01")
    waiting = jobs["121"].status
    assert (waiting.state, waiting.reason, waiting.node, waiting.start_at) == (JobState.PENDING, "Resources", "", None)
    assert jobs["123"].status.start_at > running.status.start_at
    assert jobs["123"].session_id == ""  # a comment that only begins like a session


def test_other_peoples_comments_cannot_add_or_change_a_job():
    comments = [
        f"{SESSION}|x",
        f"\n{MARK[:-1]}0|7|kim01|CANCELLED|n|2026-11-21T01:58:34|jupyter|None|{MARK[:-1]}0|{SESSION}",
        "a\n7|kim01|CANCELLED",
        "|||||||",
        "(null)",
        "",
    ]
    text = "".join(
        f"{MARK}|{number}|choi02|RUNNING|n1|N/A|jupyter|None|{MARK}|{comment[:33]:33}\n" for number, comment in enumerate(comments, 10)
    )
    text += f"{MARK}|7|kim01|RUNNING|n1|N/A|jupyter|None|{MARK}|{SESSION} \n"
    jobs = parse.parse_jobs(text, MARK)
    assert [job.status.job_id for job in jobs] == ["10", "11", "12", "13", "14", "15", "7"]
    assert [job.session_id for job in jobs] == [""] * 6 + [SESSION]
    assert jobs[-1].status.user == "kim01"


def test_a_reason_is_kept_whole():
    reason = "Job's account not permitted to use this partition (amd_a100nv_8 allows paid not free)"
    (job,) = parse.parse_jobs(f"{MARK}|7|kim01|PENDING|n/a|N/A|amd|{reason}|{MARK}|{SESSION} \n", MARK)
    assert job.status.reason == reason
    (job,) = parse.parse_jobs(f"{MARK}|7|kim01|PENDING|n/a|N/A|amd|a|b|{MARK}|{SESSION} \n", MARK)
    assert job.status.reason == "a|b"


@pytest.mark.parametrize(
    "text", ["", "slurm_load_jobs error", f"{MARK}|", f"{MARK}|1|2|{MARK}|x", f"{MARK}|1_2|u|RUNNING|n|N/A|p|r|{MARK}|x"]
)
def test_what_is_no_record_of_ours_is_left_out(text):
    assert parse.parse_jobs(text, MARK) == []


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PENDING", JobState.PENDING),
        ("CONFIGURING", JobState.PENDING),
        ("REQUEUED", JobState.PENDING),
        ("SUSPENDED", JobState.RUNNING),
        ("COMPLETING", JobState.RUNNING),
        ("COMPLETED", JobState.DONE),
        ("CANCELLED by 10001", JobState.FAILED),
        ("CANCELLED+", JobState.FAILED),
        ("NODE_FAIL", JobState.FAILED),
        ("TIMEOUT", JobState.FAILED),
        ("OUT_OF_MEMORY", JobState.FAILED),
        ("PREEMPTED", JobState.FAILED),
        ("BOOT_FAIL", JobState.FAILED),
        ("DEADLINE", JobState.FAILED),
        ("A_WORD_OF_TOMORROW", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
    ],
)
def test_states(word, state):
    assert parse.parse_state(word) is state


def test_positions_count_by_priority_then_age_in_each_partition():
    positions = parse.parse_positions(recorded("waiting"))
    assert positions[("121", "amd_a100nv_8")] == 1
    assert positions[("122", "amd_a100nv_8")] == 2
    assert [positions[(job, "jupyter")] for job in ("119", "123", "124")] == [1, 2, 3]
    assert parse.parse_positions("9|5|a,b\n8_3|7|b\n8_4|7|b\nnonsense\n7|x|a\n") == {("8", "b"): 1, ("9", "a"): 1, ("9", "b"): 3}


def test_recorded_accounting():
    known = parse.parse_accounting(recorded("accounting"))
    assert (known["1"].state, known["1"].exit_code, known["1"].node) == (JobState.DONE, 0, "jnode01")
    assert (known["118"].detail, known["118"].ended_by, known["118"].user) == ("CANCELLED", 10001, "kim01")
    assert known["123"].node == ""  # "None assigned"
    (killed,) = parse.parse_accounting("9|kim01|OUT_OF_MEMORY|0:125|n1\n9.batch|kim01|FAILED|1:0|n1\n").values()
    assert (killed.exit_code, killed.signal) == (0, 125)


def test_commands_are_argument_lists_with_checked_words():
    assert parse.build_list("/opt/slurm/bin", "backendai-hub", "m")[:6] == [
        "/opt/slurm/bin/squeue",
        "-a",
        "-t",
        "all",
        "-n",
        "backendai-hub",
    ]
    assert parse.build_find("/usr/bin", ["1", "2"], "m")[5] == "1,2"
    assert parse.build_node("/usr/bin", "jnode01")[-1] == "jnode01"
    for node in ("", "-v", "a b", "n\n", "(null)", "jnode[01-02]"):
        with pytest.raises(ValueError):
            parse.build_node("/usr/bin", node)
    assert parse.parse_address(recorded("node-shard")) == "127.0.0.1"
    assert [len(part) for part in parse.chunks(str(number) for number in range(1100))] == [500, 500, 100]


HEAD = f"{MARK}|JOBID|USER|STATE|EXEC_HOST|START_TIME|PARTITION|REASON|{MARK}|{'COMMENT':>33}\n"


def test_only_an_answer_with_its_headline_and_its_end_is_whole():
    line = f"{MARK}|7|kim01|RUNNING|n1|N/A|jupyter|None|{MARK}|{SESSION} \n"
    for whole in (HEAD, HEAD + line, "CLUSTER: lab\n" + HEAD + line):
        assert parse.is_whole_list(whole, MARK)
    for part in (
        "",
        line,
        HEAD[:20],
        HEAD[:-1],
        (HEAD + line)[:-9],
        HEAD.encode("utf-16").decode(errors="replace"),
        HEAD.replace(MARK, "x"),
    ):
        assert not parse.is_whole_list(part, MARK)
    accounts = "JobIDRaw|User|State|ExitCode|NodeList\n7|kim01|RUNNING|0:0|n1\n"
    assert parse.is_whole_accounting(accounts)
    assert not any(parse.is_whole_accounting(part) for part in ("", accounts[:-1], accounts.partition("\n")[2]))


def test_recorded_states_that_are_neither_waiting_nor_running():
    """Suspended, put back (and held), preempted, its node failed, ending on a node that died: Slurm 22.05 itself made them all."""
    jobs = {job.status.job_id: job.status for job in parse.parse_jobs(recorded("states"), MARK)}
    assert parse.is_whole_list(recorded("states"), MARK)
    assert {id_: (job.detail, job.state) for id_, job in jobs.items()} == {
        "1": ("SUSPENDED", JobState.RUNNING),
        "2": ("PENDING", JobState.PENDING),  # put back
        "3": ("PENDING", JobState.PENDING),  # put back and held
        "4": ("SPECIAL_EXIT", JobState.PENDING),
        "5": ("RUNNING", JobState.RUNNING),  # --no-requeue: it cannot be put back
        "6": ("NODE_FAIL", JobState.FAILED),
        "7": ("PREEMPTED", JobState.FAILED),
        "8": ("COMPLETING", JobState.RUNNING),
        "9": ("RUNNING", JobState.RUNNING),
    }
    assert (jobs["1"].node, jobs["2"].node, jobs["2"].reason) == ("fn1", "", "BeginTime")
    known = parse.parse_accounting(recorded("states-accounting"))
    assert parse.is_whole_accounting(recorded("states-accounting"))
    assert {id_: job.state for id_, job in known.items()} == {id_: job.state for id_, job in jobs.items() if id_ not in {"4", "8"}} | {
        "4": JobState.PENDING,
        "8": JobState.FAILED,
    }  # accounting knows of the end before the node has cleaned up
