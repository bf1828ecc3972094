from __future__ import annotations

import json
import os
import stat
import time

import pytest

from jupyterhub_backendai.backends import tickets as module
from jupyterhub_backendai.backends.tickets import LOG_BYTES, Tickets, log_key
from jupyterhub_backendai.errors import Conflict, NotFound

ID = "0123456789abcdef" * 2
CONTENT = {"environment": {"JUPYTERHUB_API_TOKEN": "s3cret", "이름": "값"}, "command": ["python"]}


@pytest.fixture
def tickets(tmp_path):
    return Tickets(tmp_path / "tickets")


def test_a_ticket_is_good_for_one_asker(tickets):
    ticket = tickets.issue(ID, "kim01", CONTENT)
    for wrong in ("", "x", ticket[:-1], ticket.lower(), log_key(ticket)):
        with pytest.raises(NotFound):
            tickets.redeem(ID, wrong, "a")
    assert tickets.redeem(ID, ticket, "a") == CONTENT
    assert tickets.redeem(ID, ticket, "a") == CONTENT  # the answer was lost on its way
    with pytest.raises(Conflict):
        tickets.redeem(ID, ticket, "b")


def test_the_same_asker_does_not_ask_for_ever(tickets, monkeypatch):
    ticket = tickets.issue(ID, "kim01", CONTENT)
    tickets.redeem(ID, ticket, "a")
    later = time.time() + module.AGAIN_S + 1
    monkeypatch.setattr(module.time, "time", lambda: later)
    with pytest.raises(Conflict):
        tickets.redeem(ID, ticket, "a")


def test_what_lies_there_opens_nothing(tickets, tmp_path):
    ticket = tickets.issue(ID, "kim01", CONTENT)
    (path,) = (tmp_path / "tickets").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = path.read_text()
    assert "s3cret" not in text
    assert ticket not in text
    assert log_key(ticket) not in text


def test_a_session_has_one_ticket_and_one_life(tickets):
    first = tickets.issue(ID, "kim01", CONTENT)
    second = tickets.issue(ID, "kim01", CONTENT)  # nobody knows whether the first one's job is there
    with pytest.raises(NotFound):
        tickets.redeem(ID, first, "a")
    tickets.redeem(ID, second, "a")
    with pytest.raises(Conflict):
        tickets.issue(ID, "kim01", CONTENT)
    tickets.withdraw(ID)
    with pytest.raises(NotFound):
        tickets.redeem(ID, second, "a")
    with pytest.raises(Conflict):
        tickets.issue(ID, "kim01", CONTENT)
    tickets.forget(ID)
    tickets.forget(ID)
    assert tickets.redeem(ID, tickets.issue(ID, "kim01", CONTENT), "a") == CONTENT


def test_the_log_is_taken_from_the_job_and_given_to_its_owner(tickets):
    ticket = tickets.issue(ID, "kim01", CONTENT)
    for key in ("", ticket, "x"):
        with pytest.raises(NotFound):
            tickets.keep_log(ID, key, "spoof")
    assert tickets.read_log(ID, "kim01") == ""
    tickets.keep_log(ID, log_key(ticket), "안녕\udcff")
    assert tickets.read_log(ID, "kim01") == "안녕?"
    assert tickets.read_log(ID, "kim02") == ""
    tickets.withdraw(ID)  # stopped: the last words still arrive
    tickets.keep_log(ID, log_key(ticket), "x" * (LOG_BYTES + 5))
    assert tickets.read_log(ID, "kim01") == "x" * LOG_BYTES


def test_ids_are_ids(tickets):
    for session_id in ("../" + "a" * 29, "", "a" * 31, "a" * 33, "/etc/passwd"):
        with pytest.raises(NotFound):
            tickets.redeem(session_id, "t", "a")
        with pytest.raises(NotFound):
            tickets.read_log(session_id, "kim01")


def test_old_ones_are_forgotten(tickets, tmp_path):
    tickets.issue(ID, "kim01", CONTENT)
    (old,) = (tmp_path / "tickets").iterdir()
    os.utime(old, (0, 0))
    again = Tickets(tmp_path / "tickets")
    again.issue("f" * 32, "kim01", CONTENT)
    assert not old.exists()


def test_a_file_that_is_none_is_no_ticket(tickets, tmp_path):
    ticket = tickets.issue(ID, "kim01", CONTENT)
    path = tmp_path / "tickets" / f"{ID}.json"
    for text in ("", "[]", "{", json.dumps({"ticket": 1})):
        path.write_text(text)
        with pytest.raises(NotFound):
            tickets.redeem(ID, ticket, "a")
