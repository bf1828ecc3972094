from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.services.charts import HEIGHT, build_spark, build_stack, round_up
from jupyterhub_backendai.store import models
from tests.factories import GIB, add_user, make_slots
from tests.services.admin.conftest import open_browser

PAGE = "admin/statistics"


def add_past(db, user, project="alpha", hours=2, **fields):
    """Some hours of a session that ended an hour ago."""
    end = datetime.now(UTC) - timedelta(hours=1)
    row = models.ComputeSession(
        **{
            "id": models.new_id(),
            "user_id": db.query(models.User).filter_by(name=user).one().id,
            "domain": "default",
            "project": project,
            "queue": "small",
            "engine": "local",
            "environment": "default",
            "interface": "lab",
            "slots": make_slots(2, 4 * GIB, 1),
            "time_limit_s": 7200,
            "status": SessionStatus.TERMINATED,
            "created_at": end - timedelta(hours=hours),
            "started_at": end - timedelta(hours=hours),
            "terminated_at": end,
            "released_at": end,
            **fields,
        }
    )
    db.add(row)
    db.flush()


def fill(db):
    add_past(db, "kim01")
    add_past(db, "lee01", "=HYPERLINK(1)", hours=4)
    add_past(db, "lee01", "secret", domain="other", slots=make_slots(16, GIB))


def table(page):
    rows = {}
    for row in page.select("#groups tbody tr"):
        rows[row.find("th").text.strip()] = [" ".join(cell.text.split()) for cell in row.select("td")]
    return rows


async def test_nothing_ran_yet(root):
    response, page = await root.get(PAGE)
    assert response.status == 200
    assert "Nothing ran in this time." in page.text
    assert not page.select("[style], script:not([nonce])")


async def test_a_superadministrator_sees_everything(root, site):
    await site.db.run(fill)
    _, page = await root.get(f"{PAGE}?by=project")
    assert table(page) == {
        "secret": ["1", "2.0", "32.0", "2.0", "0.0", "72.7 %"],
        "=HYPERLINK(1)": ["1", "4.0", "8.0", "16.0", "4.0", "18.2 %"],
        "alpha": ["1", "2.0", "4.0", "8.0", "2.0", "9.1 %"],
    }
    assert len(page.select(".bai-stack rect title")) >= 3
    assert len(page.select("#time tbody tr")) == 30
    assert page.select_one("nav.bai-menu [aria-current=page]").text.strip() == "Statistics"


async def test_a_domains_administrator_sees_the_own_domain_only(admin, site):
    await site.db.run(fill)
    _, page = await admin.get(f"{PAGE}?by=project")
    assert set(table(page)) == {"alpha", "=HYPERLINK(1)"}
    _, page = await admin.get(f"{PAGE}?by=domain&domain=other")
    assert table(page) == {}
    assert "secret" not in page.text


async def test_another_domains_administrator_sees_nothing_of_it(site, people):
    await site.db.run(fill)
    await site.db.run(lambda db: add_user(db, "choi05", role=Role.ADMIN, posix=False))
    await site.db.run(lambda db: setattr(db.query(models.User).filter_by(name="choi05").one(), "domain", "other"))
    stranger = await open_browser(site, "choi05")
    _, page = await stranger.get(f"{PAGE}?by=user")
    assert table(page)["lee01"][2] == "32.0"
    assert "kim01" not in page.text
    await stranger.http.close()


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}.csv", "rest/v1/admin/statistics"])
async def test_there_is_nothing_for_members_and_strangers(member, nobody, path):
    response, _ = await member.get(path)
    assert response.status == 404
    response, _ = await nobody.get(path)
    assert response.status in (302, 401)


async def test_a_group_leads_to_its_people(root, site):
    await site.db.run(fill)
    _, page = await root.get(f"{PAGE}?by=project&measure=mem&unit=week")
    link = page.find("a", string="alpha")["href"].partition("/backendai/")[2]
    _, page = await root.get(link)
    assert set(table(page)) == {"kim01"}
    assert "measure=mem" in link
    chip = page.find("a", attrs={"aria-label": "Not only alpha"})
    _, page = await root.get(chip["href"].partition("/backendai/")[2])
    assert set(table(page)) == {"kim01", "lee01"}


async def test_what_cannot_be_is_said_beside_the_field(root):
    response, page = await root.get(f"{PAGE}?from=2026-02-30&to=x&unit=year&by=colour&measure=money")
    assert response.status == 400
    assert {item["id"] for item in page.select(".invalid-feedback")} == {
        f"{name}-error" for name in ("from", "to", "unit", "by", "measure")
    }


async def test_files_are_safe_to_open_in_a_spreadsheet(root, site):
    await site.db.run(fill)
    response, page = await root.get(f"{PAGE}.csv?by=project")
    assert response.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in response.headers["Content-Disposition"]
    lines = page.text.lstrip("\ufeff").splitlines()
    assert lines[0].split(",")[:3] == ["project", "sessions", "hours"]
    assert len(lines) == 4
    assert "'=HYPERLINK(1)" in page.text
    response, page = await root.get(f"{PAGE}.csv?by=project&table=time")
    assert len(page.text.splitlines()) > 30


async def test_the_same_for_programs(root, site):
    await site.db.run(fill)
    async with root.http.get(f"{site.url}rest/v1/admin/statistics?by=user") as response:
        found = await response.json()
    assert response.status == 200
    assert (found["total"]["sessions"], found["people"], found["unit"], len(found["buckets"])) == (3, 2, "day", 30)
    assert [group["name"] for group in found["groups"]] == ["lee01", "kim01"]
    assert found["groups"][1]["slot_hours"] == {"cpu": "4", "cuda.device": "2", "mem": str(8 * GIB)}
    async with root.http.get(f"{site.url}rest/v1/admin/statistics?by=colour") as response:
        assert (response.status, (await response.json())["violations"][0]["field"]) == (400, "by")


def test_a_chart_is_drawn_to_scale():
    stack = build_stack({"a": [2.0, 0.0], "": [1.0, 0.5]}, ["mon", "tue"], "CPU·h", "others")
    assert (stack.top, [name for name, _ in stack.legend]) == (4, ["a", "others"])
    assert [(box.name, box.y, box.height) for box in stack.boxes] == [("a", 50, 50), ("others", 25, 25), ("others", 87.5, 12.5)]
    assert all(box.y >= 0 and box.y + box.height <= HEIGHT for box in stack.boxes)
    assert build_stack({}, [], "x", "y").is_empty
    assert [round_up(value) for value in (0, 0.3, 1, 3, 9, 85)] == [1, 0.4, 1, 4, 10, 100]
    assert (build_spark([1]), build_spark([0, 1])) == ("", "0.0,100.0 1000.0,0.0")
