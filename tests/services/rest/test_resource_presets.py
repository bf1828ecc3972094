"""``GET rest/v1/resource-presets``."""

from jupyterhub_backendai.store.records import RECORDS
from tests.services.rest.people import ROOT, admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def test_everybody_sees_the_presets_of_the_groups_that_are_theirs(admin_site):
    await admin_site.site.application.settings["groups"].ready()
    for position, (name, group) in enumerate((("tiny", ""), ("cpu", "small"), ("rich", "vip"))):
        body = {"name": name, "resource_group": group, "resource_slots": {"cpu": 1, "mem": "1g"}, "position": position}
        await admin_site.site.db.run(RECORDS["resource_presets"].add, ROOT, body)
    for caller in (admin_site.owner, admin_site.member, admin_site.stranger, admin_site.admin, admin_site.root):
        status, answer, _ = await caller.get("resource-presets")
        assert (status, [item["name"] for item in answer["presets"]]) == (200, ["tiny", "cpu"])
        status, answer, _ = await caller.get("resource-presets?resource_group=v100")
        assert [item["name"] for item in answer["presets"]] == ["tiny"]
        assert (await caller.get("resource-presets?resource_group=vip"))[0] == 404
    assert answer["presets"][0]["resource_slots"] == {"cpu": "1", "mem": str(1024**3)}
    assert (await admin_site.outsider.get("resource-presets"))[0] == 401
