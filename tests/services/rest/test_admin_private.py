"""The administrator's endpoints on the private listener, for the command line of the machine."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from jupyterhub_backendai.store.models import AuditEntry
from tests.services.private import SECRET, figures, people, service, settings
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
