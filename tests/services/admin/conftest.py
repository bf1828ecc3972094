"""The administrator's pages as four people meet them: a superadministrator, the administrator of the domain ``default``, a member, and
somebody without a login."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from bs4 import BeautifulSoup

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.store.models import Domain
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.services.public import Browser, Site, nobody, settings, site

__all__ = ["nobody", "settings", "site", "sqlite_template"]


async def open_browser(site: Site, name: str, language: str = "en") -> Browser:
    browser = Browser(site, language)
    await browser.log_in(site.hub.let_in(name))
    return browser


def add_people(db) -> None:
    """kim01 and lee01 are members; park04 administers ``default``, root everything. ``other`` is a domain with nobody in it."""
    add_user(db, "park04", role=Role.ADMIN)
    add_user(db, "root", role=Role.SUPERADMIN, posix=False)
    db.add(Domain(name="other"))


@pytest_asyncio.fixture
async def people(site: Site) -> None:
    await site.db.run(add_people)


async def _browse(site: Site, name: str) -> AsyncIterator[Browser]:
    browser = await open_browser(site, name)
    yield browser
    await browser.http.close()


@pytest_asyncio.fixture
async def root(site: Site, people: None) -> AsyncIterator[Browser]:
    async for browser in _browse(site, "root"):
        yield browser


@pytest_asyncio.fixture
async def admin(site: Site, people: None) -> AsyncIterator[Browser]:
    async for browser in _browse(site, "park04"):
        yield browser


@pytest_asyncio.fixture
async def member(site: Site, people: None) -> AsyncIterator[Browser]:
    async for browser in _browse(site, "kim01"):
        yield browser


def read_fields(page: BeautifulSoup, selector: str = "form#form") -> dict[str, list[str]]:
    """Every field of a form as a browser would send it, without the buttons."""
    found: dict[str, list[str]] = {}
    for field in page.select_one(selector).find_all(["input", "select", "textarea"]):
        if not field.get("name"):
            continue
        values = []
        if field.name == "select":
            options = field.find_all("option")
            chosen = [option for option in options if option.has_attr("selected")] or options[:1]
            values = [option.get("value", option.text) for option in chosen]
        elif field.name == "textarea":
            values = [field.text.removeprefix("\n")]
        elif field.get("type") not in ("checkbox", "radio") or field.has_attr("checked"):
            values = [field.get("value", "")]
        if values:
            found.setdefault(field["name"], []).extend(values)
    return found


async def send(browser: Browser, path: str, fields: dict[str, list[str] | str]):
    """Post fields as a browser does."""
    pairs = [(name, value) for name, values in fields.items() for value in ([values] if isinstance(values, str) else values)]
    return await browser.post(path, pairs)
