"""What sbatch's answers mean: a job, a refusal, or nobody knows."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.errors import SchedulerUnavailable, SubmitRefused
from jupyterhub_backendai.helper.verbs import is_uncertain, parse_job_id

REFUSED = "sbatch: error: Batch job submission failed: Invalid partition name specified\n"


@pytest.mark.parametrize(("output", "job_id"), [("12\n", "12"), ("12;lab\n", "12"), ("a site's greeting\n12\n", "12")])
def test_an_id_is_a_whole_line(output, job_id):
    assert parse_job_id(0, output, "") == job_id


@pytest.mark.parametrize(
    ("returncode", "output", "errors"),
    [
        (0, "", ""),  # it ended well and said nothing
        (0, "12", ""),  # cut off: it may have been 123
        (0, "\ufffd\ufffd1\x002\x00\n\x00", ""),
        (0, "Submitted\n", ""),
        (-9, "", ""),
        (-9, "12\n", ""),
        (1, "", ""),
        (1, "12\n", "sbatch: error: something after the submission\n"),
        (1, "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"),
        (1, "", "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received\n"),
    ],
)
def test_an_answer_that_says_neither_may_have_left_a_job(returncode, output, errors):
    assert is_uncertain(returncode, output, errors)
    with pytest.raises(SchedulerUnavailable):
        parse_job_id(returncode, output, errors)


def test_a_refusal_has_a_code_and_words():
    assert not is_uncertain(1, "", REFUSED)
    with pytest.raises(SubmitRefused) as refused:
        parse_job_id(1, "", REFUSED)
    assert refused.value.params["reason"] == "Batch job submission failed: Invalid partition name specified"
