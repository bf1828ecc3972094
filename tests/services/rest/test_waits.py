"""``GET waits`` and ``sessions/<id>/wait``: what is usual, why a session waits and until when; by its owner and by everybody who is not."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from jupyterhub_backendai.core.sessions import JobState, JobStatus, SessionStatus
from jupyterhub_backendai.core.waits import Expectation
from jupyterhub_backendai.store import models, scheduling, sessions
from tests.databases import sqlite_template
from tests.factories import add_others, make_queue, make_spec
from tests.factories_waits import add_past_session
from tests.services.public import Browser, settings, site

__all__ = ["settings", "site", "sqlite_template"]
OTHERS = ["member", "domain-admin", "superadmin", "stranger", "nobody"]


class Engine:
    """Says of every job what the test says."""

    answer = JobStatus("7", JobState.PENDING, reason="Priority", position=4)

    async def status(self, session_id, job_id, posix):
        return self.answer


@pytest.fixture(autouse=True)
async def engine(site):
    await site.db.run(add_others)
    engine = site.application.settings["backends"]["slurm"] = Engine()
    return engine


def add_past(db):
    kim = db.scalars(select(models.User.id).where(models.User.name == "kim01")).one()
    told = Expectation(60, 300, 600, 20).to_json()
    for minutes in range(1, 21):
        add_past_session(db, kim, "v100", 60.0 * minutes, ago_s=86400.0, told=told)


async def rest(site, path, user="kim01", method="GET", body=None, language="en"):
    headers = {"Authorization": f"token {site.hub.let_in(user)}"} if user != "nobody" else {}
    headers["Accept-Language"] = language
    async with Browser(site).http as http, http.request(method, f"{site.url}rest/v1/{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def start(site, ago_s=120, **fields):
    """A session of kim01's that waits in the engine's queue."""
    spec = make_spec(queue="v100", **fields)
    await site.db.run_exclusive(sessions.admit, spec, make_queue("v100", "slurm"), None)

    def age(db):
        row = db.get_one(models.ComputeSession, spec.session_id)
        row.created_at = models.now() - timedelta(seconds=ago_s)

    await site.db.run(age)
    return spec.session_id


async def test_what_is_usual_in_each_queue_and_how_good_that_word_was(site):
    await site.db.run(add_past)
    status, answer = await rest(site, "waits")
    assert status == 200
    by_queue = {found["queue"]: found for found in answer["waits"]}
    assert by_queue["small"]["expected"] is None
    assert "vip" not in by_queue
    found = by_queue["v100"]
    assert {name: found["expected"][name] for name in ("low_s", "middle_s", "high_s", "past")} == {
        "low_s": 120,
        "middle_s": 600,
        "high_s": 1080,
        "past": 20,
    }
    assert found["text"] == "usually 2 min to 20 min (of 20 sessions)"
    assert found["accuracy"] == {"told": 20, "within": 10, "off_s": 360}
    assert (await rest(site, "waits?cpu=2&gpu=1"))[0] == 200
    assert (await rest(site, "waits?cpu=none"))[0] == 400
    assert (await rest(site, "waits", "nobody"))[0] == 401
    _, answer = await rest(site, "waits", "stranger")
    assert "vip" not in [found["queue"] for found in answer["waits"]]


async def test_why_a_session_waits_and_until_when(site, engine):
    await site.db.run(add_past)
    session_id = await start(site)
    status, found = await rest(site, f"sessions/{session_id}/wait")
    assert (status, found["is_waiting"], found["position"], found["give_up_at"], found["mail"]) == (200, True, 4, None, False)
    assert found["reason"].startswith("Other jobs are ahead")
    assert found["since"] == pytest.approx(time.time() - 120, abs=60)
    # 2 of the 20 waited no longer than it did already
    assert found["expected"]["at"] == pytest.approx(time.time() + 9 * 60, abs=60)
    assert (found["expected"]["past"], found["expected"]["by_scheduler"]) == (20, False)
    engine.answer = JobStatus("7", JobState.PENDING, reason="JobHeldUser")
    _, found = await rest(site, f"sessions/{session_id}/wait")
    assert (found["expected"], found["position"]) == (None, None)
    engine.answer = JobStatus("7", JobState.UNKNOWN)
    _, found = await rest(site, f"sessions/{session_id}/wait")
    assert (found["is_waiting"], found["reason"]) == (True, "")
    await site.db.run(sessions.report, session_id, SessionStatus.RUNNING)
    assert (await rest(site, f"sessions/{session_id}/wait"))[1]["is_waiting"] is False


async def test_a_line_of_ours_is_told_alike(site):
    queue = make_queue("small", scheduler="fifo")
    specs = [make_spec(queue="small", server_name=str(number), cpu=4) for number in range(2)]
    for spec in specs:
        await site.db.run_exclusive(sessions.admit, spec, queue, None)
    await site.db.run_exclusive(scheduling.look, queue, models.now())
    _, found = await rest(site, f"sessions/{specs[1].session_id}/wait")
    assert (found["position"], found["is_waiting"]) == (1, True)
    assert found["reason"].startswith("Next in line")


async def test_the_owner_changes_what_is_wished(site):
    session_id = await start(site)
    path = f"sessions/{session_id}/wait"
    status, found = await rest(site, path, method="PUT", body={"patience": "4h", "mail": True})
    assert (status, found["patience_s"], found["mail"]) == (200, 14400, True)
    assert found["give_up_at"] == pytest.approx(found["since"] + 14400)
    _, found = await rest(site, path, method="PUT", body={"mail": False})
    assert (found["patience_s"], found["mail"]) == (14400, False)
    _, found = await rest(site, path, method="PUT", body={"patience": None})
    assert (found["patience_s"], found["give_up_at"]) == (None, None)
    for body, field in (
        ({"patience": "soon"}, "patience"),
        ({"patience": "5s"}, "patience"),
        ({"mail": "yes"}, "mail"),
        ({"when": 1}, "when"),
    ):
        status, answer = await rest(site, path, method="PUT", body=body)
        assert (status, answer["violations"][0]["field"]) == (400, field)
    await site.db.run(sessions.report, session_id, SessionStatus.RUNNING)
    assert (await rest(site, path, method="PUT", body={"mail": True}))[0] == 409


@pytest.mark.parametrize("who", OTHERS)
async def test_it_is_nobody_elses(site, who):
    path = f"sessions/{await start(site)}/wait"
    for method, body in (("GET", None), ("PUT", {"mail": True})):
        status, _ = await rest(site, path, who, method, body)
        assert status == (401 if who == "nobody" else 404)
