from urllib.parse import parse_qs, urlsplit

import pytest

from jupyterhub_backendai.store import users
from jupyterhub_backendai.store.models import UserStatus
from tests.databases import sqlite_template
from tests.services.public import Browser, browser, close_site, nobody, open_site, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


async def begin(browser, path="launch?opt-cpu=2"):
    response, _ = await browser.get(path)
    return parse_qs(urlsplit(response.headers["Location"]).query)


async def test_a_login_survives_a_restart_of_the_service(nobody, site, settings):
    query = await begin(nobody)
    second = await open_site(settings, site.hub, site.engine, site.db)
    nobody.site = second
    response, _ = await nobody.get("oauth_callback", params={"code": site.hub.let_in("kim01"), "state": query["state"][0]})
    assert (response.status, response.headers["Location"]) == (302, "/services/backendai/launch?opt-cpu=2")
    assert (await nobody.get("launch"))[0].status == 200
    await close_site(second)


async def test_the_state_hides_the_verifier(nobody):
    query = await begin(nobody)
    assert query["code_challenge_method"] == ["S256"]
    assert "opt-cpu" not in query["state"][0]
    assert len(query["state"][0]) < 2000


@pytest.mark.parametrize("state", ["", "x", "gAAAAA" + "A" * 200, "\u00e9"])
async def test_a_wrong_state_begins_again(nobody, site, state):
    await begin(nobody)
    response, _ = await nobody.get("oauth_callback", params={"code": site.hub.let_in("kim01"), "state": state})
    assert (response.status, response.headers["Location"]) == (302, "/services/backendai/")
    assert (await nobody.get("launch"))[0].status == 302


async def test_somebody_elses_state_is_no_login(nobody, site):
    other = Browser(site)
    query = await begin(other)
    response, _ = await nobody.get("oauth_callback", params={"code": site.hub.let_in("kim01"), "state": query["state"][0]})
    assert response.headers["Location"] == "/services/backendai/"
    assert (await nobody.get("launch"))[0].status == 302
    await other.http.close()


async def test_a_very_long_address_still_logs_in(nobody, site):
    query = await begin(nobody, "launch?opt-name=" + "x" * 5000)
    response, _ = await nobody.get("oauth_callback", params={"code": site.hub.let_in("kim01"), "state": query["state"][0]})
    assert response.headers["Location"] == "/services/backendai/launch"


async def test_the_cookie_is_for_this_service_only(browser, site):
    [cookie] = [cookie for cookie in browser.http.cookie_jar if cookie.key == "service-backendai"]
    assert (cookie["path"], cookie["samesite"], bool(cookie["httponly"])) == ("/services/backendai/", "Lax", True)


async def test_the_hub_is_asked_once_for_many_pages(browser, site):
    await browser.get("launch")
    before = site.hub.questions
    for _ in range(5):
        assert (await browser.get("launch"))[0].status == 200
    assert site.hub.questions == before


async def test_a_hub_that_is_away_is_not_a_logout(nobody, site):
    await nobody.log_in(site.hub.let_in("kim01"))
    site.application.settings["hub_auth"].api_url = "http://127.0.0.1:9/hub/api"
    site.application.settings["hub_auth"].cache.clear()
    response, page = await nobody.get("launch")
    assert response.status == 503
    assert "JupyterHub does not answer" in page.text
    assert "127.0.0.1:9" not in page.text


async def test_a_closed_account(nobody, site):
    await site.db.run(users.set_status, "kim01", UserStatus.INACTIVE)
    await nobody.log_in(site.hub.let_in("kim01"))
    assert (await nobody.get("launch"))[0].status == 403


async def test_a_language_is_kept_for_hub_and_service(browser):
    fields = await browser.form()
    response, _ = await browser.post(
        "language", {"_xsrf": fields["_xsrf"], "language": "ko", "next": "/services/backendai/launch?opt-cpu=2"}
    )
    assert (response.status, response.headers["Location"]) == (303, "/services/backendai/launch?opt-cpu=2")
    [cookie] = [cookie for cookie in browser.http.cookie_jar if cookie.key == "backendai-language"]
    assert (cookie.value, cookie["path"]) == ("ko", "/")
    assert (await browser.get("launch"))[1].html["lang"] == "ko"


async def test_a_language_needs_the_token_and_leads_nowhere_else(browser):
    response, _ = await browser.post("language", {"language": "ko"})
    assert response.status == 403
    xsrf = (await browser.form())["_xsrf"]
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        response, _ = await browser.post("language", {"_xsrf": xsrf, "language": "xx", "next": target})
        assert response.headers["Location"] == "/services/backendai/"
        assert "backendai-language" not in response.cookies
