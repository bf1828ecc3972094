"""The explorer's pages without scripts: every act is a form that asks and then does; strangers find nothing."""

import asyncio
import base64
import io
import json
import os
import threading
import zipfile

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.identity import Role
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.services.file_pages import file_pages, log_in
from tests.services.public import browser, settings, site

__all__ = ["browser", "file_pages", "settings", "site", "sqlite_template"]
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def ref(name):
    return base64.urlsafe_b64encode(name if isinstance(name, bytes) else name.encode()).decode().rstrip("=")


@pytest_asyncio.fixture
async def pages(file_pages):
    top = file_pages.top
    (top / "실험 1").mkdir()
    (top / "실험 1" / "깊은 곳").mkdir()
    (top / "a & b.txt").write_text("첫 줄\n둘째 줄\n")
    (top / "그림.png").write_bytes(PNG)
    with open(os.path.join(os.fsencode(top), b"\xff.bin"), "wb") as file:
        file.write(b"\x00")
    return file_pages


async def send(browser, pages, act, **fields):
    page = (await browser.get(pages.page))[1]
    token = page.find("input", {"name": "_xsrf"})["value"]
    data = [("_xsrf", token)]
    for name, value in fields.items():
        data += [(name, one) for one in value] if isinstance(value, list) else [(name, value)]
    return await browser.post(f"{pages.page}/files/{act}", data)


async def test_a_directory_is_listed_with_directories_first(browser, pages):
    response, page = await browser.get(pages.page)
    assert response.status == 200
    names = [row["data-name"] for row in page.select("#explorer tbody tr")]
    assert names == ["실험 1", "a & b.txt", "그림.png", "�.bin"]
    link = page.find("a", string="실험 1")
    response, page = await browser.get(link["href"].partition("/services/backendai/")[2])
    assert [crumb.text.strip() for crumb in page.select(".breadcrumb-item")] == ["user1-ml-test", "실험 1"]
    assert [row["data-name"] for row in page.select("#explorer tbody tr")] == ["깊은 곳"]


async def test_what_is_not_there_is_said_in_place(browser, pages):
    response, page = await browser.get(pages.page, params={"path": "nowhere"})
    assert response.status == 404
    assert page.select_one("#explorer-trouble a")["href"].endswith(pages.folder)
    response, page = await browser.get(pages.page, params={"path": "../.."})
    assert response.status == 400


async def test_a_hundred_entries_a_page(browser, pages):
    (pages.top / "many").mkdir()
    for number in range(250):
        (pages.top / "many" / f"{number:03}.txt").touch()
    _, page = await browser.get(pages.page, params={"path": "many"})
    seen = []
    for _ in range(3):
        seen += [row["data-name"] for row in page.select("#explorer tbody tr")]
        more = page.select_one("#explorer-next")
        if more:
            _, page = await browser.get(more["href"].partition("/services/backendai/")[2])
    assert seen == [f"{number:03}.txt" for number in range(250)]
    assert page.select_one("#explorer-count").text.split() == ["201", "to", "250", "of", "250"]
    _, page = await browser.get(pages.page, params={"path": "many", "q": "9.t", "order": "desc", "sort": "name"})
    assert [row["data-name"] for row in page.select("#explorer tbody tr")][:2] == ["249.txt", "239.txt"]


async def test_a_directory_is_made_and_what_is_wrong_is_said_beside_what_was_typed(browser, pages):
    response, page = await send(browser, pages, "mkdir", path="실험 1")
    assert (response.status, page.select_one("#act-name")["value"]) == (200, "")
    response, page = await send(browser, pages, "mkdir", path="실험 1", name="결과/2026", confirmed="yes")
    assert response.status == 303
    assert (pages.top / "실험 1" / "결과" / "2026").is_dir()
    _, page = await browser.get(response.headers["Location"].partition("/services/backendai/")[2])
    assert page.select_one("#explorer-done").text == "The directory was made."
    response, page = await send(browser, pages, "mkdir", path="실험 1", name="결과/2026", confirmed="yes")
    assert (response.status, page.select_one("#act-name")["value"]) == (409, "결과/2026")
    assert page.select_one("#act-wrong")
    response, page = await send(browser, pages, "mkdir", name="../x", confirmed="yes")
    assert response.status == 400


