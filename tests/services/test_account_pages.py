"""The pages of one's own account, as a browser without script uses them."""

from datetime import timedelta

import pytest_asyncio

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.logins import hash_session
from jupyterhub_backendai.store import account, active_logins, models
from tests.databases import sqlite_template
from tests.services.own_account import PASSWORD, add_login, code_of, give_password, give_token, list_audit
from tests.services.public import Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
PAGES = ["account", "account/password", "account/otp", "account/keypairs", "account/ssh-key", "account/logins"]
SESSION = "of-this-browser"


@pytest_asyncio.fixture
async def owner(site, browser):
    """kim01, with a password, at the browser of a login that is written down."""
    await give_password(site)
    await log_in_as(site, browser, SESSION)
    return browser


async def log_in_as(site, browser, session):
    browser.http.cookie_jar.update_cookies({"jupyterhub-session-id": session})
    await add_login(site, session)


async def submit(browser, path, form=0, **fields):
    """Fill the form of that number on a page and send it."""
    _, page = await browser.get(path)
    found = page.select("main form")[form]
    values = {item["name"]: item.get("value", "") for item in found.select("input[name], button[name]")}
    values |= {item["name"]: item.text for item in found.select("textarea[name]")}
    return await browser.post(found["action"].partition("/services/backendai/")[2], {**values, **fields})


def errors_of(page):
    return [" ".join(item.text.split()) for item in page.select("main [role=alert] li, main [role=alert] > a")]


async def test_every_page_is_the_owners_own(site, owner, nobody):
    for path in PAGES:
        response, page = await owner.get(path)
        assert response.status == 200, path
        assert response.headers["Cache-Control"] == "no-store"
        assert len(page.select("nav [aria-current=page]")) >= 2, path
        assert (await nobody.get(path))[0].status == 302
        response, _ = await owner.post(path, {"display_name": "x"})
        assert response.status == 403, "a form of another site"
    _, page = await owner.get("account")
    assert "kim01" in page.select_one("main").text
    _, page = await owner.get("summary")
    assert page.select_one("#login_widget a.bai-account")["href"].endswith("/services/backendai/account")


async def test_another_person_sees_another_account(site, owner):
    await owner.get("account")
    other = Browser(site)
    await other.log_in(site.hub.let_in("lee01"))
    for path in PAGES:
        response, page = await other.get(path)
        assert response.status == 200
        assert "kim01" not in page.text
    await other.http.close()


async def test_profile_keeps_what_was_typed_until_it_is_right(site, owner):
    response, page = await submit(owner, "account", display_name="김01", email="nowhere", language="ko")
    assert response.status == 400
    assert errors_of(page) == ["This is not a mail address."]
    assert page.select_one("#f-display_name")["value"] == "김01"
    assert page.select_one("#f-email")["aria-invalid"] == "true"
    response, page = await submit(owner, "account", display_name="김01", language="ko")
    assert (response.status, response.headers["Location"]) == (303, "/services/backendai/account?done=saved")
    _, page = await owner.get("account?done=saved")
    assert page.html["lang"] == "ko"
    assert page.select_one("main [role=status]")
    assert page.select_one("#f-display_name")["value"] == "김01"
    # the account's language is that of another browser too
    other = Browser(site)
    await other.log_in("token-of-kim01")
    assert (await other.get("account"))[1].html["lang"] == "ko"
    await other.http.close()


async def test_password(site, owner):
    await add_login(site, "elsewhere")
    response, page = await submit(owner, "account/password", old="wrong", new="another l0ng one!", again="another l0ng one!")
    assert (response.status, errors_of(page)) == (400, ["The current password is not right."])
    assert not [item for item in page.select("input[type=password]") if item.get("value")]
    response, _ = await submit(owner, "account/password", old=PASSWORD, new="another l0ng one!", again="another l0ng one!")
    assert response.headers["Location"].endswith("account/password?done=password")
    assert [login.id for login in await site.db.run(active_logins.list_logins, "kim01", models.now())] == [hash_session(SESSION)]
    assert site.hub.forgotten == [{"name": "kim01", "ids": [hash_session("elsewhere")], "all": False}]


async def test_one_time_password(site, owner):
    old = await give_token(site)
    response, page = await submit(owner, "account/otp", password=PASSWORD, code="123")
    assert (response.status, errors_of(page)) == (400, ["The password or the one-time password is not right."])
    response, page = await submit(owner, "account/otp", password=PASSWORD, code=code_of(old))
    assert response.status == 200
    new = otp.parse_secret(page.select_one("#otp-key").text)
    assert page.select_one("svg")
    form = {item["name"]: item.get("value", "") for item in page.select("main form input[name]")}
    response, page = await owner.post("account/otp/confirm", {**form, "code": f"{(int(code_of(new)) + 1) % 10**6:06d}"})
    assert response.status == 400
    assert page.select_one("#otp-key"), "the same key once more"
    response, page = await owner.post("account/otp/confirm", {**form, "code": code_of(new)})
    assert response.status == 200
    assert len(page.select(".bai-recovery li")) == 10
    _, page = await owner.get("account/otp")
    assert "10" in page.select("dd")[1].text
    code = code_of(new, 1)
    response, page = await submit(owner, "account/otp", 1, password=PASSWORD, code=code)
    assert len(page.select(".bai-recovery li")) == 10
    response, _ = await submit(owner, "account/otp", 1, password=PASSWORD, code=code)
    assert response.status == 400
    assert (await owner.get("account/otp/confirm"))[0].status == 302


