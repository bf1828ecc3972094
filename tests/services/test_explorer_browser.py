"""The explorer in Chromium: by mouse, keyboard and drop, on a phone, in both languages; uploads through reloads and broken networks."""

import asyncio
import hashlib
import os

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.databases import sqlite_template
from tests.services.browsing import AXE, RUN, SHOTS, SIZES, chromium, open_page, serve_hub_files, shoot, tab_to, watch
from tests.services.file_pages import file_pages, log_in
from tests.services.public import settings, site
from tests.services.test_explorer import PNG

__all__ = ["chromium", "file_pages", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser
expect.set_options(timeout=8_000)
MIB = 1024 * 1024
PIECE = 8 * MIB  # as the script sends them
NOTEBOOK = """{"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": [
 {"cell_type": "markdown", "source": ["# 분류 실험\\n", "결과는 **표**와 같습니다.\\n\\n", "| 모형 | 정확도 |\\n|---|---|\\n| A | 0.93 |\\n"]},
 {"cell_type": "code", "execution_count": 1, "source": "import math\\nprint(math.pi)", "outputs": [{"output_type": "stream", "text": "3.141592653589793\\n"}]},
 {"cell_type": "code", "execution_count": 2, "source": "1 / 0", "outputs": [{"output_type": "error", "traceback": ["\\u001b[31mZeroDivisionError\\u001b[0m: division by zero"]}]}]}"""


@pytest_asyncio.fixture
async def pages(file_pages):
    top = file_pages.top
    for name in ("tensorflow", "mlperf", "실험 결과"):
        (top / name).mkdir()
    (top / "실험 결과" / "1차").mkdir()
    (top / "ml_examples.zip").write_bytes(b"x" * 3 * MIB)
    (top / "메모.txt").write_text("첫 줄\n둘째 줄\n")
    (top / "분류.ipynb").write_text(NOTEBOOK)
    (top / "그림.png").write_bytes(PNG)
    (top / ("아주 긴 이름 " * 12 + ".csv")).write_text("a,b\n")
    with open(os.path.join(os.fsencode(top), b"\xff\xfe.bin"), "wb") as file:
        file.write(b"\x00" * 1500)
    return file_pages


async def open_with_cookies(chromium, pages, user="kim01", language="en", path=""):
    """A page whose login is a cookie, as people's are: what writes needs the token of the page."""
    program = await log_in(pages, user)
    context = await chromium.new_context(locale=language, reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    url = pages.site.url.partition("/services/")[0]
    await context.add_cookies(
        [
            {"name": cookie.key, "value": cookie.value, "domain": "127.0.0.1", "path": cookie["path"] or "/"}
            for cookie in program.http.cookie_jar
        ]
    )
    await program.http.close()
    assert url
    await serve_hub_files(context)
    page = await context.new_page()
    await page.goto(f"{pages.url}{path}")
    await page.locator("html[data-explorer=ready]").wait_for()
    return page


async def choose(page, *names):
    for name in names:
        await page.locator(f'tr[data-name="{name}"] [name=item]').check()


async def test_directories_open_in_place_and_back_works(chromium, pages):
    page = await open_with_cookies(chromium, pages)
    complaints = watch(page)
    await page.evaluate("window.mark = 1")
    await page.get_by_role("link", name="실험 결과", exact=True).click()
    await expect(page.locator("tr[data-name='1차']")).to_be_visible()
    await expect(page.locator(".breadcrumb-item.active")).to_have_text("실험 결과")
    await page.go_back()
    await expect(page.locator("tr[data-name=tensorflow]")).to_be_visible()
    await page.get_by_role("link", name="Size").click()
    await expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Size")
    await page.fill("#explorer-q", "메모")
    await page.keyboard.press("Enter")
    await expect(page.locator("#explorer tbody tr")).to_have_count(1)
    assert "sort" not in page.url
    await page.reload()
    await expect(page.locator("#explorer tbody tr")).to_have_count(1)
    assert complaints == []
    await page.context.close()


async def test_acts_by_keyboard_in_dialogs(chromium, pages):
    page = await open_with_cookies(chromium, pages)
    complaints = watch(page)
    await page.evaluate("window.mark = 1")
    await page.get_by_role("button", name="New directory").press("Enter")
    await expect(page.locator("dialog #act-name")).to_be_focused()
    await page.keyboard.type("mlperf")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog #act-wrong")).to_be_visible()
    await page.fill("dialog #act-name", "새 폴더")
    await page.keyboard.press("Enter")
    await expect(page.locator("tr[data-name='새 폴더']")).to_be_visible()
    await expect(page.locator("#explorer-done")).to_have_text("The directory was made.")
    assert "did=" not in page.url

    await expect(page.get_by_role("button", name="Rename")).to_be_disabled()
    await choose(page, "새 폴더")
    await expect(page.locator("#chosen")).to_have_text("1 chosen")
    await page.get_by_role("button", name="Rename").press("Enter")
    await expect(page.locator("dialog #act-name")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Rename")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.fill("dialog #act-name", "지난 결과")
    await page.keyboard.press("Enter")
    await expect(page.locator("tr[data-name='지난 결과']")).to_be_visible()

    await choose(page, "메모.txt", "그림.png")
    await page.get_by_role("button", name="Move").click()
    await page.locator("dialog .bai-doors button", has_text="실험 결과").click()
    await expect(page.locator("dialog #act-target")).to_have_text("실험 결과")
    await page.get_by_role("button", name="Move here").click()
    await expect(page.locator("#explorer-done")).to_have_text("Moved: 2.")
    assert sorted(os.listdir(pages.top / "실험 결과")) == ["1차", "그림.png", "메모.txt"]

    await choose(page, "tensorflow", "ml_examples.zip")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.locator("dialog .bai-names li")).to_have_count(2)
    await page.get_by_role("button", name="Delete for good").click()
    await expect(page.locator("#explorer-done")).to_have_text("Deleted: 2.")
    assert not (pages.top / "tensorflow").exists()
    assert await page.evaluate("window.mark") == 1
    assert complaints == []
    await page.context.close()


async def test_a_text_is_edited_and_a_clash_leaves_both(chromium, pages):
    page = await open_with_cookies(chromium, pages)
    await page.get_by_role("link", name="메모.txt", exact=True).click()
    await page.get_by_role("link", name="Edit").click()
    await page.wait_for_url("**edit=1*")
    await page.locator("html[data-explorer=ready]").wait_for()  # before that, Ctrl+S is the browser's
    await page.fill("#content", "셋째 줄\n")
    (pages.top / "메모.txt").write_text("다른 사람\n")
    await page.keyboard.press("Control+s")
    await expect(page.locator("#there")).to_have_value("다른 사람\n")
    await page.get_by_role("button", name="Save yours").click()
    await expect(page.locator("#text")).to_have_text("셋째 줄")
    assert (pages.top / "메모.txt").read_text() == "셋째 줄\n"
    await page.context.close()


async def test_files_are_uploaded_and_a_taken_name_is_asked_about(chromium, pages, tmp_path):
    (tmp_path / "한글 이름.txt").write_text("내용")
    (tmp_path / "빈.txt").write_text("")
    (tmp_path / "메모.txt").write_text("새 메모")
    page = await open_with_cookies(chromium, pages)
    complaints = watch(page)
    await page.set_input_files("#pick-files", [tmp_path / name for name in ("한글 이름.txt", "빈.txt", "메모.txt")])
    await expect(page.locator("tr[data-name='한글 이름.txt']")).to_be_visible()
    row = page.locator(".bai-tray-item", has_text="메모.txt")
    await expect(row).to_have_attribute("data-state", "conflict")
    assert (pages.top / "메모.txt").read_text() == "첫 줄\n둘째 줄\n"
    await row.get_by_role("button", name="Keep both").click()
    await expect(page.locator("tr[data-name='메모 (2).txt']")).to_be_visible()
    assert (pages.top / "메모 (2).txt").read_text() == "새 메모"
    await expect(page.locator("#tray-said")).to_have_text("Uploads are done: 3")
    await page.locator("#tray-close").click()
    await expect(page.locator("#upload-tray")).to_be_hidden()
    await page.set_input_files("#pick-files", [tmp_path / "메모.txt"])
    await row.get_by_role("button", name="Replace").click()
    await expect(row).to_have_attribute("data-state", "done")
    assert (pages.top / "메모.txt").read_text() == "새 메모"
    assert ((pages.top / "한글 이름.txt").read_text(), (pages.top / "빈.txt").read_bytes()) == ("내용", b"")
    assert complaints == []
    await page.context.close()


def make_large(path, size):
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(8, "big") + block[8:])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def hold_second_piece(page):
    """Let one PATCH through; the next one is held until it is cut off. Returns the offsets that were sent."""
    offsets, held = [], asyncio.Event()

    async def decide(route):
        if route.request.method != "PATCH":
            await route.continue_()
            return
        offsets.append(int(route.request.headers["upload-offset"]))
        if len(offsets) == 2:
            held.set()
            return
        await route.continue_()

    await page.context.route("**/uploads/*", decide)
    return offsets, held


async def test_an_upload_goes_on_after_a_reload_on_another_page(chromium, pages, tmp_path):
    expected = make_large(tmp_path / "큰 자료.bin", 10 * MIB)
    page = await open_with_cookies(chromium, pages)
    offsets, held = await hold_second_piece(page)
    await page.set_input_files("#pick-files", tmp_path / "큰 자료.bin")
    await asyncio.wait_for(held.wait(), 60)
    await page.goto(f"{pages.site.url}data")  # a page without the explorer
    await expect(page.locator(".bai-tray-item")).to_have_attribute("data-state", "done", timeout=60_000)
    assert offsets[:2] == [0, PIECE]
    assert all(offset >= PIECE for offset in offsets[2:])  # not from its beginning
    assert digest(pages.top / "큰 자료.bin") == expected
    await page.context.close()


async def test_an_upload_waits_for_the_network_and_can_be_paused(chromium, pages, tmp_path):
    expected = make_large(tmp_path / "a.bin", 10 * MIB)
    page = await open_with_cookies(chromium, pages)
    offsets, held = await hold_second_piece(page)
    await page.set_input_files("#pick-files", tmp_path / "a.bin")
    await asyncio.wait_for(held.wait(), 60)
    row = page.locator(".bai-tray-item")
    await row.get_by_role("button", name="Pause").click()
    await expect(row).to_have_attribute("data-state", "paused")
    await page.context.set_offline(True)
    await row.get_by_role("button", name="Go on").click()
    await expect(row).to_have_attribute("data-state", "offline")
    await expect(row).to_contain_text("goes on by itself")
    await page.context.set_offline(False)
    await expect(row).to_have_attribute("data-state", "done", timeout=60_000)
    assert digest(pages.top / "a.bin") == expected
    assert offsets[:2] == [0, PIECE]
    await page.context.close()


async def test_a_file_that_the_browser_lost_is_asked_for_again(chromium, pages, tmp_path):
    expected = make_large(tmp_path / "huge.bin", 17 * MIB)  # more than the browser keeps
    page = await open_with_cookies(chromium, pages)
    offsets, held = await hold_second_piece(page)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))  # it warns of leaving
    await page.set_input_files("#pick-files", tmp_path / "huge.bin")
    await asyncio.wait_for(held.wait(), 60)
    await page.reload()
    row = page.locator(".bai-tray-item")
    await expect(row).to_have_attribute("data-state", "lost")
    await page.set_input_files("#tray-files", tmp_path / "huge.bin")
    await expect(row).to_have_attribute("data-state", "done", timeout=60_000)
    assert offsets[2] >= PIECE
    assert digest(pages.top / "huge.bin") == expected
    await page.context.close()


