"""More time for a job of the lab's Slurm through the helper: for whom it was submitted, and for nobody else's."""

import subprocess

import pytest

from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.errors import Conflict
from tests.helper.test_server import squeue, submit_fields
from tests.helperd import running_helper, wait_until

pytestmark = pytest.mark.slurm


async def test_a_running_job_is_given_more_time():
    with running_helper("--allow-extend") as helper:
        job_id = helper.ask("submit", **submit_fields())["job_id"]
        foreign = subprocess.run(
            ["runuser", "-u", "kim01", "--", "sbatch", "--parsable", "-p", "jupyter", "-t", "5", "-o", "/dev/null", "--wrap", "sleep 60"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        try:
            wait_until(lambda: squeue(job_id) == "RUNNING" and squeue(foreign) == "RUNNING")
            backend = SlurmBackend(BackendAI(helper_socket=str(helper.socket)))
            await backend.extend(job_id, PosixAccount("kim01", helper_uid("kim01"), 1, ""), 3601)
            assert squeue(job_id, "%l") == "1:01:00"
            # of somebody else, not submitted by us, unknown
            refused = [("lee01", job_id), ("kim01", foreign), ("kim01", "999999999")]
            answers = [helper.ask("extend", user, job_id=job, time_s=7200) for user, job in refused]
            assert [answer["status"] for answer in answers] == [409] * 3
            assert (squeue(job_id, "%l"), squeue(foreign, "%l")) == ("1:01:00", "5:00")
        finally:
            for job in (job_id, foreign):
                subprocess.run(["scancel", job], check=False)


async def test_a_helper_without_the_option_gives_no_time():
    with running_helper() as helper:
        answer = helper.ask("extend", job_id="1", time_s=7200)
        assert "--allow-extend" in answer["message"]
        backend = SlurmBackend(BackendAI(helper_socket=str(helper.socket)))
        with pytest.raises(Conflict, match="may not give jobs of Slurm more time"):
            await backend.extend("1", PosixAccount("kim01", helper_uid("kim01"), 1, ""), 7200)


def helper_uid(user):
    return int(subprocess.run(["id", "-u", user], capture_output=True, text=True, check=True).stdout)
