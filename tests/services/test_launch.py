from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from jupyterhub_backendai.services.launch_form import FIELDS, Form
from jupyterhub_backendai.services.servers import choose_server
from jupyterhub_backendai.store import sessions
from tests.databases import sqlite_template
from tests.services.public import Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


def form(**values):
    return Form({**dict.fromkeys(FIELDS, ""), **values})


async def test_the_table_and_the_form(browser):
    response, page = await browser.get("launch")
    assert response.status == 200
    rows = {row["data-queue"]: row for row in page.select("tr[data-queue]")}
    assert list(rows) == ["small", "v100"]
    cells = [cell.get_text(" ", strip=True) for cell in rows["v100"].select("td")]
    assert cells == ["1", "2", "3", "6", "v100 5/12", "7", "paid", "exclusive", "2 h"]
    fields = await browser.form()
    assert (fields["queue"], fields["cpu"], fields["gpu"], fields["interface"], fields["project"]) == ("small", "1", "0", "lab", "default")
    assert not page.select("script:not([nonce])")
    assert not page.select("[style]")
    policy = response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert (response.headers["Cache-Control"], response.headers["Referrer-Policy"]) == ("no-store", "same-origin")


async def test_a_start(browser, site):
    fields = await browser.form()
    response, _ = await browser.post("launch", {**fields, "queue": "v100", "cpu": "4", "mem": "16g", "gpu": "2", "time": "1h"})
    assert (response.status, response.headers["Location"]) == (303, "/hub/spawn-pending/kim01")
    [(user, server, body)] = site.hub.starts
    assert (user, server, "display_name" in body) == ("kim01", "", False)
    assert body["user_options"] == {
        "queue": "v100", "environment": "default", "interface": "lab", "project": "default", "cpu": "4", "mem": str(16 * 1024**3),
        "gpu": "2", "gpu_type": "", "time": "3600", "name": "",
    }  # fmt: skip


async def test_a_named_start_keeps_the_title(browser, site):
    fields = await browser.form()
    response, _ = await browser.post("launch", {**fields, "name": "딥러닝 Run 1"})
    [(_, server, body)] = site.hub.starts
    assert (server, body["display_name"]) == ("run-1", "딥러닝 Run 1")
    assert response.headers["Location"] == "/hub/spawn-pending/kim01/run-1"


async def test_a_second_session_gets_another_server(browser, site):
    site.hub.servers["kim01"] = {"": {"ready": True, "url": "/user/kim01/"}}
    await browser.post("launch", await browser.form())
    assert site.hub.starts[0][1].startswith("session-")


async def test_a_server_that_runs_is_offered(browser, site):
    site.hub.servers["kim01"] = {"work": {"ready": True, "pending": None, "url": "/user/kim01/work/", "display_name": "내 <i>일</i>"}}
    response, page = await browser.get("launch?server=work")
    assert response.status == 200
    assert "The session 내 <i>일</i> runs already." in page.find(role="alert").text
    assert page.find("a", string="Start another one beside it")["href"] == "/services/backendai/launch"
    assert page.find("a", string="Open it")["href"] == "/user/kim01/work/"
    response, page = await browser.post("launch", await browser.form("?server=work"))
    assert (response.status, site.hub.starts) == (409, [])
    assert page.find("a", string="Open it")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_no_link_starts_anything(browser, site, method):
    async with browser.http.request(method, f"{site.launch}?opt-queue=small&queue=small&start=1&x=1", allow_redirects=False) as response:
        assert response.status in (200, 405)
    assert site.hub.starts == []
    assert await site.db.run(sessions.list_live) == ()


async def test_a_link_fills_the_form(browser):
    fields = await browser.form(
        "?opt-queue=v100&opt-cpu=3&opt-mem=2g&opt-gpu=1&opt-gpu_type=v100&opt-time=30m&opt-name=a%20b&opt-interface=notebook"
    )
    got = {name: fields[name] for name in ("queue", "cpu", "mem", "gpu", "gpu_type", "time", "name", "interface")}
    assert got == {
        "queue": "v100", "cpu": "3", "mem": "2g", "gpu": "1", "gpu_type": "v100", "time": "30m", "name": "a b", "interface": "notebook"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mem", "time", "words"),
    [
        ("3221225472", "5400", ("3 GiB", "1:30")),
        ("3221225473", "5401", ("3221225473", "5401")),
        ("9" * 18, "9" * 18, ("9" * 18, "9" * 18)),
        ("4g", "", ("4g", "")),
    ],
)
async def test_the_options_of_a_session_come_back_in_the_words_of_people(browser, mem, time, words):
    fields = await browser.form(f"?opt-mem={mem}&opt-time={time}")
    assert (fields["mem"], fields["time"]) == words


