from __future__ import annotations

import asyncio

import pytest

from jupyterhub_backendai.backends import slurm_privacy, slurm_reader
from jupyterhub_backendai.backends.commands import CommandResult
from jupyterhub_backendai.backends.slurm_reader import SlurmReader
from jupyterhub_backendai.core.sessions import JobState
from jupyterhub_backendai.errors import SchedulerUnavailable
from tests.backends.fake_slurm import DOWN, MUNGE, FakeJob, FakeSlurm

ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture
def slurm() -> FakeSlurm:
    return FakeSlurm()


@pytest.fixture
async def reader(slurm, monkeypatch):
    monkeypatch.setattr(slurm_reader, "MIN_GAP_S", 0.0)
    reader = SlurmReader(slurm.run, "/usr/bin", "backendai-hub", starting_s=3600, steady_s=3600, clock=slurm.clock)
    yield reader
    await reader.close()


async def later(slurm, reader, seconds, session=ONE, job_id="7", user="kim01"):
    """The status after a reading that many seconds later."""
    slurm.now += seconds
    await reader.refresh()
    return await reader.status(session, job_id, user)


async def test_a_job_is_found_by_its_id_and_by_its_session(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE)
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.RUNNING
    found = await reader.status(ONE, "", "kim01")
    assert (found.job_id, found.node, found.state) == ("7", "jnode01", JobState.RUNNING)


async def test_two_thousand_askers_cost_no_more_than_one(slurm, reader):
    for number in range(1, 2001):
        slurm.jobs[str(number)] = FakeJob(comment=f"{number:032x}")
    await reader.status(f"{1:032x}", "1", "kim01")
    before = slurm.commands.copy()
    answers = await asyncio.gather(*(reader.status(f"{number:032x}", str(number), "kim01") for number in range(1, 2001)))
    assert {answer.state for answer in answers} == {JobState.RUNNING}
    assert slurm.commands == before


async def test_waiting_callers_share_one_reading(slurm, reader):
    await asyncio.gather(*(reader.refresh() for _ in range(50)))
    assert slurm.commands["squeue"] <= 2


async def test_an_imitation_is_not_believed(slurm, reader):
    slurm.jobs["9"] = FakeJob(comment=ONE, user="choi02", state="CANCELLED")
    slurm.jobs["5"] = FakeJob(comment=ONE, user="choi02", state="CANCELLED")
    slurm.jobs["7"] = FakeJob(comment=ONE)
    slurm.jobs["8"] = FakeJob(comment=ONE, state="FAILED")  # the user's own second job
    assert (await reader.status(ONE, "", "kim01")).job_id == "7"
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.RUNNING
    assert (await reader.status(TWO, "9", "kim01")).state is JobState.UNKNOWN


async def test_a_renamed_job_is_not_lost(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE)
    await reader.status(ONE, "7", "kim01")
    slurm.jobs["7"].name, slurm.jobs["7"].comment = "my-job", "mine"
    assert (await later(slurm, reader, 60)).state is JobState.RUNNING
    assert (await later(slurm, reader, 60)).state is JobState.RUNNING


@pytest.mark.parametrize("error", [DOWN, MUNGE, "slurm_load_jobs error: Socket timed out on send/recv operation"])
async def test_a_scheduler_that_does_not_answer_is_unknown_and_never_dead(slurm, reader, error):
    slurm.jobs["7"] = FakeJob(comment=ONE)
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.RUNNING
    slurm.controller_error = error
    for _ in range(5):
        unknown = await later(slurm, reader, 600)
        assert (unknown.state, unknown.node) == (JobState.UNKNOWN, "jnode01")
    assert (await reader.status(TWO, "8", "kim02")).state is JobState.UNKNOWN
    with pytest.raises(SchedulerUnavailable):
        await reader.jobs()
    slurm.controller_error = ""
    assert (await later(slurm, reader, 2)).state is JobState.RUNNING


