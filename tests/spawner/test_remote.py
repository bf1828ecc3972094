"""The program that prepares a session on a node where only its job may write, run as it is, with a hub that is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterhub_backendai.backends.tickets import Tickets
from jupyterhub_backendai.spawner import remote
from tests.backends.slurm_worlds import HubForTickets
from tests.helperd import wait_until

ID = "0123456789abcdef" * 2
PROGRAM = Path(remote.__file__)


class Node:
    """One node's directories, a hub for its tickets, and a job with one."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "scratch" / "me"
        self.tickets = Tickets(directory / "tickets")
        self.hub = HubForTickets(self.tickets)

    def start(self, lines: str, **environment: str) -> subprocess.Popen:
        ticket = self.tickets.issue(
            ID, "me", {"session_id": ID, "environment": {"GREETING": "안녕"}, "command": [sys.executable], "lines": lines}
        )
        variables = {
            "PATH": os.environ["PATH"],
            "SLURM_JOB_ID": "77",
            "BACKENDAI_TICKET": ticket,
            "LANG": "C.UTF-8",
            "BACKENDAI_SESSION": f"{self.hub.url}/backendai/sessions/{ID}",
            "BACKENDAI_ROOT": str(self.root),
            "BACKENDAI_LOG_DIR": "log",
            "BACKENDAI_WORKSPACE_DIR": "workspace",
            "BACKENDAI_PYTHON": sys.executable,
            "BACKENDAI_PROGRAMS": str(PROGRAM.parent),
            **environment,
        }
        return subprocess.Popen([sys.executable, "-I", str(PROGRAM)], env=variables, cwd="/")

    def log(self) -> str:
        return self.tickets.read_log(ID, "me")


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.hub.shutdown()
    node.hub.server_close()


def test_lines_run_in_the_workspace_and_the_hub_gets_the_log_and_the_status(node):
    process = node.start("pwd; echo $GREETING; env | grep -c TICKET; exit 3")
    assert process.wait(20) == 3
    assert node.log().split() == [str(node.root / "workspace"), "안녕", "0"]
    assert (node.root / "log" / "77.log").read_text() == node.log()
    assert not list((node.root / ".backendai").iterdir())
    assert (node.root / "log" / "77.log").stat().st_mode & 0o777 == 0o600


def test_the_log_of_a_session_that_runs_is_there_and_a_signal_reaches_it(node):
    process = node.start("trap 'echo bye; exit 5' TERM; echo begun; while :; do sleep 0.05; done")
    wait_until(lambda: "begun" in node.log(), 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 5
    assert node.log().split() == ["begun", "bye"]


def test_a_ticket_that_is_none_ends_the_job_and_says_so(node):
    process = node.start("echo never", BACKENDAI_SESSION=f"{node.hub.url}/backendai/sessions/{'f' * 32}")
    assert process.wait(20) == 1
    assert "did not hand out this session" in (node.root / "log" / "77.log").read_text()
    assert node.log() == ""


def test_a_directory_that_cannot_be_made_is_told_to_the_hub(node):
    node.root.parent.mkdir()
    node.root.write_text("in the way")
    assert node.start("echo never").wait(20) == 73
    assert "cannot be made" in node.log()


def test_a_second_life_ends_at_once(node):
    assert node.start("echo never", SLURM_RESTART_COUNT="1").wait(20) == 75
    assert not node.root.exists()


def test_a_hub_that_is_away_for_a_while_is_waited_for(node, tmp_path):
    node.hub.shutdown()
    node.hub.server_close()
    process = node.start("echo done")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    node.hub = HubForTickets(node.tickets, node.hub.server_address[1])
    assert process.wait(20) == 0
    assert node.log() == "done\n"


def test_an_answer_that_is_no_session_is_asked_for_only_so_long(monkeypatch):
    monkeypatch.setattr(remote, "GIVE_UP_S", 0)
    monkeypatch.setattr(remote, "ask", lambda url, body: b"[]")
    with pytest.raises(ValueError, match="no object"):
        remote.fetch("http://hub.example", "ticket")