async def test_a_link_to_somebody_elses_server_says_whose_session_starts(browser):
    _, page = await browser.get("launch?user=lee%3Ci%3E01&server=work")
    assert "not one of lee<i>01" in page.find(role="alert").text
    _, page = await browser.get("launch?user=kim01&server=work")
    assert page.find(role="alert") is None


@pytest.mark.parametrize("is_admin", [True, False])
async def test_the_way_to_the_hubs_administration_is_shown_to_its_administrators(nobody, site, is_admin):
    token = site.hub.let_in("kim01")
    site.hub.tokens[token]["admin"] = is_admin
    await nobody.log_in(token)
    _, page = await nobody.get("launch")
    assert bool(page.find("a", href="/hub/admin")) is is_admin


async def test_a_link_to_a_queue_that_is_not_there_says_so(browser):
    _, page = await browser.get("launch?opt-queue=nosuch")
    assert "There is no queue nosuch" in page.find(id="errors").text


async def test_refresh_without_scripts_keeps_what_was_typed(browser):
    fields = await browser.form()
    response, _ = await browser.get("launch", params={**fields, "cpu": "3", "name": "x", "refresh": "1"})
    assert response.status == 302
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    assert (query["opt-cpu"], query["opt-name"], "_xsrf" in query) == (["3"], ["x"], False)


HOSTILE = {
    "name": ["x" * 65, "a\nb", "a\0b", "\u202ereverse", "a" * 100_000],
    "queue": ["nosuch", "v100\n#SBATCH", "../v100", "'; drop", ""],
    "environment": ["nosuch", "a b", "$(id)", "a\n"],
    "interface": ["shell", "lab;", "\x7f"],
    "project": ["vips", "a;b", "\n", "x" * 500],
    "cpu": ["0", "-1", "1e9", "99999999", "1\n2", "x", "9" * 50, "１２３４５６７８９"],
    "mem": ["-1g", "1", "99999999999p", "4g;", "1g\n--x"],
    "gpu": ["-1", "9", "0x2", "2'"],
    "gpu_type": ["a b", "v100:2", "$x", '"'],
    "time": ["0", "-5", "9999999", "1:99", "2h;"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in HOSTILE.items() for value in values])
async def test_hostile_values_are_refused_beside_the_field(browser, site, field, value):
    fields = {**await browser.form(), "queue": "v100", "gpu": "1", field: value}
    response, page = await browser.post("launch", fields)
    assert response.status == (403 if value == "vips" else 400)  # somebody else's project is a matter of rights, as over REST
    assert site.hub.starts == []
    assert page.find(id=f"{field}-error"), page.find(id="errors").text


async def test_what_was_typed_stays_after_an_error_and_is_text(browser):
    fields = {**await browser.form(), "name": '"><script>alert(1)</script>', "cpu": "99", "time": "2h"}
    response, page = await browser.post("launch", fields)
    again = {field["name"]: field.get("value", "") for field in page.select("#launch input[name]")}
    assert response.status == 400
    assert (again["name"], again["cpu"], again["time"]) == (fields["name"], "99", "2h")
    assert "alert(1)" not in "".join(script.text for script in page.find_all("script"))
    assert page.find("a", href="#cpu")
    assert page.find(id="cpu")["aria-invalid"] == "true"


async def test_a_field_given_twice_is_refused(browser, site):
    fields = [*(await browser.form()).items(), ("cpu", "2")]
    response, _ = await browser.post("launch", fields)
    assert (response.status, site.hub.starts) == (400, [])


async def test_all_mistakes_are_said_at_once(browser):
    _, page = await browser.post("launch", {**await browser.form(), "cpu": "0", "mem": "x", "time": "x"})
    assert len(page.find(id="errors").find_all("li")) == 3


async def test_the_hubs_refusal_is_shown(browser, site):
    site.hub.refusal = (400, {"status": 400, "message": "The queue <small> is full: 4 of 4 CPUs are in use."})
    response, page = await browser.post("launch", await browser.form())
    assert response.status == 400
    assert "The queue <small> is full" in page.find(id="errors").text


async def test_a_hub_in_trouble(browser, site):
    site.hub.refusal = (500, {})
    response, page = await browser.post("launch", await browser.form())
    assert response.status == 503
    assert page.find(id="errors")


async def test_xsrf(browser, site):
    fields = await browser.form()
    for token in ({}, {"_xsrf": "wrong"}, {"_xsrf": ""}):
        response, _ = await browser.post("launch", {**{k: v for k, v in fields.items() if k != "_xsrf"}, **token})
        assert response.status == 403
    assert site.hub.starts == []