async def test_a_command_that_hangs_is_unknown(slurm, reader):
    slurm.hangs = True
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 600)).state is JobState.UNKNOWN


async def test_gone_needs_two_answers_ten_seconds_apart(slurm, reader):
    slurm.jobs["1"] = FakeJob()
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 9)).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 2)).state is JobState.GONE


async def test_gone_needs_accounting_too(slurm, reader):
    slurm.accounting_error = "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection"
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.UNKNOWN
    for _ in range(3):
        assert (await later(slurm, reader, 60)).state is JobState.UNKNOWN
    slurm.accounting_error = ""
    assert (await later(slurm, reader, 60)).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 11)).state is JobState.GONE


async def test_without_accounting_the_controllers_two_answers_are_the_proof(slurm, reader):
    slurm.accounting_error = "Slurm accounting storage is disabled"
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 11)).state is JobState.GONE


async def test_a_job_that_accounting_calls_running_is_not_gone(slurm, reader):
    slurm.accounts["7"] = "7|kim01|RUNNING|0:0|jnode01"
    for _ in range(4):
        assert (await later(slurm, reader, 60)).state is JobState.UNKNOWN


async def test_a_forgotten_job_ends_as_accounting_says(slurm, reader):
    slurm.accounts["7"] = "7|kim01|TIMEOUT|0:0|jnode01"
    status = await reader.status(ONE, "7", "kim01")
    assert (status.state, status.detail) == (JobState.FAILED, "TIMEOUT")


async def test_somebody_elses_record_under_a_reused_id_is_not_believed(slurm, reader):
    slurm.accounts["7"] = "7|choi02|COMPLETED|0:0|jnode01"
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 11)).state is JobState.GONE


async def test_an_end_is_told_with_what_accounting_adds_and_stays(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE)
    await reader.status(ONE, "7", "kim01")
    slurm.jobs["7"].state = "CANCELLED"
    slurm.accounts["7"] = "7|kim01|CANCELLED by 0|0:15|jnode01"
    over = await later(slurm, reader, 2)
    assert (over.state, over.detail, over.ended_by, over.signal) == (JobState.FAILED, "CANCELLED", 0, 15)
    slurm.jobs.clear()
    slurm.accounts.clear()
    slurm.controller_error = DOWN
    assert (await later(slurm, reader, 3600)).ended_by == 0


async def test_an_end_is_told_when_accounting_lags_or_is_away(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE, state="TIMEOUT", reason="TimeLimit")
    slurm.accounts["7"] = "7|kim01|RUNNING|0:0|jnode01"
    assert (await reader.status(ONE, "7", "kim01")).detail == "TIMEOUT"
    slurm.accounting_error = "cannot connect"
    slurm.jobs["8"] = FakeJob(comment=TWO, state="FAILED")
    status = await reader.status(TWO, "8", "kim01")
    assert (status.state, status.exit_code) == (JobState.FAILED, None)


async def test_completing_counts_as_running_but_not_for_ever(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE, state="COMPLETING")
    first = await reader.status(ONE, "7", "kim01")
    assert (first.state, first.detail) == (JobState.RUNNING, "COMPLETING")
    assert (await later(slurm, reader, 59)).state is JobState.RUNNING
    assert (await later(slurm, reader, 2)).state is JobState.DONE


async def test_a_waiting_job_has_its_position_and_reason(slurm, reader):
    slurm.jobs = {
        "5": FakeJob(user="lee01", name="other", state="PENDING", priority=900),
        "6": FakeJob(user="lee02", name="other", state="PENDING", partition="bigmem"),
        "7": FakeJob(comment=ONE, state="PENDING", node="n/a", reason="Priority"),
    }
    reader.starting(ONE)
    status = await reader.status(ONE, "7", "kim01")
    assert (status.state, status.position, status.reason) == (JobState.PENDING, 2, "Priority")
    slurm.jobs["5"].state = "RUNNING"
    assert (await later(slurm, reader, 2)).position == 1
    slurm.jobs["7"].state = "RUNNING"
    before = slurm.commands["squeue"]
    assert (await later(slurm, reader, 2)).position is None
    assert slurm.commands["squeue"] - before <= 2  # positions are asked for only while something waits


