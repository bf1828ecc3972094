from dataclasses import replace

import pytest

from jupyterhub_backendai.core.reconcile import CONFIRM_S, GRACE_S, Cancel, Row, Server, decide
from jupyterhub_backendai.core.sessions import JobState, JobStatus

AT = 1_000_000.0
OLD, NEW = AT - GRACE_S - 1, AT - GRACE_S + 1
SINCE = AT - CONFIRM_S
UP, STARTING = Server("kim", ""), Server("kim", "", is_ready=False, is_pending=True)
CANCEL = Cancel("slurm", "a", "7")


def live(session_id="a", at=OLD, engine="slurm", name=""):
    return Row(session_id, "kim", name, engine, True, at)


def over(session_id="a", at=OLD, engine="slurm", name=""):
    return Row(session_id, "kim", name, engine, False, at)


def jobs(state=JobState.RUNNING, session_id="a"):
    return {"slurm": {session_id: JobStatus("7", state)}}


NO_JOBS = {"slurm": {}}
NOT_READ = {"slurm": None}

CASES = {
    "all agree": ([UP], jobs(), [live()], {}),
    "a start that is still pending": ([STARTING], jobs(JobState.PENDING), [live()], {}),
    "a live row without a server or job": ([], NO_JOBS, [live()], {"release": ("a",)}),
    "a live row without a server, its job runs": ([], jobs(), [live()], {"release": ("a",), "cancel": (CANCEL,)}),
    "a live row without a server, its job waits": ([], jobs(JobState.PENDING), [live()], {"release": ("a",), "cancel": (CANCEL,)}),
    "a live row without a server, its job is over": ([], jobs(JobState.DONE), [live()], {"release": ("a",)}),
    "a live row whose job cannot be told": ([], jobs(JobState.UNKNOWN), [live()], {}),
    "a live row of an engine that was not read": ([], NOT_READ, [live()], {}),
    "a live row that was just admitted": ([], NO_JOBS, [live(at=NEW)], {}),
    "a local live row without a server": ([], NO_JOBS, [live(engine="local")], {"release": ("a",)}),
    "a live batch row, which never has a server": ([], jobs(), [replace(live(name="batch/a"), is_batch=True)], {}),
    "a live batch row whose job is gone": ([], NO_JOBS, [replace(live(name="batch/a"), is_batch=True)], {}),
    "a batch row that is over, its job runs": ([], jobs(), [replace(over(name="batch/a"), is_batch=True)], {"cancel": (CANCEL,)}),
    "a row that is over, its job runs, no server": ([], jobs(), [over()], {"cancel": (CANCEL,)}),
    "a row that is over, its job ends just now": ([], jobs(), [over(at=NEW)], {}),
    "a row that is over with its job over": ([], jobs(JobState.GONE), [over()], {}),
    "a row that is over of an engine that was not read": ([UP], NOT_READ, [over()], {}),
    "the server of a row that is over is up": ([UP], jobs(), [over()], {"revive": ("a",)}),
    "the server of a row that is over starts again": ([STARTING], jobs(), [over()], {}),
    "a job of an older session of a server that has a new one": (
        [UP],
        {"slurm": {"a": JobStatus("7", JobState.RUNNING), "b": JobStatus("8", JobState.RUNNING)}},
        [over("a"), live("b")],
        {"cancel": (CANCEL,)},
    ),
    "only the newest of a server's over sessions can be its own": (
        [UP],
        {"slurm": {"a": JobStatus("7", JobState.RUNNING), "b": JobStatus("8", JobState.RUNNING)}},
        [over("a", OLD - 50), over("b")],
        {"cancel": (CANCEL,), "revive": ("b",)},
    ),
    "a local server of a row that is over is up": ([UP], NO_JOBS, [over(engine="local")], {"revive": ("a",)}),
    "a job that nobody knows": ([], jobs(session_id="stranger"), [], {"strangers": ("stranger",)}),
    "a job that nobody knows and is over": ([], jobs(JobState.DONE, "stranger"), [], {}),
    "servers of one user are told apart": ([Server("kim", "two")], NO_JOBS, [live(), live("b", name="two")], {"release": ("a",)}),
}


@pytest.mark.parametrize("case", CASES)
def test_plan(case):
    servers, found, rows, expected = CASES[case]
    suspects = {row.session_id: SINCE for row in rows}
    plan = decide(servers, found, rows, suspects, AT)
    assert {name: getattr(plan, name) for name in ("cancel", "release", "revive", "strangers") if getattr(plan, name)} == expected


@pytest.mark.parametrize("case", [case for case, (*_, expected) in CASES.items() if "strangers" not in expected])
def test_nothing_is_done_the_first_time_that_it_is_seen(case):
    servers, found, rows, _ = CASES[case]
    plan = decide(servers, found, rows, {}, AT)
    assert (plan.cancel, plan.release, plan.revive) == ((), (), ())
    assert set(plan.suspects.values()) <= {AT}


def test_a_suspect_that_is_explained_starts_anew():
    first = decide([], NO_JOBS, [live()], {}, AT)
    explained = decide([UP], jobs(), [live()], first.suspects, AT + 60)
    again = decide([], NO_JOBS, [live()], explained.suspects, AT + 120)
    assert (explained.suspects, again.release) == ({}, ())
    assert decide([], NO_JOBS, [live()], again.suspects, AT + 180).release == ("a",)
