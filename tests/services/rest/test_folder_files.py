"""``rest/v1/folders/<id>/files…``: the owner, somebody who was invited, administrators, a stranger; and whatever a path may be."""

import base64
import os

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.vfolders import FolderStatus, Permission
from jupyterhub_backendai.errors import StorageUnavailable
from jupyterhub_backendai.store import models
from tests.local_files import LocalStorage, add_folder, add_host, share
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
BAD = b"\xff\xfe.txt"
BAD_REF = base64.urlsafe_b64encode(BAD).decode().rstrip("=")


@pytest_asyncio.fixture
async def folder(admin_site, tmp_path):
    """kim01's folder, which jung03 may read; ``folder.top`` is its directory."""

    def add(db):
        add_host(db)
        folder_id = add_folder(db)
        share(db, folder_id, "jung03")
        return folder_id

    folder_id = await admin_site.site.db.run(add)
    storage = LocalStorage(tmp_path / "folders")
    admin_site.site.application.settings["storage"] = storage
    top = tmp_path / "folders" / folder_id
    (top / "실험").mkdir(parents=True)
    (top / "실험" / "결과.csv").write_text("가,나\n1,2\n")
    (top / "a.txt").write_text("hello\n")
    with open(os.path.join(os.fsencode(top), BAD), "wb") as file:
        file.write(b"x")

    class Folder:
        id, path, people = folder_id, f"folders/{folder_id}/files", admin_site

    Folder.top, Folder.storage = top, storage
    return Folder


async def test_the_owner_lists_a_directory_page_by_page(folder):
    status, found, _ = await folder.people.owner.get(f"{folder.path}?limit=2")
    assert status == 200
    assert [entry["name"] for entry in found["entries"]] == ["실험", "a.txt"]
    assert [entry["kind"] for entry in found["entries"]] == ["DIRECTORY", "FILE"]
    assert (found["total"], found["path"]) == (3, "")
    status, found, _ = await folder.people.owner.get(f"{folder.path}?limit=2&after={found['after']}")
    assert [(entry["ref"], entry["size"]) for entry in found["entries"]] == [(BAD_REF, 1)]
    assert found["after"] == ""
    _, found, _ = await folder.people.owner.get(f"{folder.path}?path=실험")
    assert [entry["name"] for entry in found["entries"]] == ["결과.csv"]
    _, found, _ = await folder.people.owner.get(f"{folder.path}?search=A.T&sort=size&order=desc")
    assert [entry["name"] for entry in found["entries"]] == ["a.txt"]


async def test_the_owner_makes_renames_moves_and_removes(folder):
    ask = folder.people.owner.ask
    assert (await ask("POST", f"{folder.path}/mkdir", {"path": "새/폴더"}))[0] == 201
    assert (await ask("POST", f"{folder.path}/mkdir", {"path": "새/폴더"}))[0] == 409
    assert (await ask("POST", f"{folder.path}/mkdir", {"path": "새/폴더", "exist_ok": True}))[0] == 201
    status, found, _ = await ask("POST", f"{folder.path}/rename", {"path_ref": BAD_REF, "name": "고친 이름.txt"})
    assert (status, found["path"]) == (200, "고친 이름.txt")
    assert (await ask("POST", f"{folder.path}/move", {"source": "고친 이름.txt", "target": "새/폴더/b.txt"}))[0] == 200
    assert (folder.top / "새" / "폴더" / "b.txt").read_text() == "x"
    assert (await ask("POST", f"{folder.path}/move", {"source": "a.txt", "target": "새/폴더/b.txt"}))[0] == 409
    assert (await ask("POST", f"{folder.path}/move", {"source": "a.txt", "target": "새/폴더/b.txt", "replace": True}))[0] == 200
    assert (await ask("POST", f"{folder.path}/delete", {"paths": ["새"]}))[0] == 409
    status, found, _ = await ask("POST", f"{folder.path}/delete", {"paths": ["새"], "recursive": True})
    assert (status, found) == (200, {"removed": 1})
    assert not (folder.top / "새").exists()


