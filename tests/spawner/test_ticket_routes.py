"""Where jobs of slurmrestd fetch their sessions: who is answered, and with what."""

from __future__ import annotations

import json
import os
import secrets

import pytest

from jupyterhub_backendai.backends.tickets import Tickets

from .harness import NOBODY, running_hub

pytestmark = pytest.mark.e2e


async def ask(hub, session_id: str, what: str, body, **options):
    async with hub.http.post(f"{hub.url}/api/backendai/sessions/{session_id}/{what}", json=body, **options) as response:
        return response.status, await response.text()


async def test_who_may_fetch_a_session_and_hand_back_a_log():
    """On a hub without Slurm: no cookie, no token and no address counts, only the ticket."""
    async with running_hub() as hub:
        ids = {name: secrets.token_hex(16) for name in ("own", "other")}
        tickets = Tickets(hub.dir / "tickets")
        issued = {name: tickets.issue(session_id, "kim01", {"command": [name]}) for name, session_id in ids.items()}
        if os.geteuid() == 0:
            paths = [hub.dir / "tickets", *(hub.dir / "tickets").iterdir()]
            for path in paths:
                os.chown(path, NOBODY, NOBODY)
        for body in ({"ticket": issued["other"], "asker": "a"}, {"ticket": "", "asker": "a"}):
            assert (await ask(hub, ids["own"], "ticket", body))[0] == 404
        for body in ({}, [], "x", {"ticket": issued["own"]}, {"ticket": 1, "asker": "a"}, {"ticket": "x" * 1000, "asker": "a"}):
            assert (await ask(hub, ids["own"], "ticket", body))[0] == 400, body
        assert (await ask(hub, ids["own"][:-1], "ticket", {}))[0] in {403, 404}
        status, text = await ask(hub, ids["own"], "ticket", {"ticket": issued["own"], "asker": "a"})
        assert (status, json.loads(text)) == (200, {"command": ["own"]})
        assert (await ask(hub, ids["own"], "ticket", {"ticket": issued["own"], "asker": "b"}))[0] == 409
        assert (await ask(hub, ids["own"], "log", {"key": issued["own"], "log": "x"}))[0] == 404
        assert (await ask(hub, ids["own"], "log", {"key": "x", "log": "x" * 70_000}))[0] == 400
        assert (await ask(hub, ids["own"], "log", {"key": "x", "log": "", "more": "x" * 2_000_000}))[0] == 413
        assert (await ask(hub, ids["own"], "ticket", {"ticket": "\ud800", "asker": "a"}))[0] == 404
        status, _ = await hub.call("GET", f"/backendai/sessions/{ids['own']}/ticket")
        assert status == 405