async def test_a_session_without_an_id_is_gone_after_long_enough(slurm, reader):
    assert (await reader.status(ONE, "", "kim01")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 39, job_id="")).state is JobState.UNKNOWN
    slurm.controller_error = DOWN
    assert (await later(slurm, reader, 60, job_id="")).state is JobState.UNKNOWN
    slurm.controller_error = ""  # a controller that was stopped may find the job in its mailbox only now
    for seconds in (2, 39):
        assert (await later(slurm, reader, seconds, job_id="")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 2, job_id="")).state is JobState.GONE
    slurm.jobs["7"] = FakeJob(comment=ONE)
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.RUNNING


async def test_a_state_word_of_tomorrow_is_unknown(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE, state="HIBERNATING")
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 3600)).state is JobState.UNKNOWN


async def test_it_reads_by_itself_often_while_something_starts_and_rests_when_nobody_asks(slurm, monkeypatch):
    monkeypatch.setattr(slurm_reader, "MIN_GAP_S", 0.0)
    reader = SlurmReader(slurm.run, "/usr/bin", "backendai-hub", starting_s=0.01, steady_s=3600, clock=slurm.clock)
    slurm.jobs["7"] = FakeJob(comment=ONE, state="PENDING")
    reader.starting(ONE)
    await reader.status(ONE, "7", "kim01")
    slurm.jobs["7"].state = "RUNNING"
    async with asyncio.timeout(60):
        while (await reader.status(ONE, "7", "kim01")).state is not JobState.RUNNING:
            await asyncio.sleep(0)
    reader.starting(TWO)
    before = slurm.commands["squeue"]
    async with asyncio.timeout(60):
        while slurm.commands["squeue"] < before + 5:
            await asyncio.sleep(0.001)
    slurm.now += 301  # nobody asked for five minutes, and nothing can be starting that long unseen
    await reader.refresh()
    await reader.refresh()
    assert reader._pause() is None
    await reader.close()


async def test_the_pace_slows_down_where_a_reading_takes_long(slurm):
    reader = SlurmReader(slurm.run, "/usr/bin", "backendai-hub", starting_s=2, steady_s=10, clock=slurm.clock)
    assert reader._pause() is None
    slurm.jobs["7"] = FakeJob(comment=ONE, state="PENDING")
    reader.starting(ONE)
    await reader.status(ONE, "7", "kim01")
    paces = []
    for reader._reading_s in (0.02, 0.1, 9.0):
        paces.append(reader._pause() + slurm_reader.MIN_GAP_S)
    reader.started(ONE)  # also while its job waits: somebody may have put it back
    await reader.refresh()
    reader._reading_s = 0.0
    assert [*paces, reader._pause() + slurm_reader.MIN_GAP_S] == pytest.approx([2, 5, 10, 10])
    await reader.close()


def empty(_program, _answer):
    return CommandResult(0, "", "")