async def test_a_cancelled_upload_leaves_nothing(chromium, pages, tmp_path):
    make_large(tmp_path / "a.bin", 10 * MIB)
    page = await open_with_cookies(chromium, pages)
    _, held = await hold_second_piece(page)
    await page.set_input_files("#pick-files", tmp_path / "a.bin")
    await asyncio.wait_for(held.wait(), 60)
    async with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        await page.locator(".bai-tray-item").get_by_role("button", name="Cancel").click()
    assert (await deleted.value).status == 204
    await expect(page.locator("#upload-tray")).to_be_hidden()
    assert not (pages.top / "a.bin").exists()
    assert os.listdir(pages.top.parent / "work") == []
    await page.context.close()


async def test_a_whole_directory_is_dropped(chromium, pages, tmp_path):
    tree = tmp_path / "자료"
    (tree / "안" / "더 안").mkdir(parents=True)
    (tree / "빈 곳").mkdir()
    (tree / "a.txt").write_text("a")
    (tree / "안" / "더 안" / "b.txt").write_text("b")
    page = await open_with_cookies(chromium, pages)
    complaints = watch(page)
    box = await page.locator("#explorer").bounding_box()
    session = await page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(tree)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 50, "y": box["y"] + 50, "data": data})
    await expect(page.locator("#tray-said")).to_have_text("Uploads are done: 2")
    await expect(page.locator("tr[data-name='자료']")).to_be_visible()
    found = sorted(str(path.relative_to(pages.top)) for path in (pages.top / "자료").rglob("*"))
    assert found == ["자료/a.txt", "자료/빈 곳", "자료/안", "자료/안/더 안", "자료/안/더 안/b.txt"]
    assert complaints == []
    await page.context.close()


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_every_view_looks_right_and_shuts_nobody_out(chromium, pages, language, tmp_path):
    (tmp_path / "메모.txt").write_text("새 메모")
    (tmp_path / "새 자료.csv").write_text("a,b\n")
    page = await open_page(chromium, pages.site, language=language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    found = {}

    async def look(name, *, is_shot=False):
        """axe by day and by night, whose rules know no language; pictures of some, the others only as a phone has them."""
        for scheme in ("light", "dark") if language == "en" else ():
            await page.emulate_media(color_scheme=scheme)
            await page.wait_for_function("scheme => document.documentElement.dataset.bsTheme == scheme", arg=scheme)
            if lines := await page.evaluate(RUN, []):
                found[f"{name} {scheme}"] = lines
        if is_shot:
            await shoot(page, f"explorer-{name}", language)
        else:
            await page.set_viewport_size(SIZES["phone"])
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
            await page.screenshot(path=SHOTS / f"explorer-{name}-phone-{language}.png", full_page=True)
        await page.set_viewport_size(SIZES["desktop"])

    await page.goto(pages.url)
    await page.locator("html[data-explorer=ready]").wait_for()
    await choose(page, "메모.txt", "mlperf")
    await look("list", is_shot=True)
    for act in ("delete", "move"):
        await page.locator(f"#selection [formaction$={act}]").click()
        await page.locator("dialog #act").wait_for()
        await look(act)
        await page.keyboard.press("Escape")
    await page.set_input_files("#pick-files", [tmp_path / "메모.txt", tmp_path / "새 자료.csv"])
    await expect(page.locator(".bai-tray-item[data-state=conflict]")).to_be_visible()
    await expect(page.locator(".bai-tray-item[data-state=done]")).to_be_visible()
    await look("tray", is_shot=True)
    for name, path in {"text": "메모.txt", "notebook": "분류.ipynb", "picture": "그림.png"}.items():
        await page.goto(f"{pages.url}/files/view?path={path}")
        await page.locator("html[data-explorer=ready]").wait_for()
        await look(name)
    await page.goto(f"{pages.url}/files/view?path=메모.txt&edit=1")
    await look("edit")
    await page.goto(f"{pages.url}?path=tensorflow")
    await look("empty")
    assert found == {}
    await page.context.close()


async def test_everything_is_reached_by_tab(chromium, pages):
    page = await open_with_cookies(chromium, pages)
    await page.locator("#explorer-q").focus()
    for selector in ("#upload-files", "#upload-directory", "#choose-all", "tr[data-name=mlperf] [name=item]", "tr[data-name=mlperf] th a"):
        await tab_to(page, selector)
    await page.keyboard.press("ArrowDown")
    assert await page.evaluate("document.activeElement.closest('tr').dataset.name") == "tensorflow"
    await page.keyboard.press("Enter")
    await expect(page.locator("#explorer-empty")).to_be_visible()
    await page.context.close()


async def test_without_scripts_forms_do_the_same(chromium, pages, tmp_path):
    (tmp_path / "한글 이름.txt").write_text("내용")
    (tmp_path / "메모.txt").write_text("새 메모")
    page = await open_page(chromium, pages.site, java_script_enabled=False)
    await page.goto(f"{pages.url}?path=실험 결과")
    await page.set_input_files("#plain-files", [tmp_path / "한글 이름.txt", tmp_path / "메모.txt"])
    await page.get_by_role("button", name="Upload", exact=True).click()
    await expect(page.locator("#explorer-done")).to_have_text("Uploaded: 2.")
    assert (pages.top / "실험 결과" / "한글 이름.txt").read_text() == "내용"
    await page.locator("tr[data-name='메모.txt'] [name=item]").check()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Delete for good").click()
    await expect(page.locator("#explorer-done")).to_have_text("Deleted: 1.")
    await page.get_by_role("button", name="New directory").click()
    await page.fill("#act-name", "새 폴더")
    await page.get_by_role("button", name="Make the directory").click()
    await expect(page.locator("tr[data-name='새 폴더']")).to_be_visible()
    assert sorted(os.listdir(pages.top / "실험 결과")) == ["1차", "새 폴더", "한글 이름.txt"]
    await page.context.close()


async def test_another_page_takes_over_when_the_first_is_closed(chromium, pages, tmp_path):
    expected = make_large(tmp_path / "a.bin", 10 * MIB)
    page = await open_with_cookies(chromium, pages)
    offsets, held = await hold_second_piece(page)
    await page.set_input_files("#pick-files", tmp_path / "a.bin")
    await asyncio.wait_for(held.wait(), 60)
    other = await page.context.new_page()
    await other.goto(f"{pages.site.url}data")
    await other.wait_for_load_state("networkidle")
    await expect(other.locator("#upload-tray")).to_be_hidden()
    await page.close()
    await expect(other.locator(".bai-tray-item")).to_have_attribute("data-state", "done", timeout=60_000)
    assert offsets[:2] == [0, PIECE]
    assert all(offset >= PIECE for offset in offsets[2:])  # not from its beginning
    assert digest(pages.top / "a.bin") == expected
    await other.context.close()
