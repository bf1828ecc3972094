"""``jupyterhub-backendai config check`` looks at the way to submit that was chosen."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.cli.check import _check_slurm
from jupyterhub_backendai.config import BackendAI


def problems(**settings) -> str:
    queues = [{"name": "s", "engine": "slurm", "partition": "s"}]
    return "\n".join(_check_slurm(BackendAI(queues=queues, **settings)))


@pytest.fixture(autouse=True)
def _not_in_a_hub(monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_API_URL", raising=False)


def test_the_way_must_be_one():
    assert "slurm_submit: pigeon is none of helper, sudo, rest" in problems(slurm_submit="pigeon")


def test_a_helper_must_answer(tmp_path):
    stale = tmp_path / "helper.sock"
    stale.touch()
    assert "helper does not run" in problems(helper_socket=str(stale))


def test_the_command_of_sudo_must_be_there():
    assert "absolute path" in problems(slurm_submit="sudo", slurm_sudo_command=["python"])
    told = problems(slurm_submit="sudo", slurm_sudo_command=["/no/such/python", "-I", "--options", "/no/such/file"])
    assert "/no/such/python is not there" in told or "no sudo on this machine" in told


def test_slurmrestd_must_serve_us(tmp_path):
    assert "hub_address is empty" in problems(slurm_submit="rest", state_dir=str(tmp_path))
    told = problems(slurm_submit="rest", slurm_rest_key_file=str(tmp_path / "none"), state_dir=str(tmp_path))
    assert "none cannot be read" in told
    (tmp_path / "key").write_bytes(b"k" * 32)
    told = problems(
        slurm_submit="rest",
        slurm_rest_key_file=str(tmp_path / "key"),
        hub_address="http://hub:8081/hub/api",
        slurm_rest_url="http://127.0.0.1:1",
        state_dir=str(tmp_path),
    )
    assert "slurmrestd at http://127.0.0.1:1 does not serve us" in told


def test_the_hubs_address_may_depend_on_the_queue_and_on_the_cluster():
    settings = BackendAI(hub_address="http://a/hub/api", hub_addresses={"gpu": "http://b/hub/api", "east": "http://c/hub/api"})
    assert settings.find_hub_address("cpu") == "http://a/hub/api"
    assert settings.find_hub_address("gpu", "east") == "http://b/hub/api"
    assert settings.find_hub_address("cpu", "east") == "http://c/hub/api"
    assert BackendAI().find_hub_address("cpu") == ""
