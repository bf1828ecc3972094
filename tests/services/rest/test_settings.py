"""``rest/v1/admin/settings``."""

from jupyterhub_backendai.store.models import AuditEntry
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def test_a_superadmin_reads_and_changes_settings(admin_site):
    assert (await admin_site.root.get("admin/settings"))[1] == {"status": {"value": "running"}}
    status, answer, _ = await admin_site.root.ask("PUT", "admin/settings/status", {"value": "frozen"})
    assert (status, answer) == (200, {"value": "frozen"})
    assert (await admin_site.root.get("admin/settings/status"))[1] == {"value": "frozen"}
    rows = await admin_site.site.db.run(lambda db: [(row.actor, row.action, row.object) for row in db.query(AuditEntry)])
    assert rows == [("root", "setting.update", "status")]
    status, problem, _ = await admin_site.root.ask("PUT", "admin/settings/status", {"value": "warm", "x": 1})
    assert (status, [item["field"] for item in problem["violations"]]) == (400, ["value", "x"])
    assert (await admin_site.root.get("admin/settings/nonsense"))[0] == 404


async def test_for_everybody_else_there_are_none(admin_site):
    for caller in (admin_site.admin, admin_site.stranger, admin_site.owner, admin_site.member):
        assert (await caller.get("admin/settings"))[0] == 404
        assert (await caller.get("admin/settings/status"))[0] == 404
        assert (await caller.ask("PUT", "admin/settings/status", {"value": "frozen"}))[0] == 404
    assert (await admin_site.outsider.get("admin/settings"))[0] == 401