async def test_a_centre_that_keeps_the_codes(site, owner):
    class Factor:
        joins_password, asks_first = False, False

    site.application.settings["factor"] = Factor()
    _, page = await owner.get("account/otp")
    assert "Your centre keeps" in page.text
    assert not page.select("main form")


async def test_keypairs(site, owner):
    response, page = await submit(owner, "account/keypairs", act="create")
    assert (response.status, errors_of(page)) == (400, ["Type your password or a one-time password."])
    response, page = await submit(owner, "account/keypairs", act="create", password=PASSWORD)
    assert response.status == 200
    secret = page.select_one(".bai-secret").text
    response, page = await submit(owner, "account/keypairs", 1, act="create", access_key="", password=PASSWORD)
    response, page = await owner.get("account/keypairs")
    assert secret not in page.text
    assert [len(article.select("form")) for article in page.select("article")] == [1, 2], "the main one stays active"
    [main, _] = await site.db.run(account.list_keypairs, "kim01")
    response, page = await submit(owner, "account/keypairs", 2)
    assert response.headers["Location"].endswith("done=switched")
    assert not (await site.db.run(account.list_keypairs, "kim01"))[1].is_active
    response, page = await submit(owner, "account/keypairs", 0, password=PASSWORD)
    assert page.select_one(".bai-secret").text != secret
    response, page = await submit(owner, "account/keypairs", 0, act="deactivate")
    assert (response.status, main.is_main) == (409, True)
    response, _ = await submit(owner, "account/keypairs", 0, act="deactivate", access_key="AKIAOTHER")
    assert response.status == 404


async def test_ssh_key(owner):
    response, page = await submit(owner, "account/ssh-key", ssh_public_key="-----BEGIN OPENSSH PRIVATE KEY-----", password=PASSWORD)
    assert response.status == 400
    assert "private key" in errors_of(page)[0]
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    response, _ = await submit(owner, "account/ssh-key", ssh_public_key=key, password=PASSWORD)
    assert response.status == 303
    _, page = await owner.get("account/ssh-key")
    assert key in page.text
    response, _ = await submit(owner, "account/ssh-key", 1)
    assert response.headers["Location"].endswith("done=ssh-key-removed")


async def test_logins(site, owner):
    first = await add_login(site, "first")
    await add_login(site, "second")
    await add_login(site, "not-mine", "lee01")
    _, page = await owner.get("account/logins")
    rows = page.select("tbody tr")
    assert len(rows) == 3
    assert "this one" in rows[0].text
    assert not rows[0].select("form")
    assert "Firefox · Linux" in " ".join(rows[1].text.split())
    response, _ = await submit(owner, "account/logins", 0, id=first)
    assert response.headers["Location"].endswith("done=ended")
    response, _ = await submit(owner, "account/logins", 0, id=hash_session("not-mine"))
    assert response.status == 404
    response, _ = await submit(owner, "account/logins", 1)
    assert response.headers["Location"].endswith("done=others-ended")
    found = await site.db.run(active_logins.list_logins, "kim01", models.now() + timedelta(minutes=1))
    assert [login.id for login in found] == [hash_session(SESSION)]


async def test_a_hub_that_cannot_be_told_asks_by_itself(site, owner):
    site.application.settings["hub"]._url = "http://127.0.0.1:9/hub/api"
    first = await add_login(site, "first")
    response, _ = await submit(owner, "account/logins", 0, id=first)
    assert response.headers["Location"].endswith("done=ended")


async def test_nobody_says_where_an_act_came_from_but_proxies_of_the_site(site, owner):
    await give_token(site)
    headers = {"X-Real-Ip": "203.0.113.1", "X-Forwarded-For": "203.0.113.2, 198.51.100.7"}
    _, page = await owner.get("account/otp")
    fields = {"_xsrf": page.select_one("main form [name=_xsrf]")["value"], "act": "enrol", "password": "x", "code": "1"}
    response, _ = await owner.post("account/otp", fields, headers=headers)
    assert response.status == 400
    sources = await site.db.run(lambda db: [row.source for row in db.query(models.AuditEntry).filter_by(action="prove")])
    assert sources == ["198.51.100.7"]


async def test_a_form_of_another_site_does_nothing(site, owner):
    fields = {
        "act": "create",
        "password": PASSWORD,
        "old": PASSWORD,
        "new": "another l0ng one!",
        "again": "another l0ng one!",
        "others": "1",
    }
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for path in [*PAGES, "account/otp/confirm"]:
        for headers in ({}, elsewhere):
            response, _ = await owner.post(path, fields, headers=headers)
            assert response.status == 403, path
    calls = {"PATCH": [""], "POST": ["/password", "/otp", "/otp/confirm", "/otp/recovery-codes", "/keypairs"], "PUT": ["/ssh-key"]}
    for method, paths in {**calls, "DELETE": ["/ssh-key", "/logins", f"/logins/{hash_session(SESSION)}"]}.items():
        for path in paths:
            response, _ = await owner._ask(method, f"rest/v1/account{path}", json=fields, headers=elsewhere)
            assert response.status in {401, 403}, (method, path)
    assert await list_audit(site, "change-password", "end-login", "keypair.create", "ssh-key.remove", "prove") == []
