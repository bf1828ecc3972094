"""Bills in Chromium: both languages, light and dark, wide and narrow; axe finds nothing serious."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.ledger import ACCOUNTING, RECORDS, Used
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import ledger, models
from tests.databases import sqlite_template
from tests.factories import GIB, make_queue
from tests.services.admin.conftest import people
from tests.services.browsing import AXE, RUN, chromium, open_page, shoot, watch
from tests.services.public import settings, site

__all__ = ["chromium", "people", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser
PRICES = ResourceSlots({"cpu": "55", "mem": "7", "cuda.device": "1200"})


def fill(db):
    """A month of kim01's: two queues, one failed node, one charge from our own records, and credit."""
    at = datetime.now(UTC)
    user = db.query(models.User).filter_by(name="kim01").one()
    project = db.query(models.Project).filter_by(name="default").one()
    boss = Actor("root", Role.SUPERADMIN)
    ledger.give_credit(db, boss, f"user:{user.id}", Decimal(500_000), "2026년 연구 과제 배정", at)
    payer = ledger.Payer(user.id, "kim01", "default", "default", project.id)
    for number, name in enumerate(("딥러닝 실습 3주차", "preprocess", "", "still running")):
        queue = make_queue(("v100", "small")[number % 2], engine="slurm", is_free=False, prices=PRICES, is_exclusive=number == 2)
        figures = QueueFigures(queue.name, max_slots=ResourceSlots({"cpu": 40, "mem": 160 * GIB, "cuda.device": 2}))
        slots = ResourceSlots({"cpu": 8, "mem": 32 * GIB, "cuda.device": number % 2})
        session_id = models.new_id()
        offer = ledger.prepare(db, payer, queue, figures, slots, "", 12 * 3600)
        ledger.hold(db, session_id, payer, offer, queue.name, name, at)
        if number < 3:
            ledger.settle(db, session_id, Used(5025 * (number + 1), (ACCOUNTING, RECORDS)[number % 2], is_node_failure=number == 1), at)


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ko", "dark")])
async def test_bills_look_right(chromium, site, people, language, scheme):
    await site.db.run_exclusive(fill)
    pages = [("kim01", "bills", "bills"), ("root", "admin/bills", "bills-admin")]
    for user, path, name in pages if language == "en" else pages[:1]:
        page = await open_page(chromium, site, user, language, bypass_csp=True)
        complaints = watch(page)
        await page.context.add_init_script(AXE.read_text())
        await page.emulate_media(color_scheme=scheme)
        response = await page.goto(site.url + path)
        assert response.status == 200
        await page.wait_for_function("scheme => document.documentElement.dataset.bsTheme == scheme", arg=scheme)
        assert await page.evaluate(RUN, []) == []
        await shoot(page, name, language)
        assert complaints == []
        await page.context.close()
