"""The wait of one's own session on its page, and the form of what one wishes; by its owner and by everybody who is not."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from jupyterhub_backendai.core.sessions import BATCH, JobState, JobStatus, SessionStatus
from jupyterhub_backendai.store import batch, models, sessions
from tests.databases import sqlite_template
from tests.factories import add_others, make_queue, make_spec
from tests.factories_waits import add_past_session
from tests.services.browsing import AXE, RUN, chromium, open_page, shoot, watch
from tests.services.public import Browser, browser, settings, site
from tests.services.test_summary import text

__all__ = ["browser", "chromium", "settings", "site", "sqlite_template"]
OTHERS = ["member", "domain-admin", "superadmin", "stranger"]


class Engine:
    """Says of every job that it waits."""

    async def status(self, session_id, job_id, posix):
        return JobStatus(job_id, JobState.PENDING, reason="Priority", position=4)

    async def read_log(self, job_id, posix, session_id=""):
        return ""


@pytest.fixture(autouse=True)
async def people(site):
    await site.db.run(add_others)
    site.application.settings["backends"]["slurm"] = Engine()


@pytest.fixture
async def session_id(site):
    """A batch session of kim01's that waits for ten minutes, like twenty before it that waited 1 to 20."""
    spec = make_spec(queue="v100", session_type=BATCH, command="true", name="훈련")
    spec = type(spec)(spec.session_id, spec.user, batch.server_name(spec.session_id), spec.request)
    await site.db.run_exclusive(sessions.admit, spec, make_queue("v100", "slurm"), None)

    def age(db):
        row = db.get_one(models.ComputeSession, spec.session_id)
        row.created_at, row.job_id = models.now() - timedelta(seconds=599), "7"
        kim = db.scalars(select(models.User.id).where(models.User.name == "kim01")).one()
        for minutes in range(1, 21):
            add_past_session(db, kim, "v100", 60.0 * minutes, ago_s=86400.0)

    await site.db.run(age)
    return spec.session_id


async def find(site, session_id):
    return await site.db.run(sessions.get, session_id)


async def test_the_page_says_when_it_begins_and_takes_what_one_wishes(browser, site, session_id):
    _, page = await browser.get(f"sessions/{session_id}")
    assert page.select_one("#expected time")["datetime"]
    assert len(page.select("#between time")) == 2
    assert text(page.find(id="expected-from")) == "From the last 20 sessions like this one in the queue."
    assert page.find(id="mail") is None
    site.settings.mail_server = "localhost:25"
    _, page = await browser.get(f"sessions/{session_id}")
    token = page.select_one("#wait input[name=_xsrf]")["value"]
    path = f"sessions/{session_id}/wait"
    response, _ = await browser.post(path, {"_xsrf": token, "patience": "14400", "mail": "yes"})
    assert (response.status, response.headers["Location"].endswith(f"sessions/{session_id}")) == (303, True)
    kept = await find(site, session_id)
    assert (kept.patience_s, kept.wants_mail) == (14400, True)
    _, page = await browser.get(f"sessions/{session_id}")
    assert page.select_one("#patience option[selected]")["value"] == "14400"
    assert page.find(id="mail").has_attr("checked")
    assert page.select_one("#patience-help time")
    await browser.post(path, {"_xsrf": token})
    kept = await find(site, session_id)
    assert (kept.patience_s, kept.wants_mail) == (None, False)
    response, _ = await browser.post(path, {"_xsrf": token, "patience": "soon"})
    assert response.status == 400
    response, _ = await browser.post(path, {"patience": "14400"})
    assert response.status == 403
    await site.db.run(sessions.report, session_id, SessionStatus.RUNNING)
    _, page = await browser.get(f"sessions/{session_id}")
    assert page.find(id="wait") is None
    response, _ = await browser.post(path, {"_xsrf": token, "patience": "14400"})
    assert response.status == 303, "it began meanwhile: nothing is wrong"
    assert (await find(site, session_id)).patience_s is None


@pytest.mark.parametrize("who", OTHERS)
async def test_it_is_nobody_elses(site, session_id, who):
    other = Browser(site)
    async with other.http:
        await other.log_in(site.hub.let_in(who))
        fields = await other.form()
        response, _ = await other.post(f"sessions/{session_id}/wait", {"_xsrf": fields["_xsrf"], "patience": "14400"})
        assert response.status == 404
    assert (await find(site, session_id)).patience_s is None


@pytest.mark.browser
async def test_in_a_browser(site, session_id, chromium):
    site.settings.mail_server = "localhost:25"
    page = await open_page(chromium, site, bypass_csp=True)
    complaints = watch(page)
    await page.goto(f"{site.url}sessions/{session_id}")
    await page.select_option("#patience", "86400")
    await page.check("#mail")
    await page.click("#keep-wishes")
    await page.wait_for_selector("#patience-help time")
    await page.add_script_tag(path=AXE)
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "session-waits", "en")
    assert not complaints
