"""The page of one session and the list of all: log, more time, keeping it, ending it; by its owner and by everybody who is not."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import Conflict, SchedulerUnavailable
from jupyterhub_backendai.store import ends, history, models, sessions
from tests.batch_engine import FakeBatchEngine
from tests.databases import sqlite_template
from tests.factories import add_others, make_queue, make_spec
from tests.services.public import PREFIX, Browser, browser, nobody, rest, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
HOUR = 3600
OTHERS = ["member", "domain-admin", "superadmin", "stranger", "nobody"]


class Engine(FakeBatchEngine):
    """An engine whose sessions can be given more time, or not."""

    extended = None
    refusal = None

    async def extend(self, job_id, posix, time_s, session_id=""):
        if self.refusal:
            raise self.refusal
        self.extended = {**(self.extended or {}), session_id: time_s}


@pytest.fixture
def permits(settings):
    """The queue small lets its sessions be given more time."""
    small = {"extension_time_s": 4 * HOUR, "extension_count": 3, "max_time_s": 8 * HOUR}
    settings.queues = [{**queue, **small} if queue["name"] == "small" else queue for queue in settings.queues]


@pytest.fixture
def engine(site):
    engine = site.application.settings["backends"]["local"] = Engine(name="local")
    return engine


@pytest.fixture(autouse=True)
async def people(permits, site, engine):
    await site.db.run(add_others)


async def start(site, ago_s=HOUR, limit_s=2 * HOUR, **fields):
    """A running notebook of kim01's."""
    spec = make_spec(queue="small", time_s=limit_s, **fields)
    await site.db.run_exclusive(sessions.admit, spec, make_queue("small"), None)
    await site.db.run(sessions.report, spec.session_id, SessionStatus.RUNNING, "", "4711", "node01")

    def age(db):
        began_at = datetime.now(UTC) - timedelta(seconds=ago_s)
        db.get_one(models.ComputeSession, spec.session_id).started_at = began_at
        db.get_one(models.ComputeSession, spec.session_id).began_at = began_at

    await site.db.run(age)
    site.hub.servers["kim01"] = {spec.server_name: {"name": spec.server_name, "ready": True, "pending": None, "url": "/user/kim01/"}}
    return spec.session_id


async def look_as(site, user, path):
    browser = Browser(site)
    async with browser.http:
        await browser.log_in(site.hub.let_in(user))
        return await browser.get(path)


def token_of(page):
    return page.find("input", attrs={"name": "_xsrf"})["value"]


async def info(site, session_id):
    return await site.db.run(sessions.get, session_id)


async def test_a_running_notebook_is_shown_with_its_log_and_given_more_time(site, browser, engine):
    session_id = await start(site, name="분석")
    engine.logs[session_id] = "\x1b[32m[I] 서버 시작\x1b[0m\n<b>plain</b>\n 10%\r100%\n"
    _, page = await browser.get(f"sessions/{session_id}")
    assert page.find("pre", id="log").text == "[I] 서버 시작\n<b>plain</b>\n100%\n"
    assert (page.find(id="open")["href"], page.find(id="left").text) == ("/user/kim01/", "1 h left")
    assert [option["value"] for option in page.find(id="time").find_all("option")] == ["1800", "3600", "7200", "14400"]
    response, _ = await browser.post(f"sessions/{session_id}/extend", {"_xsrf": token_of(page), "time": "7200"})
    assert response.status == 303
    assert engine.extended == {session_id: 4 * HOUR}
    _, page = await browser.get(f"sessions/{session_id}")
    assert (page.find(id="left").text, "2 h of that were added" in page.find(id="time-limit").text) == ("3 h left", True)
    assert "It was given 2 h in 1 steps already." in page.find(id="time-help").text
    # the longest time of the queue
    response, page = await browser.post(f"sessions/{session_id}/extend", {"_xsrf": token_of(page), "time": "9h"})
    assert (response.status, "At most 8:00 in the queue small" in page.find(id="refusal").text) == (400, True)
    assert (await info(site, session_id)).time_limit_s == 4 * HOUR
    entries = await site.db.run(lambda db: [(row.actor, row.action, row.details) for row in db.query(models.AuditEntry)])
    assert [(actor, action, details["added_s"]) for actor, action, details in entries] == [("kim01", "session.extend", 7200)]