async def test_one_thing_is_renamed(browser, pages):
    response, page = await send(browser, pages, "rename", item=ref(b"\xff.bin"))
    assert (response.status, page.select_one("#act-name")["value"]) == (200, "�.bin")
    response, _ = await send(browser, pages, "rename", item=ref(b"\xff.bin"), name="고친 이름.bin", confirmed="yes")
    assert response.status == 303
    assert (pages.top / "고친 이름.bin").read_bytes() == b"\x00"
    assert (await send(browser, pages, "rename", item=[ref("a & b.txt"), ref("그림.png")]))[0].status == 400
    response, page = await send(browser, pages, "rename", item=ref("a & b.txt"), name="그림.png", confirmed="yes")
    assert response.status == 409
    assert (pages.top / "그림.png").read_bytes() == PNG


async def test_things_are_deleted_after_their_names_were_shown(browser, pages):
    items = [ref("실험 1"), ref("a & b.txt"), ref(b"\xff.bin")]
    response, page = await send(browser, pages, "delete", item=items)
    assert response.status == 200
    assert [item.text for item in page.select(".bai-names li")] == ["실험 1", "a & b.txt", "�.bin"]
    assert "everything in them" in page.text
    assert (pages.top / "a & b.txt").exists()
    response, _ = await send(browser, pages, "delete", item=items, confirmed="yes")
    assert response.status == 303
    assert response.headers["Location"].endswith("?did=deleted&count=3")
    assert os.listdir(pages.top) == ["그림.png"]
    assert (await send(browser, pages, "delete"))[0].status == 400
    assert (await send(browser, pages, "delete", item="Li4", confirmed="yes"))[0].status == 400  # ".."


async def test_things_are_moved_into_a_directory_that_is_walked_to(browser, pages):
    items = [ref("a & b.txt"), ref("그림.png")]
    response, page = await send(browser, pages, "move", item=items)
    doors = {button.text.strip(): button["value"] for button in page.select(".bai-doors button")}
    assert list(doors) == ["실험 1"]
    _, page = await send(browser, pages, "move", item=items, into=[".", doors["실험 1"]])
    assert page.select_one("#act-target").text == "실험 1"
    inner = page.select_one(".bai-doors button")["value"]
    (pages.top / "실험 1" / "깊은 곳" / "그림.png").write_text("old")
    response, page = await send(browser, pages, "move", item=items, into=inner, confirmed="yes")
    assert response.status == 409
    assert page.select_one("#act-wrong").text.startswith("그림.png: ")
    assert [field["value"] for field in page.select("input[name=item]")] == [ref("그림.png")]
    response, _ = await send(browser, pages, "move", item=ref("그림.png"), into=inner, replace="yes", confirmed="yes")
    assert response.status == 303
    assert sorted(os.listdir(pages.top / "실험 1" / "깊은 곳")) == ["a & b.txt", "그림.png"]
    assert (pages.top / "실험 1" / "깊은 곳" / "그림.png").read_bytes() == PNG


async def test_a_directory_is_not_offered_as_its_own_place(browser, pages):
    _, page = await send(browser, pages, "move", item=ref("실험 1"))
    assert page.select(".bai-doors button") == []


async def test_what_is_chosen_comes_as_one_zip(browser, pages):
    page = (await browser.get(pages.page))[1]
    token = page.find("input", {"name": "_xsrf"})["value"]
    data = [("_xsrf", token), ("item", ref("실험 1")), ("item", ref("a & b.txt"))]
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
    async with browser.http.post(f"{pages.url}/files/zip", data=data, headers=headers) as answer:
        assert answer.status == 200
        content = await answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert sorted(found.namelist()) == ["a & b.txt", "실험 1/깊은 곳/"]


