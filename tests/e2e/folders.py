"""Chapters 7 and 8 of the manual at a browser: a folder is made, filled, used in a session of any engine, and its files outlive it."""

from __future__ import annotations

import secrets
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.browsing import SLOW_MS, Visitor

REMOVE = """async ([url, name]) => {
  const token = document.querySelector("[name=_xsrf]").value;
  const headers = {"X-XSRFToken": token, "Content-Type": "application/json"};
  const trash = await fetch(`${url}/trash`, {method: "POST", headers, body: "{}"});
  const purge = await fetch(`${url}/purge`, {method: "POST", headers, body: JSON.stringify({name})});
  return [trash.status, purge.status];
}"""


def cell(folder: str) -> str:
    """What runs in the session: it reads what was uploaded, and writes what shall stay."""
    written = f"open('{folder}/test_file', 'w').write('file inside {folder}')"
    return f"import os; print('CELL', open('{folder}/한글.txt').read(), {written} > 0, os.path.islink('{folder}'))"


async def make_folder(visitor: Visitor, name: str) -> str:
    """The page "Data", its dialog, and the new folder's own page; the folder's id."""
    page = visitor.page
    answer = await page.goto(f"{visitor.stack.url}/services/backendai/data")
    assert answer
    assert answer.status == 200, await page.inner_text("body")
    await page.click("#create")
    await page.fill("#f-name", name)
    await page.get_by_role("button", name="Make the folder").click()
    await expect(page.locator("#done")).to_be_visible(timeout=SLOW_MS)
    await page.goto(f"{visitor.stack.url}/services/backendai/data")
    await page.get_by_role("link", name=name, exact=True).first.click()
    await page.locator("html[data-explorer=ready]").wait_for()
    return page.url.partition("/data/")[2].partition("?")[0].partition("/")[0]


async def live_with_a_folder(visitor: Visitor, directory: Path, queue: str, *, is_link: bool) -> None:
    """The whole of it, as somebody who is logged in; ``directory`` is for the file that is uploaded."""
    folder = f"user2-vfolder-{secrets.token_hex(3)}"
    (directory / "한글.txt").write_text("올린 파일")
    page = visitor.page
    folder_id = await make_folder(visitor, folder)
    await page.set_input_files("#pick-files", directory / "한글.txt")
    await expect(page.locator("tr[data-name='한글.txt']")).to_be_visible()
    # chapter 8: the folder is chosen, and is there
    await visitor.open_launch(f"?opt-queue={queue}")
    await page.get_by_label(folder, exact=True).check()
    await page.fill("#name", "with folder")
    await visitor.submit()
    await visitor.until_notebook()
    assert await visitor.run_cell(cell(folder)) == f"CELL 올린 파일 True {is_link}"
    # the folder cannot be thrown away while the session has it, which says so
    await page.goto(f"{visitor.stack.url}/services/backendai/sessions")
    await page.get_by_role("link", name="with folder").first.click()
    await expect(page.locator("#folders")).to_contain_text(folder)
    url = f"{visitor.stack.url}/services/backendai/rest/v1/folders/{folder_id}"
    assert (await page.evaluate(REMOVE, [url, folder]))[0] == 409
    await visitor.stop("with folder")
    # the file is there afterwards
    await page.goto(f"{visitor.stack.url}/services/backendai/data/{folder_id}")
    row = page.locator("tr[data-name=test_file]")
    await expect(row).to_be_visible(timeout=SLOW_MS)
    async with page.expect_download() as downloading:
        await row.locator("a[download]").click()
    assert Path(await (await downloading.value).path()).read_text() == f"file inside {folder}"
    assert await page.evaluate(REMOVE, [url, folder]) == [200, 202]