@pytest.mark.parametrize(("refusal", "status"), [(Conflict("Slurm did not."), 409), (SchedulerUnavailable(), 503)])
async def test_what_the_engine_refuses_is_taken_back(site, browser, engine, refusal, status):
    session_id = await start(site)
    engine.refusal = refusal
    _, page = await browser.get(f"sessions/{session_id}")
    response, page = await browser.post(f"sessions/{session_id}/extend", {"_xsrf": token_of(page), "time": "1800"})
    assert (response.status, "It was not given more time." in page.find(id="refusal").text) == (status, True)
    course = await site.db.run(ends.load_course, session_id)
    assert ((await info(site, session_id)).time_limit_s, course.extended_s, course.extensions) == (2 * HOUR, 0, 0)


async def test_the_warning_and_keeping_it(site, browser):
    session_id = await start(site, ago_s=2 * HOUR - 300)
    _, page = await browser.get(f"sessions/{session_id}")
    assert "reaches its time limit in" in page.find(id="warning").text
    idle_at = datetime.now(UTC) + timedelta(seconds=200)
    await site.db.run_exclusive(ends.foresee, session_id, idle_at, "idle")
    _, page = await browser.get(f"sessions/{session_id}")
    assert "Nobody seems to use it" in page.find(id="warning").text
    response, _ = await browser.post(f"sessions/{session_id}/keep", {"_xsrf": token_of(page)})
    assert response.status == 303
    course = await site.db.run(ends.load_course, session_id)
    assert (course.policy_ends_at, abs(course.kept_at.timestamp() - time.time()) < 60) == (None, True)
    async with browser.http.get(f"{site.url}sessions/now") as answer:
        (now,) = (await answer.json())["sessions"]
    assert (now["id"], now["server"], now["can_extend"], now["end"]["kind"], now["end"]["can_keep"]) == (
        session_id,
        "",
        True,
        "time",
        False,
    )
    assert "Save your work" in now["end"]["warning"]


async def test_it_is_ended_by_the_hub_and_why_is_said_in_the_readers_language(site, browser):
    session_id = await start(site)
    _, page = await browser.get(f"sessions/{session_id}")
    response, _ = await browser.post(f"sessions/{session_id}/end", {"_xsrf": token_of(page)})
    assert (response.status, site.hub.stops) == (303, [("kim01", "")])
    words = {
        "message": "The session's server was ended by signal %(signal)s.",
        "advice": "Look at the end of its log.",
        "params": {"signal": 9},
    }
    reason = "The session's server was ended by signal 9."
    await site.db.run(ends.report, session_id, SessionStatus.ERROR, reason, "", "", words)
    await site.db.run_exclusive(ends.release, session_id, reason, words)
    _, page = await browser.get(f"sessions/{session_id}")
    assert page.find(id="reason").text == f"{reason} Look at the end of its log."
    assert (page.find(id="end"), page.find(id="again")["href"]) == (None, f"{PREFIX}launch?again={session_id}")
    korean = Browser(site, "ko")
    async with korean.http:
        await korean.log_in(site.hub.let_in("kim01"))
        _, page = await korean.get(f"sessions/{session_id}")
    assert page.find(id="reason").text != f"{reason} Look at the end of its log."
    assert "9" in page.find(id="reason").text


@pytest.mark.parametrize("user", OTHERS)
async def test_it_is_nobody_elses(site, engine, user):
    session_id = await start(site)
    engine.logs[session_id] = "secret"
    refused = 401 if user == "nobody" else 404
    for method, path in (("GET", ""), ("GET", "/log"), ("POST", "/keep")):
        assert (await rest(site, method, f"sessions/{session_id}{path}", user=user))[0] == refused
    if user != "nobody":
        for path in ("", "/log", "/log?download=1"):
            response, page = await look_as(site, user, f"sessions/{session_id}{path}")
            assert (response.status, "secret" in page.text) == (404, False)
        assert (await look_as(site, user, f"launch?again={session_id}"))[0].status == 404
        _, page = await look_as(site, user, "sessions")
        assert page.find(id="history") is None
    may_extend = user in {"domain-admin", "superadmin"}
    status, _ = await rest(site, "POST", f"sessions/{session_id}/extend", {"time": "1h"}, user)
    assert status == (200 if may_extend else refused)
    assert (await info(site, session_id)).time_limit_s == (3 if may_extend else 2) * HOUR


