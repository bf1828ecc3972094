"""Two hubs under one host name, as behind one proxy, on one service and one database: their logins are each their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.identity import UserStatus
from jupyterhub_backendai.store import models, users

from .conftest import PASSWORD, Browser, Hub, Service, code_of, run_hub
from .test_refresh_logins import until

pytestmark = pytest.mark.e2e
BASE = "/second"


@pytest.fixture(scope="module")
def second(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Another hub beneath a path of its own, with the same secrets and the same service."""
    state = tmp_path_factory.mktemp("second")
    changes = {"TEST_BASE": f"{BASE}/", "TEST_SERVICE": str(hub.state / "private.sock")}
    with run_hub(state, secrets_from=hub.state / "secrets.json", **changes) as running:
        yield running


class SecondBrowser(Browser):
    """The same browser at the other hub: it knows no ports, so that the cookies of both are sent to both as their paths say."""

    async def is_logged_in(self) -> bool:
        await self.open(f"{BASE}/hub/home")
        return self.status == 200

    async def log_in(self, name: str, code: str) -> None:
        await self.open(f"{BASE}/hub/login")
        await self.submit("username", username=name, password=PASSWORD, otp=code)


@pytest_asyncio.fixture
async def other(browser: Browser, second: Hub) -> AsyncIterator[SecondBrowser]:
    yield SecondBrowser(second, browser.http)


async def test_the_same_browser_at_both(browser: Browser, other: SecondBrowser, service: Service) -> None:
    secret = await service.add_person("noah")
    await browser.login("noah", PASSWORD, code_of(secret))
    assert await browser.is_logged_in()
    assert not await other.is_logged_in()
    # a code is good once, wherever it was used
    await other.log_in("noah", code_of(secret))
    assert other.status == 403
    await other.log_in("noah", code_of(secret, 1))
    assert other.status == 302, other.error
    assert await other.is_logged_in()
    assert await browser.is_logged_in()
    assert await service.db.run(lambda db: db.query(models.User).count()) == 1
    # whoever leaves one stays at the other
    await browser.open("/hub/logout")
    assert not await browser.is_logged_in()
    assert await other.is_logged_in()


async def test_who_is_closed_is_out_at_both(browser: Browser, other: SecondBrowser, service: Service) -> None:
    secret = await service.add_person("olga")
    await browser.login("olga", PASSWORD, code_of(secret))
    assert browser.status == 302, browser.error
    await other.log_in("olga", code_of(secret, 1))
    assert other.status == 302, other.error
    assert await browser.is_logged_in()
    assert await other.is_logged_in()
    await service.db.run(users.set_status, "olga", UserStatus.INACTIVE)

    async def are_out() -> bool:
        return not await browser.is_logged_in() and not await other.is_logged_in()

    await until(are_out, "closed at both hubs")


async def test_a_step_that_waits_at_one_is_none_at_the_other(browser: Browser, other: SecondBrowser, service: Service) -> None:
    await service.add_person("paul", with_token=False)
    await browser.login("paul")
    assert browser.location == "/hub/login/step"
    await other.open(f"{BASE}/hub/login/step")
    assert (other.status, other.location) == (302, f"{BASE}/hub/login")
    await browser.open("/hub/login/step")
    assert browser.page.select_one("#otp-key")