def cut(_program, answer):
    return CommandResult(0, answer.output[: len(answer.output) // 2 + 3], "")


def first_line(_program, answer):
    return CommandResult(0, answer.output.partition("\n")[0] + "\n", "")


def utf16(_program, answer):
    return CommandResult(0, answer.output.encode("utf-16").decode(errors="replace"), "")


def noise(_program, _answer):
    return CommandResult(0, bytes(range(256)).decode(errors="replace") * 9, "")


def odd(program, _answer):
    return CommandResult(1, "", f"{program}: something odd happened")


@pytest.mark.parametrize("garble", [empty, cut, utf16, noise, odd])
async def test_an_answer_that_is_none_is_unknown_for_however_long(slurm, reader, garble):
    slurm.jobs["7"] = FakeJob(comment=ONE)
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.RUNNING
    slurm.garble = garble
    for _ in range(4):
        assert (await later(slurm, reader, 60)).state is JobState.UNKNOWN
        assert (await later(slurm, reader, 60, session=TWO, job_id="")).state is JobState.UNKNOWN
    slurm.garble = None
    assert (await later(slurm, reader, 2)).state is JobState.RUNNING


async def test_a_list_that_ends_too_early_is_no_proof(slurm, reader):
    """The headline is there, the jobs are not; even accounting may have been cut the same way."""
    slurm.jobs["7"] = FakeJob(comment=ONE)
    slurm.accounts["7"] = "7|kim01|RUNNING|0:0|jnode01"
    await reader.status(ONE, "7", "kim01")
    slurm.garble = first_line
    for _ in range(4):
        assert (await later(slurm, reader, 600)).state is JobState.UNKNOWN
    slurm.garble = None
    assert (await later(slurm, reader, 2)).state is JobState.RUNNING


async def test_a_job_that_got_the_id_of_a_lost_one_is_not_the_other_session(slurm, reader):
    slurm.jobs["7"] = FakeJob(comment=ONE)
    await reader.status(ONE, "7", "kim01")
    slurm.jobs["7"] = FakeJob(comment=TWO)  # the controller was killed, forgot job 7, and counted on
    assert (await reader.status(TWO, "7", "kim01")).state is JobState.RUNNING
    assert (await later(slurm, reader, 2)).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 11)).state is JobState.GONE
    assert (await reader.status(TWO, "7", "kim01")).state is JobState.RUNNING
    slurm.jobs["7"].state = "FAILED"
    assert (await later(slurm, reader, 2, session=TWO)).state is JobState.FAILED


@pytest.mark.parametrize("others", [{}, {"8": FakeJob(comment=TWO, user="lee01")}])
async def test_a_job_that_the_controller_lost_and_accounting_keeps_for_ever_is_gone_in_the_end(slurm, reader, others):
    slurm.jobs = {"7": FakeJob(comment=ONE), **others}
    slurm.accounts["7"] = "7|kim01|RUNNING|0:0|jnode01"
    await reader.status(ONE, "7", "kim01")
    del slurm.jobs["7"]
    for seconds in (10, 200, 99):
        assert (await later(slurm, reader, seconds)).state is JobState.UNKNOWN
    assert (await later(slurm, reader, 20)).state is JobState.GONE


async def test_a_job_that_may_be_hidden_from_us_is_never_gone(slurm, reader, monkeypatch):
    monkeypatch.setattr(slurm_privacy, "own_account", lambda: "hub")
    slurm.config = "PrivateData             = jobs\n"
    slurm.accounts["7"] = "7|kim01|RUNNING|0:0|jnode01"
    for _ in range(5):
        assert (await later(slurm, reader, 600)).state is JobState.UNKNOWN


async def test_a_session_that_was_read_before_anybody_asked_is_read_again(slurm):
    """A reading that nobody waits for (a submission wakes it) must not be the last one of those who ask afterwards."""
    reader = SlurmReader(slurm.run, "/usr/bin", "backendai-hub", starting_s=0.01, steady_s=0.01, clock=slurm.clock)
    slurm.jobs["7"] = FakeJob(comment=ONE, state="PENDING")
    await reader.refresh()
    async with asyncio.timeout(60):
        while not reader._rests:
            await asyncio.sleep(0.01)
    assert (await reader.status(ONE, "7", "kim01")).state is JobState.PENDING
    slurm.jobs["7"].state = "RUNNING"
    async with asyncio.timeout(60):
        while (await reader.status(ONE, "7", "kim01")).state is not JobState.RUNNING:
            await asyncio.sleep(0.01)
    await reader.close()