async def test_a_text_is_changed_if_it_is_still_the_one_that_was_read(browser, pages):
    view = f"{pages.page}/files/view"
    _, page = await browser.get(view, params={"path": "a & b.txt"})
    assert page.select_one("#text").text == "첫 줄\n둘째 줄\n"
    _, page = await browser.get(view, params={"path": "a & b.txt", "edit": "1"})
    fields = {field["name"]: field["value"] for field in page.select("#editor input")}
    action = page.select_one("#editor")["action"].partition("/services/backendai/")[2]
    response, page = await browser.post(action, {**fields, "content": "새 글\r\n<b>\r\n"})
    assert response.status == 303, page.select_one("main").text
    assert (pages.top / "a & b.txt").read_text() == "새 글\n<b>\n"
    response, page = await browser.post(action, {**fields, "content": "또 다른 글\r\n"})
    assert response.status == 409
    assert page.select_one("#content").text.strip() == "또 다른 글"
    assert page.select_one("#there").text.strip() == "새 글\n<b>"
    fields = {field["name"]: field["value"] for field in page.select("#editor input")}
    response, _ = await browser.post(f"{pages.page}/files/save", {**fields, "content": "또 다른 글\r\n"})
    assert response.status == 303
    assert (pages.top / "a & b.txt").read_text() == "또 다른 글\n"
    (pages.top / "a & b.txt").unlink()
    response, page = await browser.post(f"{pages.page}/files/save", {**fields, "content": "x"})
    assert (response.status, "deleted" in page.select_one("#conflict").text) == (409, True)


async def test_windows_lines_and_a_byte_order_mark_stay(browser, pages):
    (pages.top / "w.txt").write_bytes("\ufeff가\r\n나\r\n".encode())
    _, page = await browser.get(f"{pages.page}/files/view", params={"path": "w.txt", "edit": "1"})
    fields = {field["name"]: field["value"] for field in page.select("#editor input")}
    response, _ = await browser.post(f"{pages.page}/files/save?path=w.txt", {**fields, "content": "다\r\n라\r\n"})
    assert response.status == 303
    assert (pages.top / "w.txt").read_bytes() == "\ufeff다\r\n라\r\n".encode()


async def test_old_korean_text_is_shown_and_not_changed(browser, pages):
    (pages.top / "old.txt").write_bytes("옛 한글".encode("cp949"))
    _, page = await browser.get(f"{pages.page}/files/view", params={"path": "old.txt", "edit": "1"})
    assert page.select_one("#text").text == "옛 한글"
    assert page.select_one("#editor") is None
    assert page.select_one("#edit") is None


