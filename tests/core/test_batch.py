import pytest

from jupyterhub_backendai.core.batch import conclude
from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.core.sessions import BATCH, JobState, JobStatus, LaunchRequest, SessionStatus, check_request, parse_request
from jupyterhub_backendai.errors import InvalidParameters
from tests.factories import make_slots

DONE, FAILED, GONE = JobState.DONE, JobState.FAILED, JobState.GONE


@pytest.mark.parametrize(
    ("status", "expected", "word"),
    [
        (JobStatus("1", DONE, exit_code=0), SessionStatus.TERMINATED, ""),
        (JobStatus("1", DONE), SessionStatus.TERMINATED, ""),  # a cluster without accounting knows no exit codes
        (JobStatus("1", DONE, detail="COMPLETED", exit_code=3), SessionStatus.ERROR, "error"),
        (JobStatus("1", FAILED, detail="FAILED", exit_code=1), SessionStatus.ERROR, "error"),
        (JobStatus("1", FAILED, detail="FAILED"), SessionStatus.ERROR, "error"),
        (JobStatus("1", FAILED, signal=15), SessionStatus.ERROR, "signal"),
        (JobStatus("1", FAILED), SessionStatus.ERROR, "killed from outside"),
        (JobStatus("1", FAILED, detail="TIMEOUT", signal=15), SessionStatus.ERROR, "time limit"),
        (JobStatus("1", FAILED, detail="NODE_FAIL"), SessionStatus.ERROR, "node"),
        (JobStatus("1", FAILED, detail="CANCELLED", ended_by=5000), SessionStatus.CANCELLED, "from your account"),
        (JobStatus("1", FAILED, detail="CANCELLED by 0", ended_by=0), SessionStatus.CANCELLED, "administrator"),
        (JobStatus("1", GONE), SessionStatus.ERROR, "does not remember"),
    ],
)
def test_how_a_session_ended(status, expected, word):
    found, reason = conclude(status, 5000)
    assert (found, word in reason) == (expected, True)
    assert bool(reason) == bool(word)


def test_a_request_goes_there_and_back():
    request = LaunchRequest(
        "q", slots=make_slots(), session_type=BATCH, command="echo 하나\nls\t-l", starts_at="+60", depends_on=("a", "b")
    )
    assert parse_request(request.to_options()).command == "echo 하나\nls\t-l"
    assert parse_request(parse_request(request.to_options()).to_options()) == parse_request(request.to_options())
    assert "command" not in LaunchRequest("q").to_options()


@pytest.mark.parametrize("command", ["", " \r\n ", None, 7, ["a", "b"], "x\x07", "\ud800", "é" * 9000])
def test_commands_that_are_none(command):
    with pytest.raises(InvalidParameters) as caught:
        parse_request({"queue": "q", "session_type": "batch", "command": command})
    assert [violation.field for violation in caught.value.violations] == ["command"]


def test_what_was_typed_for_a_batch_session_is_nothing_for_a_notebook():
    assert parse_request({"queue": "q", "session_type": "interactive", "command": "rm -rf x"}).command == ""
    assert parse_request({"queue": "q", "session_type": "batch", "command": "\r\na\r\nb\r\n"}).command == "a\nb"


def test_queues_take_the_kinds_that_they_are_set_to():
    only = Queue("q", "slurm", allowed_session_types=("interactive",))
    found = check_request(LaunchRequest("q", session_type=BATCH, command="x", starts_at="+60"), only, None, ("p",))
    assert [violation.rule for violation in found] == ["session-type"]
    found = check_request(LaunchRequest("q", starts_at="+60"), only, None, ("p",))
    assert [violation.field for violation in found] == ["starts_at"]
