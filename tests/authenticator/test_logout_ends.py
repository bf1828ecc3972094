"""Logging out ends servers where the site says so, and each knows why; what starts or waits goes on."""

from types import SimpleNamespace

import pytest
from jupyterhub.handlers.login import LogoutHandler

from jupyterhub_backendai.authenticator.active_logins import LOGGED_OUT, LogoutPage


def make_spawner(active=True, pending=None):
    return SimpleNamespace(active=active, pending=pending, end_reason="")


class Page(LogoutPage):
    """The page without its request: who is asked to stop is kept."""

    authenticator = log = settings = request = None

    def __init__(self, hubs, ours, **headers):
        self.request = SimpleNamespace(headers=headers)
        self.stopped = []
        self.authenticator = SimpleNamespace(settings=SimpleNamespace(stop_on_logout=ours))
        self.settings = {"shutdown_on_logout": hubs}
        self.log = SimpleNamespace(info=lambda *_: None, warning=lambda *_: None)

    async def stop_single_user(self, user, name):
        self.stopped.append(name)


@pytest.mark.parametrize(("hubs", "ours", "both"), [(False, False, False), (True, False, True), (False, True, True)])
def test_the_hubs_setting_and_ours_are_one(hubs, ours, both):
    assert Page(hubs, ours).shutdown_on_logout is both


async def test_running_servers_end_with_the_reason():
    assert issubclass(LogoutPage, LogoutHandler)
    spawners = {"": make_spawner(), "second": make_spawner(), "starts": make_spawner(pending="spawn"), "over": make_spawner(active=False)}
    page = Page(hubs=False, ours=True)
    await page._shutdown_servers(SimpleNamespace(name="kim01", spawners=spawners))
    assert page.stopped == ["", "second"]
    assert {name: spawner.end_reason for name, spawner in spawners.items()} == {
        "": LOGGED_OUT,
        "second": LOGGED_OUT,
        "starts": "",
        "over": "",
    }


@pytest.mark.parametrize(("site", "stopped"), [("cross-site", []), ("same-site", [""]), ("same-origin", [""]), ("none", [""])])
async def test_a_link_of_another_site_ends_nobodys_work(site, stopped):
    page = Page(hubs=False, ours=True, **{"Sec-Fetch-Site": site})
    await page._shutdown_servers(SimpleNamespace(name="kim01", spawners={"": make_spawner()}))
    assert page.stopped == stopped
