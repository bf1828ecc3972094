"""Logins on browsers, on both databases."""

from datetime import UTC, datetime, timedelta

from jupyterhub_backendai.core.logins import describe_agent, hash_session
from jupyterhub_backendai.store import active_logins
from jupyterhub_backendai.store.active_logins import BrowserLogin
from tests.databases import database, database_url, postgres_url, sqlite_template

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
T = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make(session, name="kim01", at=T, days=14):
    return BrowserLogin(hash_session(session), name, "10.0.0.1", "Firefox/130.0", at, at, at + days * DAY)


async def names(db, name="kim01", at=T):
    return [login.id for login in await db.run(active_logins.list_logins, name, at)]


async def test_a_login_lives_until_it_is_ended(database):
    await database.run(active_logins.open_login, make("a"))
    await database.run(active_logins.open_login, make("b", at=T + DAY))
    await database.run(active_logins.open_login, make("c", "lee01"))
    assert await names(database) == [hash_session("b"), hash_session("a")]
    assert await database.run(active_logins.look_at, "kim01", hash_session("a"), "", T)
    assert not await database.run(active_logins.look_at, "lee01", hash_session("a"), "", T), "somebody else's"
    assert not await database.run(active_logins.look_at, "kim01", hash_session("x"), "", T)
    assert not await database.run(active_logins.look_at, "kim01", "", "", T)
    assert await database.run(active_logins.end_logins, "lee01", [hash_session("a")]) == []
    assert await database.run(active_logins.end_logins, "kim01", [hash_session("a"), "nothing"]) == [hash_session("a")]
    assert not await database.run(active_logins.look_at, "kim01", hash_session("a"), "", T)
    assert await names(database) == [hash_session("b")]
    assert len(await names(database, "lee01")) == 1


async def test_all_but_one_and_all(database):
    for session in "abc":
        await database.run(active_logins.open_login, make(session))
    ended = await database.run(active_logins.end_other_logins, "kim01", hash_session("b"))
    assert sorted(ended) == sorted([hash_session("a"), hash_session("c")])
    assert await database.run(active_logins.end_other_logins, "kim01") == [hash_session("b")]
    assert await names(database) == []


async def test_the_same_browser_has_one(database):
    await database.run(active_logins.open_login, make("a"))
    assert await database.run(active_logins.open_login, make("b"), hash_session("a")) == [hash_session("a")]
    assert await database.run(active_logins.open_login, make("c", "lee01"), hash_session("b")) == [], "another person's stays"
    assert await names(database) == [hash_session("b")]


async def test_an_old_one_is_over(database):
    await database.run(active_logins.open_login, make("a", days=1))
    assert not await database.run(active_logins.look_at, "kim01", hash_session("a"), "", T + DAY)
    assert await names(database, at=T + DAY) == []


async def test_when_and_where_it_was_used_last(database):
    await database.run(active_logins.open_login, make("a"))
    await database.run(active_logins.look_at, "kim01", hash_session("a"), "10.0.0.1", T + timedelta(seconds=5))
    assert (await database.run(active_logins.list_logins, "kim01", T))[0].seen_at == T
    await database.run(active_logins.look_at, "kim01", hash_session("a"), "10.0.0.2", T + timedelta(seconds=6))
    [login] = await database.run(active_logins.list_logins, "kim01", T)
    assert (login.source, login.seen_at) == ("10.0.0.2", T + timedelta(seconds=6))


async def test_there_are_not_too_many(database, monkeypatch):
    monkeypatch.setattr(active_logins, "MOST", 2)
    for number, session in enumerate("abc"):
        ended = await database.run(active_logins.open_login, make(session, at=T + number * timedelta(hours=1)))
    assert ended == [hash_session("a")]


def test_agents_in_two_words():
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36"
    assert describe_agent(chrome) == ("Chrome", "Windows")
    assert describe_agent(chrome + " Edg/129.0") == ("Edge", "Windows")
    assert describe_agent("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0") == ("Firefox", "Linux")
    assert describe_agent("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1") == ("Safari", "iPhone")
    assert describe_agent("curl/8.9") == ("curl", "")
    assert describe_agent("") == ("", "")
