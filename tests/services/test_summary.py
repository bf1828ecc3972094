from datetime import timedelta

import pytest

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.identity.clock import is_clock_kept
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.models import now
from tests.databases import sqlite_template
from tests.factories import GIB, make_slots
from tests.services.data_folders import add_folder, user_id
from tests.services.launching import limit
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
    assert "running · in Small · since 10 min · 1 h 49 min left" in text(card) or "1 h 50 min left" in text(card)
    assert "CPUs 2 · Memory 4 GiB" in text(card)
    assert card.find("a", string="Open")["href"] == "/user/kim01/"


async def test_what_starts_and_what_only_the_hub_knows(browser, site):
    site.hub.servers["kim01"] = {
        "work": {"ready": False, "pending": "spawn", "display_name": "Work"},
        "bye": {"ready": True, "pending": "stop", "display_name": "Bye", "url": "/user/kim01/bye/"},
        "soon": {"ready": False, "pending": "spawn", "display_name": "Soon"},
        "old": {"ready": False, "pending": None},
    }
    await site.db.run(add_session, name="Work", server_name="work")
    _, page = await browser.get("summary")
    cards = [text(card) for card in page.select(".bai-now")]
    assert [words.split(" ")[:2] for words in cards] == [["Work", "waiting"], ["Bye", "stopping"], ["Soon", "starting"]]
    assert "asked for " in cards[0]
    links = [card.find("a", class_="btn")["href"] for card in page.select(".bai-now")]
    assert links[0] == "/hub/spawn-pending/kim01/work"
    assert len(page.select("form[action$='summary/stop']")) == 2


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


def bars(page):
    return {text(item).split(" ")[0]: text(item) for item in page.select("section[aria-labelledby=limits-title] .bai-limits li")}


async def test_nobody_limits_anything_yet(browser):
    _, page = await browser.get("summary")
    assert bars(page) == {"CPUs": "CPUs 0 no limit", "Memory": "Memory 0 B no limit", "GPUs": "GPUs 0 no limit"}
    assert not page.select(".bai-bar")
    assert text(page.select_one("#limits thead")).endswith("Project (default) Domain (default)")


async def test_the_limit_that_is_hit_first_is_named(browser, site):
    await site.db.run(add_session, slots=make_slots(1, 4 * GIB))
    await site.db.run(add_session, "lee01", project="default", slots=make_slots(2, GIB))
    await site.db.run(limit, keypair={"cpu": "8", "mem": "16g"}, sessions=3, project={"cpu": "4"}, domain={"cpu": "100"})
    _, page = await browser.get("summary")
    found = bars(page)
    assert found["CPUs"] == "CPUs 3 / 4 1 left Limits first: the project default"
    assert found["Memory"] == "Memory 4 GiB / 16 GiB 12 GiB left Limits first: your keypair, by the policy default"
    assert found["Sessions"].startswith("Sessions 1 / 3 2 left")
    widths = [item.select_one(".part")["width"] for item in page.select(".bai-bar")]
    assert widths == ["75.00", "25.00", "33.33"]
    rows = [[text(cell) for cell in row.select("th, td")] for row in page.select("#limits tbody tr")]
    assert rows[0] == ["CPUs", "1 / 8", "1 / 8", "3 / 4", "3 / 100"]
    assert rows[-1] == ["Sessions", "1 / 3", "1 / ∞", "∞", "∞"]


async def test_project_and_resource_group_are_chosen_in_the_address(nobody, site):
    await site.db.run(limit, project={"cpu": "4"}, name="vips")
    await site.db.run(add_session, "lee01", project="vips", queue="vip", slots=make_slots(3, GIB))
    await nobody.log_in(site.hub.let_in("lee01"))
    _, page = await nobody.get("summary?project=vips&resource_group=vip")
    assert [option.text for option in page.select("#project option[selected]")] == ["vips"]
    assert bars(page)["CPUs"] == "CPUs 3 / 4 3 of it yours"  # the last of two: everybody's in the resource group
    assert "3 / 4 3 of it yours" in text(page.select_one("section[aria-labelledby=limits-title]"))
    assert "vips 1 session CPUs 3 · Memory 1 GiB" in text(page)
    _, page = await nobody.get("summary?project=default&resource_group=nosuch")
    assert [option.text for option in page.select("#project option[selected]")] == ["alpha"]
    assert not page.select("#resource_group option[selected]")


@pytest.mark.parametrize(("role", "is_kept", "is_told"), [("SUPERADMIN", False, True), ("SUPERADMIN", None, False), ("USER", False, False)])
async def test_an_administrator_is_told_of_a_clock_that_nobody_sets(browser, site, monkeypatch, role, is_kept, is_told):
    monkeypatch.setattr("jupyterhub_backendai.services.summary.is_clock_kept", lambda: is_kept)
    await site.db.run(lambda db: db.query(models.User).filter_by(name="kim01").update({"role": models.Role[role]}))
    _, page = await browser.get("summary")
    assert ("No time server sets this machine's clock." in page.text) is is_told


def test_the_kernel_is_asked_and_changes_nothing():
    assert is_clock_kept() in {True, False, None}


def add_invitation(db):
    """lee01 asks kim01 to share a folder; the invitation's id."""
    owner = db.query(models.User).filter_by(name="lee01").one()
    folder = add_folder(db, "shared-data", "lee01")
    row = models.VFolderInvitation(vfolder_id=folder, inviter_id=owner.id, invitee_id=user_id(db, "kim01"), permission=Permission.READ_ONLY)
    db.add(row)
    db.flush()
    return row.id


async def test_invitations_are_answered_there(browser, site):
    invitation = await site.db.run(add_invitation)
    _, page = await browser.get("summary")
    [item] = page.select("#invitations li")
    assert "shared-data" in text(item)
    assert "from lee01" in text(item)
    form = item.find("form")
    fields = {"_xsrf": form.find("input")["value"], "act": "accept"}
    assert [button["value"] for button in form.select("button")] == ["accept", "decline"]
    response, _ = await browser.post(f"data/invitations/{invitation}", fields)
    assert response.status in (302, 303)
    _, page = await browser.get("summary")
    assert not page.select("#invitations")
