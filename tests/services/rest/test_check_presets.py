"""``GET rest/v1/standing`` and ``POST rest/v1/check-presets``."""

from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import make_queue, make_spec
from tests.services.rest.people import ROOT, admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def prepare(site):
    """A policy with two CPUs for everybody, and two presets."""
    await site.application.settings["groups"].ready()
    limits = {"total_resource_slots": {"cpu": 2}, "max_concurrent_sessions": 5}
    await site.db.run(RECORDS["keypair_resource_policies"].update, ROOT, "default", limits)
    for name, cpu in (("tiny", 1), ("big", 3)):
        body = {"name": name, "resource_group": "small", "resource_slots": {"cpu": cpu, "mem": "1g"}, "position": cpu}
        await site.db.run(RECORDS["resource_presets"].add, ROOT, body)


async def test_limits_used_and_left(admin_site):
    await prepare(admin_site.site)
    spec = make_spec(user="kim01", queue="small")
    await admin_site.site.db.run_exclusive(sessions.admit, spec, make_queue("small"), None)
    status, answer, _ = await admin_site.owner.get("standing?resource_group=small")
    assert (status, answer["user"], answer["projects"]) == (200, "kim01", ["alpha", "default"])
    share = next(share for share in answer["shares"] if share["scope"] == "keypair")
    assert (share["limit"]["slots"]["cpu"], share["limit"]["sessions"], share["limit"]["slots"]["mem"]) == ("2", 5, "Infinity")
    assert (share["used"]["slots"]["cpu"], share["used"]["sessions"]) == ("1", 1)
    assert (share["remaining"]["slots"]["cpu"], share["remaining"]["sessions"]) == ("1", 4)
    assert answer["by_resource_group"]["small"]["sessions"] == answer["resource_group"]["sessions"] == 1
    status, answer, _ = await admin_site.member.get("standing")
    assert (status, answer["user"], answer["by_project"]) == (200, "jung03", {})
    assert (await admin_site.owner.get("standing?project=vips"))[0] == 400
    assert (await admin_site.owner.get("standing?resource_group=vip"))[0] == 404
    assert (await admin_site.outsider.get("standing"))[0] == 401


async def test_which_presets_can_be_had_and_why_not_the_others(admin_site):
    await prepare(admin_site.site)
    for caller in (admin_site.owner, admin_site.member, admin_site.stranger, admin_site.admin, admin_site.root):
        status, answer, _ = await caller.ask("POST", "check-presets", {"resource_group": "small"})
        assert status == 200
        (group,) = answer["resource_groups"]
        assert [(item["name"], item["is_allocatable"]) for item in group["presets"]] == [("tiny", True), ("big", False)]
    assert [(item["field"], item["rule"]) for item in group["presets"][1]["violations"]] == [("cpu", "quota-limit")]
    status, answer, _ = await admin_site.owner.ask("POST", "check-presets", {})
    assert [group["name"] for group in answer["resource_groups"]] == ["small", "v100"]
    assert (await admin_site.owner.ask("POST", "check-presets", {"resource_group": "vip"}))[0] == 404
    assert (await admin_site.owner.ask("POST", "check-presets", {"project": "vips"}))[0] == 400
    assert (await admin_site.outsider.ask("POST", "check-presets", {}))[0] == 401
