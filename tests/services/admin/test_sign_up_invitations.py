"""Invitations to sign up on the administrators' pages: who makes them for where; the word is shown once."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.records import RECORDS
from tests.services.admin.conftest import read_fields, send
from tests.services.admin.test_lists import keys

ROOT = Actor("root", Role.SUPERADMIN)
INVITATIONS = RECORDS["sign_up_invitations"]


async def list_all(site):
    return (await site.db.run(INVITATIONS.list_page, ROOT, Query())).records


async def test_the_word_is_shown_once(root, site):
    await site.db.run(lambda db: db.add(models.Project(domain="other", name="laser")))
    _, page = await root.get("admin/")
    assert page.select_one('a[href$="admin/sign_up_invitations"]').text.strip() == "Sign-up invitations"
    _, page = await root.get("admin/sign_up_invitations/new")
    fields = read_fields(page) | {"name": "Summer school", "domain": "other", "projects": "laser", "max_uses": "40"}
    response, page = await send(root, "admin/sign_up_invitations/new", fields)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    word, url = page.select_one(".bai-secret").text, page.select_one("main a.btn")["href"]
    assert len(word) == 19
    _, page = await root.get(url.removeprefix("/services/backendai/"))
    assert word not in page.text
    (record,) = await list_all(site)
    assert (record.values["name"], record.values["domain"], record.values["projects"]) == ("Summer school", "other", ("laser",))
    assert (record.values["max_uses"], record.values["uses"], record.values["created_by"]) == (40, 0, "root")
    _, page = await root.get(f"admin/sign_up_invitations/{record.key}")
    response, _ = await send(root, f"admin/sign_up_invitations/{record.key}", read_fields(page) | {"max_uses": "50"})
    assert response.headers["Location"].endswith("?notice=saved")
    assert (await list_all(site))[0].values["max_uses"] == 50


async def test_a_domains_administrator_invites_into_the_own_domain(admin, root, site):
    await site.db.run(INVITATIONS.add, ROOT, {"name": "elsewhere", "domain": "other"})
    _, page = await admin.get("admin/sign_up_invitations")
    assert keys(page) == []
    (elsewhere,) = await list_all(site)
    response, _ = await admin.get(f"admin/sign_up_invitations/{elsewhere.key}")
    assert response.status == 404
    _, page = await admin.get("admin/sign_up_invitations/new")
    response, _ = await send(admin, "admin/sign_up_invitations/new", read_fields(page) | {"name": "here", "domain": "other"})
    assert response.status == 400
    response, _ = await send(admin, "admin/sign_up_invitations/new", read_fields(page) | {"name": "here", "domain": "default"})
    assert response.status == 200
    assert {record.values["domain"] for record in await list_all(site)} == {"default", "other"}


@pytest.mark.parametrize("path", ["admin/sign_up_invitations", "admin/sign_up_invitations/new", "admin/sign_up_invitations/x"])
async def test_for_everybody_else_there_is_nothing(member, nobody, path):
    response, _ = await member.get(path)
    assert response.status == 404
    response, _ = await nobody.get(path)
    assert response.status == 302
