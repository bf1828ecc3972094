"""``quota-scopes`` and ``admin/quota-scopes``, by each kind of person."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.store import models
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]
HOST = "local:folders"
MIB = 1024**2


@pytest.fixture
async def scopes(folder_site):
    """The scopes of kim01 (with the folder data) and of the project alpha (with ours)."""

    def act(db):
        for policy in (models.UserResourcePolicy, models.ProjectResourcePolicy):
            db.get(policy, models.DEFAULT_POLICY).max_quota_scope_size_bytes = 10 * MIB
        found = [db.get(models.VFolder, id_) for id_ in (folder_site.data, folder_site.ours)]
        found[0].used_bytes, found[0].used_files = 4 * MIB, 7
        for row in found:
            db.add(models.QuotaScope(host=HOST, id=row.quota_scope_id))
        return [row.quota_scope_id for row in found]

    return await folder_site.change(act)


def address(scope_id, host=HOST):
    return f"admin/quota-scopes/{host}/{scope_id}"


async def test_everybody_sees_their_own_and_their_projects(folder_site, scopes):
    people = folder_site.people
    for caller, expected in (
        (people.owner, scopes),
        (people.member, [None, scopes[1]]),
        (people.admin, [None]),
        (people.stranger, [None]),
    ):
        status, answer, _ = await caller.get("quota-scopes")
        assert status == 200
        found = [item["id"] for item in answer["items"]]
        assert [one for one in found if one in scopes] == [one for one in expected if one]
        assert len(found) == len(expected)
    assert (await people.outsider.get("quota-scopes"))[0] == 401


async def test_what_is_said_of_a_scope(folder_site, scopes):
    _, answer, _ = await folder_site.people.owner.get("quota-scopes")
    own = answer["items"][0]
    assert own["biggest"] == [{"id": folder_site.data, "name": "data", "status": "ready", "used_bytes": 4 * MIB}]
    del own["biggest"]
    assert own == {
        "host": HOST,
        "id": scopes[0],
        "owner": "kim01",
        "domain": "default",
        "limit_bytes": 10 * MIB,
        "policy_bytes": 10 * MIB,
        "is_limit_set": False,
        "used_bytes": 4 * MIB,
        "used_files": 7,
        "reserved_bytes": 0,
        "measured_bytes": 4 * MIB,
        "remaining_bytes": 6 * MIB,
        "percent": 40,
        "folders": 1,
        "driver": None,
        "is_enforced": False,
        "words": "The platform counts: it refuses uploads that are too much; what sessions write is counted later.",
        "measured_at": None,
    }


async def test_who_looks_after_which(folder_site, scopes):
    people = folder_site.people
    for caller, expected in ((people.root, 2), (people.admin, 2), (people.stranger, 0)):
        status, answer, _ = await caller.get("admin/quota-scopes")
        assert (status, answer["total"]) == (200, expected)
        for scope_id in scopes:
            assert (await caller.get(address(scope_id)))[0] == (200 if expected else 404)
    for caller in (people.owner, people.member):
        assert (await caller.get("admin/quota-scopes"))[0] == 404
        assert (await caller.get(address(scopes[0])))[0] == 404
    assert (await people.outsider.get("admin/quota-scopes"))[0] == 401


@pytest.mark.parametrize(
    ("who", "person", "project"),
    [("root", 200, 200), ("admin", 403, 200), ("stranger", 404, 404), ("owner", 404, 404), ("member", 404, 404), ("outsider", 401, 401)],
)
async def test_who_sets_and_unsets(folder_site, scopes, who, person, project):
    caller = getattr(folder_site.people, who)
    for scope_id, expected in zip(scopes, (person, project), strict=True):
        status, answer, _ = await caller.ask("PUT", address(scope_id), {"limit_bytes": 5 * MIB})
        assert status == expected
        if status == 200:
            assert (answer["limit_bytes"], answer["is_limit_set"], answer["is_applied"]) == (5 * MIB, True, True)
        status, answer, _ = await caller.ask("DELETE", address(scope_id))
        assert status == expected
        if status == 200:
            assert (answer["limit_bytes"], answer["is_limit_set"]) == (10 * MIB, False)


async def test_a_domain_gives_its_projects_no_more_than_their_policy(folder_site, scopes):
    people = folder_site.people
    for limit in (10 * MIB + 1, None):
        status, answer, _ = await people.admin.ask("PUT", address(scopes[1]), {"limit_bytes": limit})
        assert (status, "10 MiB" in str(answer)) == (403, True)
        assert (await people.root.ask("PUT", address(scopes[1]), {"limit_bytes": limit}))[0] == 200
    assert (await people.admin.ask("PUT", address(scopes[1]), {"limit_bytes": 10 * MIB}))[0] == 200


async def test_what_is_set_holds_and_is_audited(folder_site, scopes):
    root, owner = folder_site.people.root, folder_site.people.owner
    for limit, remaining in ((4 * MIB, 0), (None, None), (0, 0)):
        _, answer, _ = await root.ask("PUT", address(scopes[0]), {"limit_bytes": limit})
        assert (answer["limit_bytes"], answer["remaining_bytes"]) == (limit, remaining)
    assert (await owner.get("quota-scopes"))[1]["items"][0]["limit_bytes"] == 0
    actions = await folder_site.change(
        lambda db: [(row.actor, row.object) for row in db.query(models.AuditEntry).filter_by(action="quota_scope.set")]
    )
    assert actions == [("root", f"{HOST} {scopes[0]}")] * 3


@pytest.mark.parametrize(
    "body", [{}, {"limit_bytes": -1}, {"limit_bytes": "5"}, {"limit_bytes": True}, {"limit_bytes": 1 << 62}, {"limit": 5}, []]
)
async def test_limits_that_cannot_be(folder_site, scopes, body):
    status, _, _ = await folder_site.people.root.ask("PUT", address(scopes[0]), body)
    assert status == 400


@pytest.mark.parametrize(
    ("host", "scope_id", "status"),
    [
        (HOST, "user:zz", 404),
        (HOST, "user:", 400),
        (HOST, "group:kim01", 400),
        (HOST, "project:alpha", 404),
        (HOST, "project:physics%2Falpha", 404),
        (HOST, "user:kim01", 200),
        (HOST, "project:default%2Falpha", 200),
        (HOST, "%00", 400),
        ("%0A", None, 400),
        ("no:where", None, 404),
        (HOST, f"user:{'0' * 32}", 404),
        (HOST, f"project:{'0' * 32}", 404),
    ],
)
async def test_scopes_that_are_none(folder_site, scopes, host, scope_id, status):
    path = address(scope_id or scopes[0], host)
    assert (await folder_site.people.root.ask("PUT", path, {"limit_bytes": 5}))[0] == status


async def test_filters_order_and_pages(folder_site, scopes):
    root = folder_site.people.root
    await root.ask("PUT", address(scopes[1]), {"limit_bytes": MIB})

    async def owners(query):
        status, answer, _ = await root.get(f"admin/quota-scopes?{query}")
        assert status == 200
        return [item["owner"] for item in answer["items"]]

    assert await owners("") == ["alpha", "kim01"]
    assert await owners("sort=-owner") == ["kim01", "alpha"]
    for sort in ("used", "limit", "percent"):
        assert await owners(f"sort={sort}") == ["alpha", "kim01"]
        assert await owners(f"sort=-{sort}") == ["kim01", "alpha"]
    assert await owners("sort=host&page_size=1&page=2") == ["kim01"]
    assert await owners("page=99&page_size=1") == ["kim01"]
    assert await owners("kind=user") == ["kim01"]
    assert await owners("is_limit_set=true") == ["alpha"]
    assert await owners("q=KIM") == ["kim01"]
    assert await owners("q=%25") == []
    assert await owners(f"q={scopes[1]}") == ["alpha"]
    assert await owners("host=no:where") == []


@pytest.mark.parametrize("query", ["sort=id", "page=0", "page=x", "page_size=-1", "kind=group", "is_limit_set=1"])
async def test_filters_that_cannot_be(folder_site, query):
    assert (await folder_site.people.root.get(f"admin/quota-scopes?{query}"))[0] == 400
