from datetime import timedelta

import pytest

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.models import now
from tests.databases import sqlite_template
from tests.factories import GIB, make_slots
from tests.services.public import Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
READY = {"ready": True, "pending": None, "url": "/user/kim01/", "started": "2026-01-01T00:00:00Z"}


def add_session(db, user="kim01", **fields):
    """A row of somebody's: live unless ``released_at`` says otherwise."""
    row = models.ComputeSession(
        **{
            "id": models.new_id(),
            "user_id": db.query(models.User).filter_by(name=user).one().id,
            "domain": "default",
            "project": "default",
            "queue": "small",
            "engine": "local",
            "environment": "default",
            "interface": "lab",
            "slots": make_slots(2, 4 * GIB),
            "time_limit_s": 7200,
            "scheduled_at": now(),
            **fields,
        }
    )
    db.add(row)
    db.flush()
    return row.id


def text(element):
    return " ".join(element.get_text(" ", strip=True).split())


async def test_nothing_is_there_yet(browser):
    response, page = await browser.get("summary")
    assert response.status == 200
    assert "No session is running." in page.text
    assert "Sessions that ended stand here" in page.text
    assert [row["data-queue"] for row in page.select("tr[data-queue]")] == ["small", "v100"]
    assert not page.select("script:not([nonce]), [style]")
    assert page.find("h1").text == "Summary"


async def test_a_session_that_runs_says_where_and_how_long(browser, site):
    site.hub.servers["kim01"] = {"": READY}
    started = now() - timedelta(seconds=600)
    await site.db.run(add_session, name="내 <b>일</b>", status=SessionStatus.RUNNING, started_at=started)
    _, page = await browser.get("summary")
    [card] = page.select(".bai-now")
    assert card.find("h3").text.strip() == "내 <b>일</b>"
    assert "running · queue Small · since 10 min · 1 h 49 min left" in text(card) or "1 h 50 min left" in text(card)
    assert "CPUs 2 · Memory 4 GiB" in text(card)
    assert card.find("a", string="Open")["href"] == "/user/kim01/"


async def test_what_starts_and_what_only_the_hub_knows(browser, site):
    site.hub.servers["kim01"] = {
        "work": {"ready": False, "pending": "spawn", "display_name": "Work"},
        "bye": {"ready": True, "pending": "stop", "display_name": "Bye", "url": "/user/kim01/bye/"},
        "old": {"ready": False, "pending": None},
    }
    await site.db.run(add_session, name="Work", server_name="work")
    _, page = await browser.get("summary")
    cards = [text(card) for card in page.select(".bai-now")]
    assert [words.split(" ")[:2] for words in cards] == [["Work", "starting"], ["Bye", "stopping"]]
    links = [card.find("a")["href"] for card in page.select(".bai-now")]
    assert links[0] == "/hub/spawn-pending/kim01/work"
    assert len(page.select("form[action$='summary/stop']")) == 1


async def test_a_session_is_stopped_in_its_owners_name(browser, site):
    site.hub.servers["kim01"] = {"work": {"ready": True, "url": "/user/kim01/work/"}}
    _, page = await browser.get("summary")
    form = page.select_one("form[action$='summary/stop']")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    response, _ = await browser.post("summary/stop", fields)
    assert (response.status, response.headers["Location"]) == (303, "/services/backendai/summary")
    assert site.hub.stops == [("kim01", "work")]
    response, _ = await browser.post("summary/stop", {"server": "work"})
    assert (response.status, len(site.hub.stops)) == (403, 1)


async def test_ended_sessions_say_why_and_run_again(browser, site):
    at = now()
    reason = "The session reached its time limit."
    await site.db.run(
        add_session, name="A", server_name="a", status=SessionStatus.TERMINATED, released_at=at, terminated_at=at, status_reason=reason
    )
    _, page = await browser.get("summary")
    item = page.find("section", attrs={"aria-labelledby": "ended-title"}).find("li")
    assert reason in text(item)
    link = item.find("a", string="Run again")["href"]
    assert link.startswith("/services/backendai/launch?server=a&")
    fields = await browser.form(link.partition("launch")[2])
    assert (fields["queue"], fields["cpu"], fields["mem"], fields["time"], fields["name"]) == ("small", "2", "4 GiB", "2:00", "A")


async def test_without_the_hub_the_rest_is_shown(browser, site):
    await site.db.run(add_session, name="A", status=SessionStatus.RUNNING, started_at=now())
    site.hub.trouble = 503
    response, page = await browser.get("summary")
    assert response.status == 200
    assert "JupyterHub does not answer" in text(page.find(role="alert"))
    assert len(page.select(".bai-now")) == 1
    assert not page.select("form[action$='summary/stop']")


@pytest.mark.parametrize("who", ["member", "stranger"])
async def test_nobody_sees_sessions_of_others(nobody, site, who):
    await site.db.run(add_session, name="Secret")
    name = {"member": "lee01", "stranger": "guest"}[who]
    await nobody.log_in(site.hub.let_in(name))
    response, page = await nobody.get("summary")
    assert "Secret" not in page.text
    assert response.status == (403 if who == "stranger" else 200)


async def test_a_login_comes_first(nobody):
    response, _ = await nobody.get("summary")
    assert (response.status, "oauth2/authorize" in response.headers["Location"]) == (302, True)


@pytest.mark.parametrize(
    ("role", "is_hub_admin", "links"),
    [("user", False, []), ("admin", False, ["/services/backendai/admin/"]), ("user", True, ["/hub/admin"])],
)
async def test_the_navigation_leads_administrators_to_their_pages(nobody, site, role, is_hub_admin, links):
    def set_role(db):
        db.query(models.User).filter_by(name="kim01").one().role = models.Role(role)

    await site.db.run(set_role)
    token = site.hub.let_in("kim01")
    site.hub.tokens[token]["admin"] = is_hub_admin
    await nobody.log_in(token)
    _, page = await nobody.get("summary")
    found = [link["href"] for link in page.select("nav a.nav-link")]
    assert found[:3] == ["/services/backendai/summary", "/services/backendai/launch", "/hub/home"]
    assert [link for link in found if "admin" in link] == links


async def test_korean(site):
    korean = Browser(site, "ko")
    await korean.log_in(site.hub.let_in("kim01"))
    _, page = await korean.get("summary")
    assert page.html["lang"] == "ko"
    await korean.http.close()
