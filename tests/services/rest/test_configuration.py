"""``rest/v1/admin/configuration``."""

import json

import yaml

from jupyterhub_backendai.store.models import AuditEntry, Domain
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
PATH = "admin/configuration"


async def post(caller, text, query=""):
    async with caller.http.post(f"{caller.url}{PATH}{query}", data=text.encode()) as response:
        return response.status, await response.json(content_type=None)


async def test_a_document_is_read_and_made_so(admin_site):
    status, text, response = await admin_site.root.get(PATH)
    assert (status, response.headers["Content-Type"]) == (200, "application/yaml; charset=utf-8")
    document = yaml.safe_load(text)
    _, as_json, _ = await admin_site.root.get(PATH, Accept="application/json")
    assert [item["name"] for item in as_json["domains"]] == [item["name"] for item in document["domains"]] == ["default", "physics"]
    assert await post(admin_site.root, text) == (200, {"changes": [], "is_applied": True})
    text = "domains:\n- name: physics\n  description: 물리\n- name: new\n"
    status, answer = await post(admin_site.root, text, "?dry_run=1")
    assert (status, answer["is_applied"]) == (200, False)
    assert [(item["verb"], item["noun"], item["key"]) for item in answer["changes"]] == [
        ("update", "domains", "physics"),
        ("create", "domains", "new"),
    ]
    assert await admin_site.site.db.run(lambda db: db.query(Domain).count()) == 2
    status, answer = await post(admin_site.root, text)
    assert (status, answer["is_applied"]) == (200, True)
    assert (await admin_site.root.get("admin/domains/physics"))[1]["description"] == "물리"
    actors = await admin_site.site.db.run(lambda db: {row.actor for row in db.query(AuditEntry) if row.action.startswith("domain.")})
    assert actors == {"root"}


async def test_all_or_nothing_with_everything_that_is_wrong_and_where(admin_site):
    body = {"domains": [{"name": "good"}, {"name": "bad", "total_resource_slots": {"cpu": "-1"}}], "nonsense": []}
    status, problem = await post(admin_site.root, json.dumps(body))
    assert (status, {item["field"] for item in problem["violations"]}) == (400, {"nonsense", "domains[1].total_resource_slots.cpu"})
    assert (await admin_site.root.get("admin/domains/good"))[0] == 404
    for text in ("- 1", "a: &x 1\nb: *x", "a: !!python/object:os.system 1", "{", "\0"):
        assert (await post(admin_site.root, text))[0] == 400
    assert (await post(admin_site.root, "domains: []", "?dry_run=ture"))[0] == 400


async def test_for_everybody_else_there_is_none(admin_site):
    for caller in (admin_site.admin, admin_site.stranger, admin_site.owner, admin_site.member):
        assert (await caller.get(PATH))[0] == 404
        assert (await post(caller, "domains: [{name: mine}]"))[0] == 404
    assert (await admin_site.outsider.get(PATH))[0] == 401
