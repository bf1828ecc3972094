"""The rate limit as a program meets it, at every call of REST alike; pages have none."""

import pytest

from jupyterhub_backendai.services.rate import RateLimiter
from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.services.public import Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


def set_limit(db, name, limit):
    user = db.query(models.User).filter_by(name=name).one()
    keys = db.query(models.Keypair).filter_by(user_id=user.id).one_or_none()
    if keys is None:
        keys = models.Keypair(access_key=f"AKIA{name.upper()}", user_id=user.id, secret_key="-", is_main=True)
        db.add(keys)
    keys.rate_limit = limit
    db.flush()


async def ask(site, user="kim01", path="sessions", language="en"):
    headers = {"Authorization": f"token {site.hub.let_in(user)}", "Accept-Language": language}
    async with Browser(site).http as http, http.get(f"{site.url}rest/v1/{path}", headers=headers) as answer:
        return answer.status, answer.headers, await answer.json(content_type=None)


@pytest.mark.parametrize("path", ["sessions", "standing", "queues", "announcements"])
async def test_more_than_the_limit_is_refused_with_the_time_to_wait(site, path):
    await site.db.run(set_limit, "kim01", 3)
    remaining = []
    for _ in range(3):
        status, headers, _ = await ask(site, path=path)
        assert (status, headers["X-RateLimit-Limit"], headers["X-RateLimit-Window"]) == (200, "3", "900")
        remaining.append(headers["X-RateLimit-Remaining"])
    assert remaining == ["2", "1", "0"]
    status, headers, problem = await ask(site, path=path)
    assert (status, problem["error_code"]) == (429, "backendai_api_rate-limit-exceeded")
    assert 890 <= int(headers["Retry-After"]) <= 900
    assert "all of the 3 calls" in problem["title"]
    assert (await ask(site, "lee01"))[0] == 200


async def test_two_services_share_one_limit_and_a_raised_one_holds_soon(site):
    await site.db.run(set_limit, "kim01", 2)
    for _ in range(2):
        assert (await ask(site))[0] == 200
    site.application.settings["rate_limiter"] = RateLimiter(site.db)  # another service, or this one started anew
    assert (await ask(site))[0] == 429
    await site.db.run(set_limit, "kim01", 10)
    site.application.settings["rate_limiter"]._packs["kim01"].ends_at = 0.0  # some seconds later
    assert (await ask(site))[0] == 200


async def test_pages_are_not_counted(site, browser):
    await site.db.run(set_limit, "kim01", 1)
    for _ in range(3):
        response, _ = await browser.get("summary")
        assert response.status == 200
