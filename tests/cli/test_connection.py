"""The command line from another machine: a token of the hub, over the public address."""

import asyncio
import io
import sys

import pytest

from jupyterhub_backendai.cli.connection import connect
from jupyterhub_backendai.cli.main import main
from jupyterhub_backendai.errors import InvalidParameters, Unauthenticated
from jupyterhub_backendai.store.models import AuditEntry
from tests.services.rest.people import admin_site, settings
from tests.services.rest.people import site as public_site

__all__ = ["admin_site", "settings"]
site = public_site


@pytest.fixture
def run(admin_site, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BACKENDAI_URL", admin_site.site.url)
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("BACKENDAI_TOKEN", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    async def run(who, *arguments):
        (tmp_path / "token").write_text(admin_site.site.hub.let_in(who) + "\n")
        monkeypatch.setenv("BACKENDAI_TOKEN_FILE", str(tmp_path / "token"))
        status = await asyncio.to_thread(main, ["--config", "/no/such/file", *arguments])
        return status, *capsys.readouterr()

    return run


async def test_what_a_token_may_is_what_its_owner_may(run, admin_site):
    status, out, _ = await run("root", "domain", "set", "physics", "--description", "물리")
    assert (status, "물리" in out) == (0, True)
    status, out, _ = await run("choi01", "domain", "list", "--columns", "name")
    assert (status, out) == (0, "NAME\ndefault\n")
    status, _, err = await run("choi01", "domain", "set", "default", "--description", "x")
    assert (status, err.isascii()) == (1, False)  # refused, in the language of the terminal
    assert (await run("kim01", "domain", "list"))[0] == 1
    actors = await admin_site.site.db.run(lambda db: [(row.actor, row.object) for row in db.query(AuditEntry)])
    assert actors == [("root", "physics")]


async def test_something_else_at_the_address(run, monkeypatch, admin_site):
    monkeypatch.setenv("BACKENDAI_URL", admin_site.site.hub.url)
    status, _, err = await run("root", "domain", "list")
    assert (status, "Is the address right?" in err) == (75, True)


def test_addresses(capsys):
    token = {"BACKENDAI_TOKEN": "t"}
    for url, base in (
        ("https://hub.example.org", "https://hub.example.org/services/backendai/rest/v1/"),
        ("https://hub.example.org/jupyter/", "https://hub.example.org/jupyter/services/backendai/rest/v1/"),
        ("http://127.0.0.1:8000/services/backendai/", "http://127.0.0.1:8000/services/backendai/rest/v1/"),
    ):
        assert connect("x", {"BACKENDAI_URL": url, **token}).base == base
    assert capsys.readouterr().err == ""
    connect("x", {"BACKENDAI_URL": "http://hub.example.org", **token})
    assert "in clear" in capsys.readouterr().err


def test_mistakes():
    for url in ("hub.example.org", "ftp://hub.example.org", "https://"):
        with pytest.raises(InvalidParameters, match="BACKENDAI_URL"):
            connect("x", {"BACKENDAI_URL": url, "BACKENDAI_TOKEN": "t"})
    for token in ({}, {"BACKENDAI_TOKEN": "a\nb"}):
        with pytest.raises(Unauthenticated, match="BACKENDAI_TOKEN"):
            connect("x", {"BACKENDAI_URL": "https://hub.example.org", **token})
    with pytest.raises(InvalidParameters, match="cannot be read"):
        connect("x", {"BACKENDAI_URL": "https://hub.example.org", "BACKENDAI_TOKEN_FILE": "/no/such"})
    assert "secret" not in repr(connect("x", {"BACKENDAI_URL": "https://hub.example.org", "BACKENDAI_TOKEN": "secret"}))