async def test_programs_see_its_end_and_give_it_more_time(site, engine):
    session_id = await start(site)
    _, found = await rest(site, "GET", f"sessions/{session_id}")
    assert (found["end"]["kind"], found["most_more_s"], found["cost"], found["extended_s"]) == ("time", 4 * HOUR, None, 0)
    assert 3590 < found["elapsed_s"] < 3700
    assert float(found["cpu_hours"]) == pytest.approx(1, abs=0.03)
    assert await rest(site, "POST", f"sessions/{session_id}/extend", {"time": "30m"}) == (
        200,
        {"id": session_id, "added_s": 1800, "time_limit_s": 2 * HOUR + 1800},
    )
    for body, field in (({"time": "soon"}, "time"), ({}, "time"), ({"time": "1h", "x": 1}, "x"), ({"time": "10s"}, "time")):
        status, problem = await rest(site, "POST", f"sessions/{session_id}/extend", body)
        assert (status, problem["violations"][0]["field"]) == (400, field)
    engine.logs[session_id] = "\x1b[1mraw 그대로\n"
    assert await rest(site, "GET", f"sessions/{session_id}/log") == (200, "\x1b[1mraw 그대로\n")
    await site.db.run_exclusive(sessions.release, session_id, "over")
    assert (await rest(site, "POST", f"sessions/{session_id}/extend", {"time": "1h"}))[0] == 409
    assert (await rest(site, "POST", f"sessions/{session_id}/keep"))[0] == 404


async def test_what_it_costs_stands_beside_the_choice_and_in_the_list(site, browser):
    priced = make_queue("small", is_free=False, prices=ResourceSlots({"cpu": 1200}))
    spec = make_spec(queue="small", time_s=2 * HOUR, cpu=2)
    await site.db.run_exclusive(sessions.admit, spec, priced, None)
    await site.db.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    _, page = await browser.get(f"sessions/{spec.session_id}")
    assert [option.text for option in page.find(id="time").find_all("option")][:2] == [
        "30 min, at most 1,200 KRW more",
        "1 h, at most 2,400 KRW more",
    ]
    assert "0 KRW so far (at most 4,800 KRW)" in " ".join(page.find(id="cost").text.split())
    _, found = await rest(site, "POST", f"sessions/{spec.session_id}/extend", {"time": "1h"})
    assert found["time_limit_s"] == 3 * HOUR
    _, found = await rest(site, "GET", f"sessions/{spec.session_id}")
    assert found["cost"] == {"currency": "KRW", "at_most": "7200", "charged": None}
    _, page = await browser.get("sessions")
    assert "0 KRW so far" in page.find(id="history").text


async def test_the_log_is_a_file_too_and_says_when_it_cannot_be_had(site, browser, engine):
    session_id = await start(site)
    engine.logs[session_id] = "\x1b[1m그대로\x1b[0m"
    async with browser.http.get(f"{site.url}sessions/{session_id}/log?download=1") as answer:
        assert await answer.text() == engine.logs[session_id]
        assert answer.headers["Content-Disposition"].startswith("attachment")
    async with browser.http.get(f"{site.url}sessions/{session_id}/log") as answer:
        assert (await answer.text(), answer.headers["Content-Type"]) == ("그대로", "text/plain; charset=utf-8")
    engine.is_away = True
    async with browser.http.get(f"{site.url}sessions/{session_id}/log") as answer:
        assert await answer.text() == "그대로"  # of two seconds ago
    site.application.settings["logs"].clear()
    _, page = await browser.get(f"sessions/{session_id}")
    assert "The log cannot be read right now" in page.text