async def test_what_no_text_can_name_is_removed_by_its_reference(folder):
    status, _, _ = await folder.people.owner.ask("POST", f"{folder.path}/delete", {"path_refs": [BAD_REF]})
    assert status == 200
    assert sorted(os.listdir(folder.top)) == ["a.txt", "실험"]


async def test_a_text_is_read_and_written_only_as_it_was_read(folder):
    ask = folder.people.owner.ask
    status, found, answer = await ask("GET", f"{folder.path}/text?path=실험/결과.csv")
    assert (status, found["content"], found["can_write"], found["newline"]) == (200, "가,나\n1,2\n", True, "lf")
    assert answer.headers["Etag"] == found["etag"]
    body = {"path": "실험/결과.csv", "content": "다\n", "etag": found["etag"]}
    status, saved, _ = await ask("PUT", f"{folder.path}/text", body)
    assert (status, saved["size"]) == (200, 4)
    assert (await ask("PUT", f"{folder.path}/text", body))[0] == 409
    assert (folder.top / "실험" / "결과.csv").read_text() == "다\n"
    (folder.top / "blob").write_bytes(b"\x00\x01")
    assert (await ask("GET", f"{folder.path}/text?path=blob"))[0] == 400
    (folder.top / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    assert (await ask("GET", f"{folder.path}/text?path=large"))[0] == 400


async def test_previews_tell_what_a_page_would_show(folder):
    png = b"\x89PNG\r\n\x1a\n" + b"x" * 20
    (folder.top / "p.png").write_bytes(png)
    (folder.top / "n.ipynb").write_text('{"cells": [{"cell_type": "markdown", "source": ["# 제목"]}]}')
    (folder.top / "s.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    ask = folder.people.owner.get
    found = {name: (await ask(f"{folder.path}/preview?path={name}"))[1] for name in ("a.txt", "p.png", "n.ipynb", "s.svg", "실험")}
    assert {name: answer["kind"] for name, answer in found.items()} == {
        "a.txt": "text",
        "p.png": "image",
        "n.ipynb": "notebook",
        "s.svg": "text",
        "실험": "directory",
    }
    assert base64.b64decode(found["p.png"]["content_base64"]) == png
    assert found["n.ipynb"]["cells"][0]["source"] == "# 제목"


async def test_who_was_invited_to_read_only_reads(folder):
    member = folder.people.member
    assert (await member.get(folder.path))[0] == 200
    assert (await member.get(f"{folder.path}/text?path=a.txt"))[1]["can_write"] is False
    for path, body in (
        ("mkdir", {"path": "x"}),
        ("rename", {"path": "a.txt", "name": "b"}),
        ("move", {"source": "a.txt", "target": "b"}),
        ("delete", {"paths": ["a.txt"]}),
    ):
        status, problem, _ = await member.ask("POST", f"{folder.path}/{path}", body)
        assert (status, problem["error_code"]) == (403, "backendai_generic_forbidden"), path
    assert (await member.ask("PUT", f"{folder.path}/text", {"path": "a.txt", "content": ""}))[0] == 403
    assert (folder.top / "a.txt").read_text() == "hello\n"


CALLS = [
    ("GET", "", None),
    ("POST", "/mkdir", {"path": "x"}),
    ("POST", "/move", {"source": "a.txt", "target": "b"}),
    ("POST", "/rename", {"path": "a.txt", "name": "b"}),
    ("POST", "/delete", {"paths": ["a.txt"], "recursive": True}),
    ("GET", "/text?path=a.txt", None),
    ("PUT", "/text", {"path": "a.txt", "content": ""}),
    ("GET", "/preview?path=a.txt", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_everybody_else_finds_nothing(folder, method, path, body):
    for who in ("root", "admin", "stranger"):
        status, problem, _ = await getattr(folder.people, who).ask(method, folder.path + path, body)
        assert (status, problem["error_code"]) == (404, "backendai_generic_not-found"), who
    assert (await folder.people.outsider.ask(method, folder.path + path, body))[0] in (401, 403)
    assert (folder.top / "a.txt").read_text() == "hello\n"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../b", "./a", "a//b", "a\x00b", "x" * 256, "/".join("x" * 200), ".."])
async def test_paths_that_lead_out_are_refused(folder, path):
    ask = folder.people.owner.ask
    for name, body in (("mkdir", {"path": path}), ("move", {"source": "a.txt", "target": path}), ("delete", {"paths": [path]})):
        assert (await ask("POST", f"{folder.path}/{name}", body))[0] == 400, name
    assert (await ask("PUT", f"{folder.path}/text", {"path": path, "content": ""}))[0] == 400
    ref = base64.urlsafe_b64encode(path.encode()).decode().rstrip("=")
    assert (await ask("GET", f"{folder.path}?path_ref={ref}"))[0] == 400


async def test_the_folder_itself_is_neither_removed_nor_renamed(folder):
    ask = folder.people.owner.ask
    assert (await ask("POST", f"{folder.path}/delete", {"paths": [""], "recursive": True}))[0] == 400
    assert (await ask("POST", f"{folder.path}/delete", {}))[0] == 400
    assert (await ask("POST", f"{folder.path}/rename", {"path": "", "name": "x"}))[0] == 400
    assert (await ask("POST", f"{folder.path}/rename", {"path": "a.txt", "name": "b/c"}))[0] == 400


async def test_without_the_hosts_permission_it_is_said_in_words(folder):
    def take(db):
        db.get(models.Domain, "default").allowed_vfolder_hosts = {"local:folders": ["mount-in-session"]}

    await folder.people.site.db.run(take)
    status, problem, _ = await folder.people.owner.get(f"{folder.path}/text?path=a.txt")
    assert (status, problem["title"]) == (403, "You may not download files from the storage host local:folders (download-file).")
    status, problem, _ = await folder.people.owner.ask("PUT", f"{folder.path}/text", {"path": "a.txt", "content": ""})
    assert (status, "upload-file" in problem["title"]) == (403, True)
    assert (await folder.people.owner.get(folder.path))[0] == 200


async def test_files_in_the_trash_are_not_touched(folder):
    def throw(db):
        db.get(models.VFolder, folder.id).status = FolderStatus.DELETE_PENDING

    await folder.people.site.db.run(throw)
    assert (await folder.people.owner.get(folder.path))[0] == 409


async def test_a_storage_host_that_does_not_answer_is_a_503(folder):
    folder.storage.trouble = StorageUnavailable(host="local:folders")
    status, problem, _ = await folder.people.owner.get(folder.path)
    assert (status, problem["error_code"]) == (503, "backendai_vfolder_storage-unavailable")


async def test_writers_write_by_invitation(folder):
    def allow(db):
        db.query(models.VFolderPermission).one().permission = Permission.READ_WRITE

    await folder.people.site.db.run(allow)
    assert (await folder.people.member.ask("PUT", f"{folder.path}/text", {"path": "a.txt", "content": "안녕"}))[0] == 200
    assert (folder.top / "a.txt").read_text() == "안녕"


async def test_every_change_is_written_down(folder):
    ask = folder.people.owner.ask
    await ask("POST", f"{folder.path}/mkdir", {"path": "새"})
    await ask("POST", f"{folder.path}/move", {"source": "a.txt", "target": "새/a.txt"})
    await ask("PUT", f"{folder.path}/text", {"path": "b.txt", "content": "b"})
    await ask("POST", f"{folder.path}/delete", {"paths": ["b.txt"], "path_refs": [BAD_REF]})
    await ask("POST", f"{folder.path}/delete", {"paths": ["nothing"]})
    await ask("POST", f"{folder.path}/mkdir", {"path": "새"})

    def read(db):
        rows = db.query(models.AuditEntry).filter_by(object=folder.id).order_by(models.AuditEntry.id)
        return [(row.actor, row.action, row.result, row.details["paths"]) for row in rows]

    assert sorted(await folder.people.site.db.run(read), key=str) == sorted(
        [
            ("kim01", "make-directory", "ok", ["새"]),
            ("kim01", "move-file", "ok", ["a.txt", "새/a.txt"]),
            ("kim01", "write-file", "ok", ["b.txt"]),
            ("kim01", "delete-files", "ok", ["b.txt", "��.txt"]),
            ("kim01", "delete-files", "backendai_generic_not-found", ["nothing"]),
        ],
        key=str,
    )
