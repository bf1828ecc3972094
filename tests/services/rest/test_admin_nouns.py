"""Every noun at its addresses, by everybody: the ladder that no noun may leave out."""

from urllib.parse import quote

import pytest

from jupyterhub_backendai.core.nouns import NOUNS
from jupyterhub_backendai.store.records import RECORDS
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
KEYS = {"projects": "no-such", "sessions": "0" * 32, "audit_log": "0" * 32, "announcements": "0" * 32}
BODIES = {
    "keypair_resource_policies": {"name": "a b", "max_concurrent_sessions": "Infinity", "idle_timeout_s": "2h"},
    "user_resource_policies": {"name": "a b", "max_quota_scope_size_bytes": "10g"},
    "project_resource_policies": {"name": "a b"},
    "resource_presets": {"name": "a b", "resource_slots": {"cpu": 1, "mem": "1g"}},
    "storage_hosts": {"name": "home"},
    "domains": {"name": "a b"},
    "announcements": {"title": {"ko": "점검"}, "body": {"ko": "월요일"}},
}


async def test_nobody_but_administrators_finds_anything(admin_site):
    for name in RECORDS:
        for caller, expected in ((admin_site.owner, 404), (admin_site.member, 404), (admin_site.outsider, 401)):
            for method, path in (("GET", ""), ("POST", ""), ("GET", "/x"), ("PATCH", "/x"), ("DELETE", "/x"), ("GET", "/x/hits")):
                status, _, _ = await caller.ask(method, f"admin/{name}{path}", {} if method in ("POST", "PATCH") else None)
                assert (name, method, path, status) == (name, method, path, expected)


async def test_superadmins_see_every_list_and_refusals_are_polite(admin_site):
    for name, noun in NOUNS.items():
        if name not in RECORDS:
            continue
        status, answer, _ = await admin_site.root.get(f"admin/{name.replace('_', '-')}?page_size=2")
        assert (name, status) == (name, 200)
        assert set(answer) == {"items", "total", "page", "page_size", "page_count"}
        for column in noun.columns:
            status, answer, _ = await admin_site.root.get(f"admin/{name}?sort=-{column}&q=%25%27x")
            assert (name, column, status) == (name, column, 200)
        assert (await admin_site.root.get(f"admin/{name}?nonsense=1"))[0] == 400
        for method, verb in (("GET", "list"), ("PATCH", "update"), ("DELETE", "delete")):
            path = f"admin/{name}/{KEYS.get(name, 'no-such')}"
            status, problem, _ = await admin_site.root.ask(method, path, {} if method == "PATCH" else None)
            missing = 404 if verb == "list" or verb in noun.verbs or (name == "sessions" and method == "DELETE") else 405
            assert (name, method, status) == (name, method, missing), problem


async def test_domain_administrators_see_what_is_theirs(admin_site):
    for name, noun in NOUNS.items():
        if name in RECORDS:
            status, _, _ = await admin_site.admin.get(f"admin/{name}")
            assert (name, status) == (name, 200 if noun.for_domain_admins else 404)


@pytest.mark.parametrize("name", sorted(set(BODIES) & set(RECORDS)))
async def test_one_is_made_read_changed_and_removed(admin_site, name):
    noun, root = NOUNS[name], admin_site.root
    status, made, response = await root.ask("POST", f"admin/{name}", BODIES[name])
    assert status == 201, made
    path = response.headers["Location"].partition("/rest/v1/")[2]
    assert path == f"admin/{name}/{quote(made[noun.key], safe='')}"
    _, listed, _ = await root.get(f"admin/{name}?page_size=500")
    assert made in listed["items"]
    # what is read can be sent back, but for what is shown only
    body = {item.name: made[item.name] for item in noun.fields if not item.is_computed and not item.is_fixed and item.name in made}
    status, again, changed = await root.ask("PATCH", path, body, If_Match=response.headers["ETag"])
    assert (status, again, changed.headers["ETag"]) == (200, made, response.headers["ETag"])
    assert (await root.get(f"{path}/hits"))[0] == 200
    assert (await root.ask("DELETE", path))[0] == 204
    assert (await root.get(path))[0] == 404
