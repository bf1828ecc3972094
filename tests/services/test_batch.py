"""The page of a batch session and its REST calls, tried by its owner and by everybody who is not; and the launch form's part."""

import uuid

import pytest
from bs4 import BeautifulSoup

from jupyterhub_backendai.core.sessions import JobState, SessionStatus
from jupyterhub_backendai.store import models, sessions
from tests.batch_engine import FakeBatchEngine
from tests.databases import sqlite_template
from tests.factories import add_others, make_queue, make_spec
from tests.services.public import PREFIX, Browser, browser, nobody, rest, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
OTHERS = ["member", "domain-admin", "superadmin", "stranger", "nobody"]
FORM = {"queue": "small", "session_type": "batch", "command": "python train.py\r\nls", "cpu": "1", "mem": "1g", "gpu": "0"}


@pytest.fixture
def engine(site):
    engine = FakeBatchEngine(name="local")
    site.application.settings["backends"]["local"] = engine
    return engine


@pytest.fixture(autouse=True)
async def people(site, engine):
    """Somebody in kim01's project, and administrators."""
    await site.db.run(add_others)


async def start(site, **fields):
    status, session = await rest(site, "POST", "sessions", {"queue": "small", "command": "echo hi", **fields})
    assert status == 201, session
    return session["id"]


def typed(page):
    """The commands in the form; unlike a browser, the parser keeps the line end that begins them."""
    return page.find("textarea", id="command").text.replace("\r\n", "\n").strip("\n")


async def run(site):
    await site.application.settings["batch_runner"].look()


async def look_as(site, user, path):
    browser = Browser(site)
    async with browser.http:
        await browser.log_in(site.hub.let_in(user))
        return await browser.get(path)


async def test_the_form_starts_one_and_the_page_follows_it(site, browser, engine):
    form = {**await browser.form(), **FORM, "name": "first"}
    response, _ = await browser.post("launch", form)
    again, _ = await browser.post("launch", form)  # pressed twice
    address = response.headers["Location"]
    assert (response.status, again.headers["Location"]) == (303, address)
    path = address.removeprefix(PREFIX)
    session_id = path.rpartition("/")[2]
    _, page = await browser.get(path)
    assert ("waiting" in page.text, page.find("pre").text) == (True, "python train.py\nls")
    await run(site)
    engine.end(session_id, JobState.RUNNING, node="here")
    engine.logs[session_id] = "<b>epoch 1</b>"
    await run(site)
    _, page = await browser.get(path)
    assert ("running" in page.text, page.find("pre", id="log").text, page.find(id="exit-code").text) == (True, "<b>epoch 1</b>", "–")
    engine.end(session_id, JobState.FAILED, exit_code=2)
    await run(site)
    _, page = await browser.get(path)
    assert ("failed" in page.text, page.find(id="exit-code").text) == (True, "2")
    assert page.find(id="reason").text == "The commands ended with an error."
    _, summary = await browser.get("summary")
    assert summary.find("a", href=PREFIX + path).text == "first"
    _, page = await browser.get(f"launch?again={session_id}")
    assert typed(page) == "python train.py\nls"
    assert page.find("input", id="session_type-batch").has_attr("checked")


async def test_the_page_ends_one(site, browser, engine):
    session_id = await start(site)
    await run(site)
    _, page = await browser.get(f"sessions/{session_id}")
    token = page.find("input", attrs={"name": "_xsrf"})["value"]
    response, _ = await browser.post(f"sessions/{session_id}/end", {"_xsrf": token})
    assert response.status == 303
    _, page = await browser.get(f"sessions/{session_id}")
    assert ("stopping" in page.text, page.find(id="end")) == (True, None)
    await run(site)
    await run(site)
    _, page = await browser.get(f"sessions/{session_id}")
    assert page.find(id="reason").text == "You ended it."
    response, _ = await browser.post(f"sessions/{session_id}/end", {"_xsrf": token})
    assert response.status == 303


@pytest.mark.parametrize("user", OTHERS)
async def test_it_is_nobody_elses(site, user):
    session_id = await start(site)
    refused = 401 if user == "nobody" else 404
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/log")):
        assert (await rest(site, method, f"sessions/{session_id}{path}", user=user))[0] == refused
    if user != "nobody":
        response, _ = await look_as(site, user, f"sessions/{session_id}")
        assert response.status == 404
        response, _ = await look_as(site, user, f"launch?again={session_id}")
        assert response.status == 404
    assert (await site.db.run(sessions.get, session_id)).is_live