async def test_another_ones_xsrf_token_is_refused(browser, site):
    other = Browser(site)
    await other.log_in(site.hub.let_in("lee01"))
    stolen = (await other.form())["_xsrf"]
    response, _ = await browser.post("launch", {**await browser.form(), "_xsrf": stolen})
    assert response.status == 403
    await other.http.close()


async def test_an_expired_login_comes_back_to_the_filled_form(browser, site):
    fields = {**await browser.form(), "cpu": "3", "name": "내 세션"}
    site.hub.tokens.pop("token-of-kim01")
    response, _ = await browser.post("launch", fields)
    assert response.status == 303
    assert urlsplit(response.headers["Location"]).path == "/hub/api/oauth2/authorize"
    state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    response, _ = await browser.get("oauth_callback", params={"code": site.hub.let_in("kim01", "fresh"), "state": state})
    target = response.headers["Location"]
    assert "opt-cpu=3" in target
    assert "opt-name=내+세션" in unquote(target)
    assert site.hub.starts == []


async def test_nobody_is_sent_to_the_login_and_back(nobody, site):
    response, _ = await nobody.get("launch?opt-cpu=3")
    assert response.status == 302
    state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
    response, _ = await nobody.get("oauth_callback", params={"code": site.hub.let_in("kim01"), "state": state})
    assert response.headers["Location"] == "/services/backendai/launch?opt-cpu=3"


async def test_nobody_cannot_post(nobody, site):
    response, _ = await nobody.post("launch", {"queue": "small"})
    assert (response.status, urlsplit(response.headers["Location"]).path) == (303, "/hub/api/oauth2/authorize")
    assert site.hub.starts == []


async def test_somebody_whom_the_platform_does_not_know(nobody, site):
    await nobody.log_in(site.hub.let_in("guest"))
    response, page = await nobody.get("launch")
    assert response.status == 403
    assert "not active here" in page.text


async def test_a_member_of_two_projects_chooses(nobody, site):
    await nobody.log_in(site.hub.let_in("lee01"))
    _, page = await nobody.get("launch")
    assert [option.text for option in page.find("select", id="project").find_all("option")] == ["alpha", "vips"]
    assert "vip" in [row["data-queue"] for row in page.select("tr[data-queue]")]
    response, page = await nobody.post("launch", {**await nobody.form(), "queue": "vip", "project": "alpha"})
    assert (response.status, site.hub.starts) == (403, [])


async def test_korean(nobody, site):
    await nobody.log_in(site.hub.let_in("kim01"))
    _, page = await nobody.get("launch", headers={"Accept-Language": "ko-KR,ko;q=0.9"})
    assert page.html["lang"] == "ko"
    assert "작은 큐" in page.text
    assert page.find("button", id="start").text == "세션 시작"
    assert "2시간" in page.text


async def test_next_goes_along_only_when_it_is_ours(browser):
    fields = await browser.form("?next=/user/kim01/lab")
    response, _ = await browser.post("launch", fields)
    assert response.headers["Location"] == "/hub/spawn-pending/kim01?next=%2Fuser%2Fkim01%2Flab"
    assert "next" not in await browser.form("?next=//evil.example")


@pytest.mark.parametrize(
    ("title", "expected"),
    [("work", "work"), ("My Run 2", "my-run-2"), ("2nd", "s-2nd"), ("한글", None), ("a", None), ("-" * 40, None), ("x" * 64, "x" * 23)],
)
def test_server_names(title, expected):
    from jupyterhub.slugs import is_valid_safe_slug

    name = choose_server(form(name=title), {})
    assert is_valid_safe_slug(name)
    assert expected is None or name == expected


def test_a_taken_name_gets_a_tail():
    name = choose_server(form(name="work"), {"work": {"ready": True}})
    assert name.startswith("work-")
    assert len(name) > 5


async def test_starting_later_is_offered_where_there_is_a_line_and_refused_elsewhere(browser, site):
    assert "starts_at" not in await browser.form()
    fields = await browser.form("?opt-starts_at=%2B2h&opt-depends_on=train")
    assert (fields["starts_at"], fields["depends_on"]) == ("+2h", "train")
    response, page = await browser.post("launch", fields)
    assert (response.status, site.hub.starts) == (400, [])
    assert "no waiting line" in page.find(id="starts_at-error").text
    site.application.settings["groups"]._queues = {
        name: replace(queue, scheduler="fifo") for name, queue in site.application.settings["groups"].queues().items()
    }
    assert (await browser.form())["starts_at"] == ""
    await browser.post("launch", fields)
    [(_, _, body)] = site.hub.starts
    assert (body["user_options"]["starts_at"], body["user_options"]["depends_on"]) == ("+7200", "train")
