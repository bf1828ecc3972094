from pathlib import Path

import pytest

from jupyterhub_backendai.services import health
from tests.databases import sqlite_template
from tests.fakes import ACCESS
from tests.services.public import Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


async def fetch(site, path, token="", **kwargs):
    headers = {"Authorization": f"token {token}"} if token else {}
    async with Browser(site).http as http, http.get(site.url + path, headers=headers, allow_redirects=False, **kwargs) as response:
        return response, await response.text()


async def test_health(site):
    response, text = await fetch(site, "health")
    assert response.status == 200
    assert '"status": "ok"' in text
    assert "as the account of the hub" in text
    assert "%s" not in text


async def test_health_says_nothing_of_one_person_with_a_helper(site, settings):
    Path(settings.helper_socket).touch()
    assert "account of the hub" not in (await fetch(site, "health"))[1]


async def test_without_a_database_it_listens_and_comes_back(site, browser):
    url, site.health._check = site.settings.database_url, _always("The database has revision 0009, this program needs 0001.")
    assert url
    await site.health.look()
    response, text = await fetch(site, "")
    assert response.status == 200
    assert "Not possible right now" in text
    assert "revision" not in text
    response, text = await fetch(site, "health")
    assert (response.status, "0009" in text) == (503, True)
    for path in ("launch", "queues", "rest/v1/queues", "nosuch"):
        response, _ = await fetch(site, path)
        assert (path, response.status, response.headers["Retry-After"]) == (path, 503, "5")
    site.health._check = site.db.check
    await site.health.look()
    assert (await fetch(site, "health"))[0].status == 200
    assert (await browser.get("launch"))[0].status == 200


async def test_a_database_that_goes_away_between_two_looks(site, browser, settings):
    site.application.settings["identities"] = {}
    Path(settings.state_dir, "backendai.sqlite").write_bytes(b"not a database at all" * 100)
    for path in ("backendai.sqlite-wal", "backendai.sqlite-shm"):
        Path(settings.state_dir, path).unlink(missing_ok=True)
    site.db.engine.dispose()
    await site.health.look()
    assert (await fetch(site, "health"))[0].status == 503
    assert (await fetch(site, ""))[0].status == 200


def _always(text):
    async def check():
        return text

    return check


async def test_a_check_that_fails_is_trouble_too():
    async def broken():
        raise RuntimeError("x")

    watch = health.Health(broken)
    assert "x" in await watch.look()
    assert not watch.recovered.is_set()


async def test_the_root_leads_to_the_launch_page(site):
    response, _ = await fetch(site, "")
    assert (response.status, response.headers["Location"]) == (302, "/services/backendai/launch")


async def test_metrics_behind_their_scope(site):
    await site.figures.read()
    response, text = await fetch(site, "metrics", site.hub.let_in("prometheus", "p", health.METRICS_SCOPE, kind="service"))
    assert response.status == 200
    for name in (
        "backendai_sessions",
        "backendai_refusals_total",
        "backendai_logins",
        "backendai_figures_age_seconds",
        "backendai_engine_reads_total",
    ):
        assert name in text
    assert 'backendai_figures_age_seconds{engine="slurm"}' in text


@pytest.mark.parametrize(("scopes", "status"), [((ACCESS,), 403), (("read:metrics",), 403), (None, 401)])
async def test_metrics_for_others(site, scopes, status):
    token = site.hub.let_in("kim01", "t", *scopes) if scopes else ""
    assert (await fetch(site, "metrics", token))[0].status == status


@pytest.mark.parametrize("path", ["private/sessions", "private/login", "../../private/sessions", "private/identities/kim01"])
async def test_no_private_call_on_the_public_listener(site, path):
    secret = site.settings.read_secret("private")
    async with Browser(site).http as http:
        for url in (site.url + path, site.url.replace("/services/backendai/", "/") + path):
            for method in ("GET", "POST"):
                async with http.request(method, url, headers={"Authorization": f"Bearer {secret}"}, allow_redirects=False) as response:
                    assert response.status in (403, 404)


async def test_unknown_addresses_and_methods(browser, site):
    response, page = await browser.get("nosuch")
    assert response.status == 404
    assert page.find("h1").text == "Not found"
    response, _ = await browser.post("health", {})
    assert response.status in (403, 405)


async def test_a_fault_of_ours_is_a_plain_500_with_an_id(browser, site, caplog):
    site.application.settings["figures"] = None
    response, page = await browser.get("launch")
    assert response.status == 500
    assert "NoneType" not in page.text
    error_id = page.find("main").text.rsplit(": ", 1)[-1].strip()
    assert error_id in caplog.text


async def test_static_files_are_for_all(site):
    response, text = await fetch(site, "static/js/launch.js")
    assert (response.status, "mergeTable" in text) == (200, True)
    for path in ("static/../../templates/page.html", "static/%2e%2e/%2e%2e/config.py", "static/"):
        assert (await fetch(site, path))[0].status in (403, 404)
