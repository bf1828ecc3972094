"""What slurmrestd's versions differ in: recorded answers of those that can be had, the published forms of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyterhub_backendai.backends import slurm_rest_versions as versions

RECORDED = Path(__file__).parent.parent / "assets" / "slurm" / "22.05" / "slurmrestd"
FIELDS = {
    "session_id": "0" * 32,
    "job_name": "backendai-hub",
    "partition": "jupyter",
    "account": "",
    "cpus": 4,
    "mem_bytes": 2**30 + 1,
    "gpus": 0,
    "gpu_type": "",
    "time_s": 61,
    "environment": {"JUPYTERHUB_API_TOKEN": "s3cret"},
    "command": ["python", "s3cret-word"],
}


def recorded(version: str, name: str) -> dict:
    return json.loads((RECORDED / version / f"{name}.json").read_text())["answer"]


@pytest.mark.parametrize("version", ["v0.0.36", "v0.0.37", "v0.0.38"])
def test_recorded_answers_mean_the_same_in_each_version(version):
    answer = recorded(version, "submit")
    assert versions.parse_problem(answer) is None
    assert versions.parse_submit(answer).isdigit()
    refused = versions.parse_problem(recorded(version, "submit-refused"))
    assert (refused.number, refused.words, refused.is_unreachable) == (2000, "Invalid partition name specified", False)
    unknown = versions.parse_problem(recorded(version, "cancel-unknown"))
    assert (unknown.is_over, unknown.words) == (True, "Invalid job id specified")
    other = versions.parse_problem(recorded(version, "cancel-other"))
    assert (other.is_over, other.is_unreachable, other.words) == (False, False, "Access/permission denied")
    job = versions.parse_job(recorded(version, "job"))
    assert (job.uid, job.name, job.comment, job.is_running) == (10001, "backendai-x", "00112233445566778899aabbccddeeff", True)


@pytest.mark.parametrize("recording", ["v0.0.36/submit-away", "v0.0.38/submit-away", "v0.0.38/cancel-away"])
def test_a_controller_that_is_away_is_no_refusal(recording):
    problem = versions.parse_problem(recorded(*recording.split("/")))
    assert (problem.is_unreachable, problem.is_certain, problem.is_over) == (True, True, False)


def test_other_complaints_keep_their_words():
    assert versions.parse_problem(recorded("v0.0.38", "submit-too-big")).words == "Requested node configuration is not available"
    assert "tres_per_job" in versions.parse_problem(recorded("v0.0.38", "submit-unknown-key")).words
    assert versions.parse_problem(recorded("v0.0.38", "update-forbidden")).words == "Access/permission denied"
    for name in ("update", "cancel"):
        assert versions.parse_problem(recorded("v0.0.38", name)) is None


def test_answers_of_the_generated_versions():
    """As slurmrestd 23.02 to 24.11 describe them: a list of states, the job's id once or twice."""
    answer = {"result": {"job_id": 12, "step_id": "batch", "error_code": 0}, "job_id": 12, "errors": [], "warnings": [{"description": "x"}]}
    assert (versions.parse_submit(answer), versions.parse_problem(answer)) == ("12", None)
    assert versions.parse_submit({"result": {"job_id": 13}}) == "13"
    job = {"job_state": ["RUNNING"], "user_id": 10001, "user_name": "kim01", "name": "n", "comment": "c"}
    assert versions.parse_job({"jobs": [job]}) == versions.RestJob(10001, "n", "c", True)
    assert not versions.parse_job({"jobs": [job | {"job_state": ["PENDING"]}]}).is_running
    timed_out = {"errors": [{"error_number": 5004, "error": "Socket timed out on send/recv operation", "description": "", "source": "x"}]}
    problem = versions.parse_problem(timed_out)
    assert (problem.is_unreachable, problem.is_certain) == (True, False)


@pytest.mark.parametrize("answer", [{}, {"job_id": 0}, {"job_id": True}, {"job_id": "12; id"}, {"result": []}, {"result": {"job_id": -1}}])
def test_what_is_no_job_id(answer):
    assert versions.parse_submit(answer) == ""


@pytest.mark.parametrize("answer", [{}, {"jobs": []}, {"jobs": {}}, {"jobs": ["x"]}, {"jobs": None}])
def test_what_is_no_job(answer):
    assert versions.parse_job(answer) is None


@pytest.mark.parametrize("number", versions.KNOWN)
def test_nothing_of_the_users_is_in_what_is_submitted(number):
    chosen = FIELDS | {"account": "paid", "qos": "q", "reservation": "r", "constraint": "a100", "gpus": 2, "gpu_type": "a100"}
    body = versions.build_submit(number, chosen, "#!/bin/sh\n", {"BACKENDAI_TICKET": "t"})
    text = json.dumps(body)
    assert "s3cret" not in text
    job = body["job"]
    assert (job["comment"], job["account"], job["constraints"], job["standard_output"]) == ("0" * 32, "paid", "a100", "/dev/null")
    if number < versions.GENERATED:
        assert (job["memory_per_node"], job["time_limit"], job["gres"]) == (1025, 2, "gpu:a100:2")
        assert (job["nodes"], job["no_requeue"], job["environment"], body["script"]) == (
            [1, 1],
            True,
            {"BACKENDAI_TICKET": "t"},
            "#!/bin/sh\n",
        )
    else:
        assert (job["memory_per_node"]["number"], job["time_limit"]["number"]) == (1025, 2)
        assert job["tres_per_node"] in {"gres/gpu:a100:2", "gres:gpu:a100:2"}
        assert (job["maximum_nodes"], job["requeue"], job["environment"], job["script"]) == (
            1,
            False,
            ["BACKENDAI_TICKET=t"],
            "#!/bin/sh\n",
        )


def test_shares_go_beside_nothing_else():
    body = versions.build_submit(38, FIELDS | {"gres": "shard:v100:2"}, "", {"A": "b"})
    assert body["job"]["gres"] == "shard:v100:2"
    assert "gres" not in versions.build_submit(38, FIELDS, "", {"A": "b"})["job"]


def test_an_update_keeps_the_name():
    """v0.0.36 to v0.0.38 call a job "openapi" that is updated without its name."""
    assert versions.build_update(38, 1201, "backendai-hub") == {"name": "backendai-hub", "time_limit": 21}
    assert versions.build_update(40, 1200, "n")["time_limit"] == {"set": True, "infinite": False, "number": 20}
    assert versions.build_node(None) == {"state": ["RESUME"]}
    assert versions.build_node("why") == {"state": ["DRAIN"], "reason": "why"}


def test_versions_are_known_by_name():
    assert versions.parse_version("v0.0.38") == 38
    for text in ("38", "v0.0.12", "v1", "v0.0.", ""):
        with pytest.raises(ValueError):
            versions.parse_version(text)
