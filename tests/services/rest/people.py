"""Programs with tokens of the hub, one for each kind of person that an endpoint must tell apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest_asyncio

from jupyterhub_backendai.core.identity import Actor, Role
from tests.databases import sqlite_template
from tests.factories import add_member, add_user
from tests.services.public import Site, settings, site

ROOT = Actor("root", Role.SUPERADMIN)
__all__ = ["ROOT", "admin_site", "settings", "site", "sqlite_template"]


@dataclass
class Caller:
    """A program of one person's."""

    http: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, aiohttp.ClientResponse]:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, self.url + path, json=body, headers=headers, allow_redirects=False) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, (await response.json(content_type=None) if is_json else await response.text()), response

    async def get(self, path: str, **headers: str) -> tuple[int, Any, aiohttp.ClientResponse]:
        return await self.ask("GET", path, **headers)


@dataclass
class AdminSite:
    """``root`` is a superadmin, ``admin`` the administrator of the domain ``default``, ``stranger`` that of ``physics``;
    ``owner`` (kim01) and ``member`` (lee01) are ordinary people of the project ``alpha``."""

    site: Site
    root: Caller
    admin: Caller
    owner: Caller
    member: Caller
    stranger: Caller
    outsider: Caller

    @property
    def callers(self) -> list[Caller]:
        return [self.root, self.admin, self.owner, self.member, self.stranger, self.outsider]


def add_people(db: Any) -> None:
    from jupyterhub_backendai.store import models

    db.add(models.Domain(name="physics"))
    add_user(db, "root", role=Role.SUPERADMIN)
    add_user(db, "choi01", role=Role.ADMIN)
    user_id = add_user(db, "park04", role=Role.ADMIN)
    db.get(models.User, user_id).domain = "physics"
    add_user(db, "jung03", "alpha")
    add_member(db, db.query(models.User).filter_by(name="kim01").one().id, "alpha")


@pytest_asyncio.fixture
async def admin_site(site: Site) -> AsyncIterator[AdminSite]:
    await site.db.run(add_people)
    names = {"root": "root", "admin": "choi01", "owner": "kim01", "member": "jung03", "stranger": "park04", "outsider": ""}
    callers = {}
    for who, name in names.items():
        headers = {"Authorization": f"token {site.hub.let_in(name)}"} if name else {}
        callers[who] = Caller(aiohttp.ClientSession(headers={"Accept-Language": "en", **headers}), f"{site.url}rest/v1/")
    found = AdminSite(site, **callers)
    yield found
    for caller in found.callers:
        await caller.http.close()
