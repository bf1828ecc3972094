"""Logging out ends servers where the site says so, and each knows why; what starts or waits goes on."""

from types import SimpleNamespace

import pytest
from jupyterhub.handlers.login import LogoutHandler

from jupyterhub_backendai.authenticator.active_logins import LOGGED_OUT, LogoutPage


def make_spawner(active=True, pending=None):
    return SimpleNamespace(active=active, pending=pending, end_reason="")


class Page(LogoutPage):
    """The page without its request: who is asked to stop is kept."""

    authenticator = log = settings = None

    def __init__(self, hubs, ours):
        self.stopped = []
        self.authenticator = SimpleNamespace(settings=SimpleNamespace(stop_on_logout=ours))
        self.settings = {"shutdown_on_logout": hubs}
        self.log = SimpleNamespace(info=lambda *_: None)

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