async def test_programs_start_look_and_end(site, engine):
    wanted = uuid.uuid4().hex
    status, session = await rest(site, "POST", "sessions", {"id": wanted, "queue": "small", "command": "echo hi", "name": "x"})
    assert (status, session["id"], session["session_type"], session["status"]) == (201, wanted, "batch", "PENDING")
    assert (await rest(site, "POST", "sessions", {"id": wanted, "queue": "small", "command": "echo hi"}))[1]["id"] == wanted
    await run(site)
    engine.logs[wanted] = "안녕\n"
    assert await rest(site, "GET", f"sessions/{wanted}/log") == (200, "안녕\n")
    _, session = await rest(site, "GET", f"sessions/{wanted}")
    assert (session["command"], session["job_id"], session["exit_code"]) == ("echo hi", "1", None)
    assert "command" not in (await rest(site, "GET", "sessions"))[1]["sessions"][0]
    assert (await rest(site, "DELETE", f"sessions/{wanted}"))[1]["status"] == "TERMINATING"
    await run(site)
    await run(site)
    assert (await rest(site, "DELETE", f"sessions/{wanted}"))[0] == 409
    engine.is_away = True
    assert (await rest(site, "GET", f"sessions/{wanted}/log"))[0] == 503


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"queue": "small"}, "command", "Type the commands"),
        ({"queue": "small", "command": "x" * 16385}, "command", "at most 16384 bytes"),
        ({"queue": "small", "command": "a\0b"}, "command", "not allowed"),
        ({"queue": "v100", "command": "true"}, "queue", "no batch sessions"),
        ({"queue": "small", "command": "true", "depends_on": "nothing"}, "depends_on", "no session nothing"),
        ({"queue": "small", "command": "true", "cpu": 99}, "cpu", "At most 4 CPUs"),
        ({"queue": "small", "command": "true", "session_type": "interactive"}, "session_type", "Only batch sessions"),
        ({"queue": "small", "command": "true", "id": "7"}, "id", "32 hexadecimal"),
        ({"queue": "small", "command": "true", "colour": "red"}, "colour", "no field colour"),
        ({"queue": "vip", "command": "true"}, "queue", "no queue vip"),
        ({"queue": "small", "command": "true", "account": "others"}, "account", "cannot use the account others"),
        ({"queue": "small", "command": "true", "qos": "high"}, "qos", "cannot use the quality of service high"),
        ({"queue": "small", "command": "true", "shares": "0.5"}, "shares", "no shares of GPUs"),
    ],
)
async def test_what_cannot_be_is_refused_with_words(site, body, field, words):
    status, problem = await rest(site, "POST", "sessions", body)
    assert status in (400, 403, 412)
    (violation,) = [item for item in problem["violations"] if item["field"] == field]
    assert words in violation["message"]


async def test_the_form_keeps_what_was_typed(browser):
    response, page = await browser.post("launch", {**await browser.form(), **FORM, "cpu": "77"})
    assert response.status == 400
    assert typed(page) == "python train.py\nls"
    assert page.find(id="cpu-error")


async def test_a_server_of_the_hubs_is_not_ended_here(site):
    spec = make_spec("kim01", queue="small")
    await site.db.run_exclusive(sessions.admit, spec, make_queue("small"), None)
    assert (await rest(site, "DELETE", f"sessions/{spec.session_id}"))[0] == 409
    assert (await rest(site, "GET", f"sessions/{spec.session_id}"))[1]["session_type"] == "interactive"


async def test_administrators_end_it_and_do_not_ask_the_hub(site, engine):
    session_id = await start(site)
    await run(site)
    status, _ = await rest(site, "DELETE", f"admin/sessions/{session_id}", user="superadmin")
    assert status in (200, 202, 204)
    assert site.hub.stops == []
    assert (await site.db.run(sessions.get, session_id)).status is SessionStatus.TERMINATING
    await run(site)
    await run(site)
    assert (await site.db.run(sessions.get, session_id)).status_reason == "ended by an administrator"
    entries = await site.db.run(lambda db: [entry.action for entry in db.query(models.AuditEntry)])
    assert "session.terminate" in entries


async def test_korean(site):
    session_id = await start(site)
    browser = Browser(site, "ko")
    async with browser.http:
        await browser.log_in(site.hub.let_in("kim01"))
        response, page = await browser.get(f"sessions/{session_id}")
    assert response.status == 200
    assert isinstance(page, BeautifulSoup)
