"""Chapters 7 and 8 of the manual in Chromium, on Slurm: a folder is made, filled, used in a session, and its files outlive it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests import lab
from tests.e2e.browsing import chromium, visit
from tests.e2e.folders import live_with_a_folder
from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import cancel_jobs

pytestmark = [*PLATFORM, *LAB, pytest.mark.browser]
USER = "kim02"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(slurm):
    yield
    cancel_jobs(slurm)
    workspace = Path(lab.SCRATCH.format(user=USER), "workspace")
    for path in [*workspace.glob("Untitled*.ipynb"), *(path for path in workspace.glob("*") if path.is_symlink())]:
        path.unlink()


async def test_what_is_in_a_folder_outlives_the_session(slurm, browser, tmp_path):
    async with visit(browser, slurm) as visitor:
        await visitor.log_in(USER)
        await live_with_a_folder(visitor, tmp_path, "jupyter", is_link=True)