async def add_past(site, count):
    """Sessions of kim01's that are over, one an hour, every third of them failed."""

    def add(db):
        user_id = db.query(models.User.id).filter_by(name="kim01").scalar()
        first = datetime(2026, 1, 1, tzinfo=UTC)
        rows = []
        for number in range(count):
            at = first + timedelta(hours=number)
            status = SessionStatus.ERROR if number % 3 == 0 else SessionStatus.TERMINATED
            rows.append(
                {
                    "id": f"{number:032x}",
                    "user_id": user_id,
                    "domain": "default",
                    "project": "default",
                    "name": f"run {number}",
                    "queue": "v100" if number % 2 else "small",
                    "engine": "slurm",
                    "environment": "default",
                    "interface": "lab",
                    "status": status,
                    "slots": make_spec().request.slots,
                    "time_limit_s": HOUR,
                    "server_name": f"s{number}",
                    "created_at": at,
                    "started_at": at,
                    "terminated_at": at + timedelta(minutes=30),
                    "released_at": at + timedelta(minutes=30),
                    "session_type": "batch" if number % 5 == 0 else "interactive",
                    "status_reason": "You ended it.",
                }
            )
        db.bulk_insert_mappings(models.ComputeSession, rows)

    await site.db.run(add)


async def test_ten_thousand_sessions_are_pages_with_filters(site, browser):
    await add_past(site, 10_000)
    _, page = await browser.get("sessions")
    rows = page.find(id="history").find("tbody").find_all("tr")
    assert (len(rows), rows[0].find("th").find("a").text) == (50, "run 9999")
    assert "0.50 CPU h" in rows[0].text
    assert page.find("a", rel="last")["href"].endswith("page=200")
    _, page = await browser.get("sessions?page=200")
    assert page.find(id="history").find("tbody").find_all("tr")[-1].find("th").find("a").text == "run 0"
    _, page = await browser.get("sessions?state=failed&session_type=batch&queue=v100&q=run 9&from=2027-01-20&to=2027-02-10")
    found = [row.find("th").find("a").text for row in page.find(id="history").find("tbody").find_all("tr")]
    assert found
    assert all(int(name.split()[1]) % 30 == 15 and name.startswith("run 9") for name in found)
    _, page = await browser.get("sessions?page=150&state=ended")
    assert page.find(id="history").find("tbody").find_all("tr")
    _, answer = await rest(site, "GET", "sessions?size=3&page=2&state=failed")
    assert ([one["name"] for one in answer["sessions"]], answer["total"], answer["pages"]) == (
        ["run 9990", "run 9987", "run 9984"],
        3334,
        1112,
    )
    _, page = await browser.get("sessions?q=100%25")
    assert (page.find(id="history"), "No session of yours is like that" in page.text) == (None, True)


@pytest.mark.parametrize("query", ["state=x", "page=0", "page=-1", "page=1e9", "from=yesterday", "to=9999-99-99", "session_type=web"])
async def test_an_address_that_cannot_be_is_said(site, browser, query):
    response, page = await browser.get(f"sessions?{query}")
    assert (response.status, page.find(role="alert") is not None) == (400, True)
    status, problem = await rest(site, "GET", f"sessions?{query}")
    assert (status, problem["violations"][0]["field"]) == (400, query.split("=")[0])


async def test_a_notebook_is_run_again_as_it_was(site, browser):
    session_id = await start(site, cpu=2, name="again please")
    await site.db.run_exclusive(sessions.release, session_id, "over")
    form = await browser.form(f"?again={session_id}")
    assert (form["cpu"], form["name"], form["queue"], form["time"]) == ("2", "again please", "small", "2:00")


async def test_words_of_the_hub_are_checked(site):
    session_id = await start(site)
    for words in (None, "x", {"message": 5}, {"message": "x", "params": [1]}, {"message": "x", "params": {str(n): n for n in range(99)}}):
        await site.db.run(ends.report, session_id, SessionStatus.RUNNING, "why", "", "", words)
        assert (await site.db.run(ends.load_course, session_id)).why is None
    words = {"message": "Broken %(place)s", "params": {"other": "1"}}
    await site.db.run(ends.report, session_id, SessionStatus.ERROR, "plain reason", "", "", words)
    await site.db.run_exclusive(sessions.release, session_id)
    _, found = await rest(site, "GET", f"sessions/{session_id}")
    assert found["reason"] == "plain reason"  # places without values are no reason for a page that fails


def test_the_states_of_the_list_are_all():
    assert history.STATES == ("live", "ended", "failed")
