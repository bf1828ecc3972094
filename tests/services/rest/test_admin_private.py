"""The administrator's endpoints on the private listener, for the command line of the machine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from jupyterhub_backendai.core.nouns import NOUNS, Kind
from jupyterhub_backendai.store.models import AuditEntry
from jupyterhub_backendai.store.records import RECORDS
from tests.services.private import SECRET, figures, people, service, settings
from tests.services.rest.people import ROOT
from tests.store.conftest import database, database_url, postgres_url, sqlite_template

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]


@pytest_asyncio.fixture
async def ask(service, settings) -> AsyncIterator:
    connector = aiohttp.UnixConnector(str(Path(settings.state_dir, "private.sock")))
    async with aiohttp.ClientSession(connector=connector) as http:

        async def ask(method, path, body=None, secret=SECRET, **headers):
            headers = {"Authorization": f"Bearer {secret}", **{name.replace("_", "-"): value for name, value in headers.items()}}
            async with http.request(method, f"http://service/private/rest/v1/{path}", json=body, headers=headers) as response:
                return response.status, await response.json(content_type=None) if response.status != 204 else None

        yield ask


async def test_who_has_the_secret_is_a_superadmin_and_named_in_the_audit_log(ask, people):
    assert (await ask("POST", "admin/domains", {"name": "a"}, X_BackendAI_Operator="kim"))[0] == 201
    assert (await ask("PATCH", "admin/domains/a", {"description": "b"}, X_BackendAI_Operator="not a name\t"))[0] == 200
    assert (await ask("DELETE", "admin/domains/a"))[0] == 204
    rows = await people.run(lambda db: [(row.actor, row.source) for row in db.query(AuditEntry).order_by(AuditEntry.at)])
    assert rows == [("system:kim", "command line"), ("system", "command line"), ("system", "command line")]


async def test_without_the_secret_nothing_is_answered(ask):
    for path in ("admin/domains", "admin/domains/default", "admin/domains/default/hits"):
        assert (await ask("GET", path, secret="x" * 32))[0] == 401


async def test_errors_keep_their_parts(ask):
    status, problem = await ask("POST", "admin/domains", {"name": "", "x": 1})
    assert (status, problem["error_code"]) == (400, "backendai_generic_invalid-parameters")
    assert [item["field"] for item in problem["violations"]] == ["x", "name"]


async def test_every_list_is_sorted_filtered_and_searched_on_both_databases(ask):
    for name, noun in NOUNS.items():
        if name not in RECORDS:
            continue
        for column in (*noun.columns, *(f"-{column}" for column in noun.columns)):
            status, answer = await ask("GET", f"admin/{name}?sort={column}")
            assert (name, column, status) == (name, column, 200), answer
        for filter_name in noun.filters:
            item = noun.field(filter_name)
            text = {Kind.BOOLEAN: "true", Kind.MOMENT: "2026-01-01"}.get(item.kind, item.choices[-1] if item.choices else "x")
            status, answer = await ask("GET", f"admin/{name}?{filter_name}={text}")
            assert (name, filter_name, status) == (name, filter_name, 200), answer
        assert (await ask("GET", f"admin/{name}?q=%25_%5C%27%22"))[0] == 200


async def test_a_document_is_made_so_on_both_databases(ask):
    status, answer = await ask("POST", "admin/configuration", {"domains": [{"name": "new", "total_resource_slots": {"cpu": "Infinity"}}]})
    assert (status, [item["key"] for item in answer["changes"]]) == (200, ["new"])
    status, answer = await ask("GET", "admin/configuration", Accept="application/json")
    assert status == 200
    assert (await ask("POST", "admin/configuration", answer))[1]["changes"] == []


async def test_of_many_at_once_one_makes_it_and_one_changes_it(ask, people):
    body = {"name": "new"}
    statuses = [status for status, _ in await asyncio.gather(*(ask("POST", "admin/domains", body) for _ in range(8)))]
    assert sorted(statuses) == [201, *[409] * 7]
    version = (await people.run(RECORDS["domains"].find, ROOT, "new")).etag(NOUNS["domains"])
    changes = (ask("PATCH", "admin/domains/new", {"description": f"number {number}"}, If_Match=version) for number in range(8))
    statuses = [status for status, _ in await asyncio.gather(*changes)]
    assert sorted(statuses) == [200, *[409] * 7]
