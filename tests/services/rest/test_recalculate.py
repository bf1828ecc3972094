"""``POST rest/v1/admin/recalculate``."""

import pytest_asyncio

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.reconcile import CONFIRM_S, GRACE_S
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.reconcile import Reconciler
from jupyterhub_backendai.store import models, sessions
from tests.factories import make_queue, make_spec
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
PATH = "admin/recalculate"


class Early(Reconciler):
    """Looks at the platform as it will be in a while: nothing is too young to be touched."""

    later_s = GRACE_S + 1

    async def reconcile(self, at=None):
        return await super().reconcile((at or models.now().timestamp()) + self.later_s)


@pytest_asyncio.fixture
async def reconciler(admin_site):
    settings = admin_site.site.application.settings
    settings["reconciler"] = Early(BackendAI(), admin_site.site.db, settings["hub"], {})
    return settings["reconciler"]


async def test_what_has_no_server_is_freed_once_it_is_sure(admin_site, reconciler):
    spec = make_spec(user="kim01", queue="small", server_name="lost")
    await admin_site.site.application.settings["groups"].ready()
    await admin_site.site.db.run_exclusive(sessions.admit, spec, make_queue("small", engine="local"), None)
    status, answer, _ = await admin_site.root.ask("POST", PATH)
    assert (status, answer["released"], answer["watched"]) == (200, [], [spec.session_id])
    reconciler.later_s += CONFIRM_S
    status, answer, _ = await admin_site.root.ask("POST", PATH)
    assert (status, answer["released"], answer["watched"]) == (200, [spec.session_id], [])
    assert not (await admin_site.site.db.run(sessions.get, spec.session_id)).is_live
    acts = await admin_site.site.db.run(lambda db: [row.actor for row in db.query(models.AuditEntry) if row.action == "usage.recalculate"])
    assert acts == ["root", "root"]


async def test_for_everybody_else_there_is_none(admin_site, reconciler):
    for caller, expected in ((admin_site.admin, 404), (admin_site.stranger, 404), (admin_site.owner, 404), (admin_site.outsider, 401)):
        assert (await caller.ask("POST", PATH))[0] == expected


async def test_without_the_hub_nothing_is_touched(admin_site):
    settings, nowhere = admin_site.site.application.settings, HubClient("http://127.0.0.1:1/hub/api", "token")
    settings["reconciler"] = Reconciler(BackendAI(), admin_site.site.db, nowhere, {})
    assert (await admin_site.root.ask("POST", PATH))[0] == 503
    await nowhere.close()
