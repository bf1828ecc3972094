"""The account pages in Chromium: axe, both languages, light and dark, a phone; and the whole way by keyboard."""

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.store import account
from tests.databases import sqlite_template
from tests.services.browsing import AXE, RUN, SHOTS, chromium, open_page, tab_to, watch
from tests.services.own_account import PASSWORD, add_login, code_of, give_password, give_token
from tests.services.public import settings, site

__all__ = ["chromium", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f kim01@laptop"
PAGES = ["account", "account/password", "account/otp", "account/keypairs", "account/ssh-key", "account/logins"]


@pytest.fixture
async def secret(site):
    await give_password(site)
    await add_login(site, "one")
    await add_login(site, "two")
    for _ in range(2):
        key, _ = await site.db.run(account.add_keypair, "kim01", 5, "")
    await site.db.run(account.set_keypair_active, "kim01", key, "", is_active=False)
    await site.db.run(account.set_ssh_key, "kim01", ED25519, "", "")
    return await give_token(site)


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ko", "dark")])
async def test_axe_finds_nothing_serious(chromium, site, secret, language, scheme):
    page = await open_page(chromium, site, language=language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    await page.emulate_media(color_scheme=scheme)
    found = []
    for path in PAGES:
        await page.goto(site.url + path)
        await page.wait_for_function("scheme => document.documentElement.dataset.bsTheme == scheme", arg=scheme)
        for details in await page.locator("main details").all():
            await details.evaluate("element => element.open = true")
        found += [f"{path} {line}" for line in await page.evaluate(RUN, [])]
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        await page.screenshot(path=SHOTS / f"{path.replace('/', '-')}-phone-{language}.png", full_page=True)
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.screenshot(path=SHOTS / f"{path.replace('/', '-')}-{language}.png", full_page=True)
    assert found == []
    await page.context.close()


async def test_by_keyboard_alone(chromium, site, secret):
    """A keypair is made, and the one-time password moved to another telephone; our policy has nothing to complain about."""
    page = await open_page(chromium, site)
    complaints = watch(page)
    await page.goto(site.url + "account/keypairs")
    await tab_to(page, "main summary:has(~ form input[value=create])")
    await page.keyboard.press("Enter")
    await tab_to(page, "#f-password")
    await page.keyboard.type("wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator("main [role=alert]")).to_contain_text("not right")
    await expect(page.locator("#f-password")).to_be_visible()
    await tab_to(page, "#f-code")
    await page.keyboard.type(code_of(secret))
    await page.keyboard.press("Enter")
    await expect(page.locator(".bai-secret")).to_be_visible()
    await page.screenshot(path=SHOTS / "account-secret-en.png", full_page=True)
    await page.goto(site.url + "account/otp")
    await tab_to(page, "#f-password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Tab")
    await page.keyboard.type(code_of(secret, 1))
    await page.keyboard.press("Enter")
    await expect(page.locator("main svg")).to_be_visible()
    await page.screenshot(path=SHOTS / "account-otp-enrol-en.png", full_page=True)
    assert complaints == []
    await page.context.close()
