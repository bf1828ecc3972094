"""Pages of people without an account, on a hub whose site turned none of them on."""

from __future__ import annotations

import pytest

from .conftest import Browser, Service

pytestmark = pytest.mark.e2e
PAGES = ("sign-up", "verify?token=x", "forgotten", "reset?token=x", "done?what=verify")


async def test_what_is_off_is_not_there(browser: Browser, service: Service) -> None:
    page = await browser.open("/hub/login")
    assert not page.select('a[href*="/account/"]')
    xsrf = page.select_one("[name=_xsrf]")["value"]
    for path in PAGES:
        await browser.open(f"/hub/account/{path}")
        assert (path, browser.status) == (path, 404)
        await browser.open(f"/hub/account/{path}", "POST", data={"_xsrf": xsrf, "username": "kim01", "token": "x"})
        assert browser.status in (404, 405), path
        await browser.open(f"/hub/account/{path}", "POST", data={"username": "kim01"})
        assert browser.status in (403, 404, 405), path