async def test_a_notebook_of_long_tables_takes_no_long_time(browser, pages):
    table = "|a|b|\n|-|-|\n" + "|x|y|\n" * 50_000
    cells = [{"cell_type": "markdown", "source": source} for source in ("# first", table, *["*a* " * 4_000] * 10)]
    (pages.top / "long.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    async with asyncio.timeout(8):  # thirteen seconds, and nobody else was answered meanwhile
        _, page = await browser.get(f"{pages.page}/files/view", params={"path": "long.ipynb"})
    shown = page.select(".bai-cell")
    assert shown[0].select_one("h1").text == "first"
    assert shown[1].select("table") == []
    assert shown[1].select_one("pre").text.startswith("|a|b|")
    assert [bool(cell.select("em")) for cell in shown[2:]] == [True] * 6 + [False] * 4


async def test_a_file_is_read_by_the_threads_of_its_own_host(browser, pages, monkeypatch):
    names, pread = set(), os.pread

    def read(*arguments):
        names.add(threading.current_thread().name.rpartition("_")[0])
        return pread(*arguments)

    monkeypatch.setattr(os, "pread", read)
    for path in ("a & b.txt", "그림.png"):
        assert (await browser.get(f"{pages.page}/files/view", params={"path": path}))[0].status == 200
    assert {name.partition("-")[0] for name in names} == {"files"}  # one that hangs keeps nobody else waiting


async def test_a_notebook_is_shown_and_nothing_of_it_runs(browser, pages):
    evil = "<script>alert(1)</script>[x](javascript:alert(1)) [y](/hub/logout) ![z](/hub/logout) [web](https://example.org)"
    cells = [
        {"cell_type": "markdown", "source": ["# 제목\n", evil]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "execution_count": 3,
            "outputs": [
                {"output_type": "stream", "text": "\x1b[31m1\x1b[0m\n"},
                {
                    "output_type": "display_data",
                    "data": {"image/png": base64.b64encode(PNG).decode(), "text/html": "<script>alert(2)</script>"},
                },
                {"output_type": "display_data", "data": {"text/html": "<script>alert(3)</script>"}},
                {"output_type": "display_data", "data": {"image/png": "bm90IGEgcG5n"}},
            ],
        },
    ]
    (pages.top / "n.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    response, page = await browser.get(f"{pages.page}/files/view", params={"path": "n.ipynb"})
    shown = page.select_one("#notebook")
    assert shown.select_one("h1").text == "제목"
    assert shown.select("script") == []
    assert [link.get("href") for link in shown.select("a[href]")] == ["https://example.org"]
    assert [image["src"][:22] for image in shown.select("img")] == ["data:image/png;base64,"]
    assert shown.select_one("pre.bai-output").text == "1\n"
    assert "text/html" in shown.text
    assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"].partition("style-src")[0]


async def test_pictures_are_drawn_and_an_svg_is_text(browser, pages):
    (pages.top / "e.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    (pages.top / "e.html").write_text("<script>alert(1)</script>")
    _, page = await browser.get(f"{pages.page}/files/view", params={"path": "그림.png"})
    source = page.select_one("img.bai-picture")["src"].partition("/services/backendai/")[2]
    async with browser.http.get(pages.site.url + source, headers={"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"}) as answer:
        assert (answer.status, answer.headers["Content-Type"], await answer.read()) == (200, "image/png", PNG)
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("e.svg", "e.html"):
        _, page = await browser.get(f"{pages.page}/files/view", params={"path": name})
        assert page.select_one("#text").text.startswith("<s")
        assert page.select("#text *") == []
        response, _ = await browser.get(f"{pages.page}/files/image", params={"path": name})
        assert response.status == 404


async def test_what_cannot_be_shown_is_offered_for_download(browser, pages):
    (pages.top / "large.csv").write_bytes(b"x" * (1024 * 1024 + 1))
    for params in ({"path_ref": ref(b"\xff.bin")}, {"path": "large.csv"}):
        response, page = await browser.get(f"{pages.page}/files/view", params=params)
        assert response.status == 200
        assert page.select_one("#download")
        assert page.select_one(".bai-empty")


async def test_who_may_only_read_has_no_buttons_that_write(pages):
    reader = await log_in(pages, "lee01")
    _, page = await reader.get(pages.page)
    assert page.select_one("#selection button[data-needs]")
    for act in ("rename", "move", "delete", "mkdir"):
        assert page.select(f"[formaction$='{act}']") == []
        response, _ = await send(reader, pages, act, item=ref("a & b.txt"), name="x", confirmed="yes")
        assert response.status == 403, act
    assert page.select_one("#upload-plain") is None
    _, page = await reader.get(f"{pages.page}/files/view", params={"path": "a & b.txt", "edit": "1"})
    assert page.select_one("#editor") is None
    assert (pages.top / "a & b.txt").exists()
    await reader.http.close()


@pytest.mark.parametrize("role", [None, Role.ADMIN, Role.SUPERADMIN])
async def test_other_people_find_no_files(pages, role):
    await pages.site.db.run(lambda db: add_user(db, "jung03", "elsewhere", **({"role": role} if role else {})))
    other = await log_in(pages, "jung03")
    token = (await other.get("launch"))[1].find("input", {"name": "_xsrf"})["value"]
    for path in ("files/view", "files/image", "files/save"):
        assert (await other.get(f"{pages.page}/{path}", params={"path": "a & b.txt"}))[0].status == 404, path
    for path in ("mkdir", "rename", "move", "delete", "zip", "save"):
        fields = {"_xsrf": token, "item": ref("a & b.txt"), "name": "x", "path": "a & b.txt", "confirmed": "yes", "content": ""}
        assert (await other.post(f"{pages.page}/files/{path}", fields))[0].status == 404, path
    assert (pages.top / "a & b.txt").read_text() == "첫 줄\n둘째 줄\n"
    await other.http.close()


async def test_nobody_without_a_form_of_ours_writes(browser, pages):
    response, _ = await browser.post(f"{pages.page}/files/delete", {"item": ref("a & b.txt"), "confirmed": "yes"})
    assert response.status == 403
    assert (pages.top / "a & b.txt").exists()
