"""``rest/v1/folders/<id>/files``: look into a folder, make directories, move, rename and remove, read and write small texts.

A path is text relative to the folder (``path``), or ``path_ref`` (base64url of its bytes) where it is no UTF-8.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tornado.web import HTTPError

from ...core.files import EntryKind, decode_ref, join_path, parse_new_path, split_path
from ...core.text_files import MAX_TEXT_BYTES, read_text
from ...core.vfolders import HostPermission
from ...errors import N_, InvalidParameters
from .. import previews
from ..auth import authenticated
from ..base import ApiHandler
from ..folder_files import OpenFolder, describe_entry, open_folder, read_path, ref_of, require_some, show
from ..storage.pools import HostPool

MAX_LIMIT, MAX_ITEMS = 1000, 10_000
SORTS = ("name", "size", "mtime")


class FilesHandler(ApiHandler):
    """What calls about files share."""

    def query(self, name: str, default: str = "") -> str:
        """An argument of the address. Raises InvalidParameters for one that is no text."""
        try:
            return self.get_query_argument(name, default, strip=False) or default
        except HTTPError as exc:
            raise InvalidParameters(N_("The request could not be read.")) from exc

    def pool_of(self, folder: OpenFolder) -> HostPool:
        """The threads of a folder's host."""
        found: HostPool = self.application.settings["uploads"].pools.of(folder.access.folder.host)
        return found

    def query_path(self) -> bytes:
        return read_path(self.query("path"), self.query("path_ref"))

    @staticmethod
    def path_in(body: Mapping[str, Any], name: str = "path") -> bytes:
        return require_some(read_path(body.get(name, ""), body.get(f"{name}_ref", ""), name))

    @staticmethod
    def new_path_in(body: Mapping[str, Any], name: str = "path") -> bytes:
        """The path of something to be made; one given as reference names an existing directory's bytes and is taken as it is."""
        text, ref = body.get(name, ""), body.get(f"{name}_ref", "")
        if ref or not isinstance(text, str):
            return require_some(read_path(text, ref, name))
        parent, _, last = text.rpartition("/")
        return parse_new_path(last, read_path(parent))

    def flag_in(self, body: Mapping[str, Any], name: str, default: bool = False) -> bool:
        value = body.get(name, default)
        if not isinstance(value, bool):
            raise InvalidParameters(N_("%(field)s must be true or false."), field=name)
        return value


class ListHandler(FilesHandler):
    """GET a page of a directory: ``path``, ``after`` (of the answer before), ``limit``, ``sort``, ``order``, ``search``."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        path = self.query_path()
        folder = await open_folder(self, folder_id)
        listing = await folder.files.list(
            path,
            after=self._after(),
            limit=self._limit(),
            sort=self._choice("sort", SORTS),
            is_descending=self._choice("order", ("asc", "desc")) == "desc",
            search=self.query("search")[:255],
        )
        entries = [describe_entry(entry) for entry in listing.entries]
        self.answer({"path": show(path), "path_ref": ref_of(path), "entries": entries, "total": listing.total, "after": listing.after})

    def _after(self) -> bytes:
        try:
            return decode_ref(self.query("after"))
        except ValueError as exc:
            raise InvalidParameters(N_("This is no place to go on from. Begin at the first page.")) from exc

    def _limit(self) -> int:
        text = self.query("limit", "100")
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) <= MAX_LIMIT):
            raise InvalidParameters(N_("%(field)s must be a number from 1 to %(most)s."), field="limit", most=MAX_LIMIT)
        return int(text)

    def _choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.query(name, allowed[0])
        if value not in allowed:
            raise InvalidParameters(N_("%(field)s must be one of %(allowed)s."), field=name, allowed=", ".join(allowed))
        return value


class MkdirHandler(FilesHandler):
    """POST ``{"path": …, "parents": true, "exist_ok": false}``."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = self.read_body()
        path = self.new_path_in(body)
        parents, exist_ok = self.flag_in(body, "parents", default=True), self.flag_in(body, "exist_ok")
        folder = await open_folder(self, folder_id)
        folder.require_writing()
        await folder.files.make_directory(path, parents=parents, exist_ok=exist_ok)
        self.answer({"path": show(path), "path_ref": ref_of(path)}, 201)


class MoveHandler(FilesHandler):
    """POST ``{"source": …, "target": …, "replace": false}``: the target is the new path itself."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = self.read_body()
        source, target, is_replacing = self.path_in(body, "source"), self.new_path_in(body, "target"), self.flag_in(body, "replace")
        folder = await open_folder(self, folder_id)
        folder.require_writing()
        await folder.files.move(source, target, is_replacing=is_replacing)
        self.answer({"path": show(target), "path_ref": ref_of(target)})


class RenameHandler(FilesHandler):
    """POST ``{"path": …, "name": …}``: the same directory, another name."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = self.read_body()
        source = self.path_in(body)
        target = join_path(split_path(source)[0], read_name(body.get("name")))
        folder = await open_folder(self, folder_id)
        folder.require_writing()
        await folder.files.move(source, target)
        self.answer({"path": show(target), "path_ref": ref_of(target)})


class DeleteHandler(FilesHandler):
    """POST ``{"paths": […], "path_refs": […], "recursive": false}``: they are gone for good."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = self.read_body()
        is_recursive = self.flag_in(body, "recursive")
        paths = [require_some(read_path(path)) for path in self._list(body, "paths")]
        paths += [require_some(read_path("", ref)) for ref in self._list(body, "path_refs") if ref]
        if not paths:
            raise InvalidParameters(N_("Name a file or directory in the folder."))
        folder = await open_folder(self, folder_id)
        folder.require_writing()
        self.answer({"removed": await folder.files.remove(paths, recursive=is_recursive)})

    @staticmethod
    def _list(body: Mapping[str, Any], name: str) -> list[Any]:
        value = body.get(name, [])
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise InvalidParameters(N_("%(field)s must be a list of at most %(most)s."), field=name, most=MAX_ITEMS)
        return value


class TextHandler(FilesHandler):
    """GET a small text with its ``etag``; PUT one, with ``etag`` only if the file is still the one that was read."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        path = require_some(self.query_path())
        folder = await open_folder(self, folder_id, HostPermission.DOWNLOAD)
        content, etag = await previews.read_small(folder.files, path, MAX_TEXT_BYTES, self.pool_of(folder))
        found = read_text(content)
        if found is None:
            raise InvalidParameters(N_("This is no text that can be shown. Download it instead."))
        facts = {"encoding": found.encoding, "newline": found.newline, "can_write": folder.can_write and found.can_change}
        self.set_header("Etag", etag)
        self.answer({"path": show(path), "path_ref": ref_of(path), "content": found.text, "etag": etag, "size": len(content), **facts})

    def compute_etag(self) -> str | None:
        """Not that of the answer: the header is the file's."""
        return None

    @authenticated
    async def put(self, folder_id: str) -> None:
        body = self.read_body()
        content, etag = body.get("content"), body.get("etag", "")
        if not isinstance(content, str) or not isinstance(etag, str) or len(etag) > 128:
            raise InvalidParameters(N_("%(field)s must be text."), field="content" if isinstance(etag, str) else "etag")
        path = self.path_in(body) if etag else self.new_path_in(body)
        data = encode_text(content)
        folder = await open_folder(self, folder_id, HostPermission.UPLOAD)
        folder.require_writing()
        entry = await folder.files.write(path, data, etag=etag)
        self.answer({**describe_entry(entry), "path": show(path), "etag": previews.etag_of(entry)})


class PreviewHandler(FilesHandler):
    """GET what a page would show of a file: ``kind`` is text, notebook, image, directory or none."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        path = require_some(self.query_path())
        folder = await open_folder(self, folder_id, HostPermission.DOWNLOAD)
        entry = await folder.files.stat(path)
        if entry.kind is EntryKind.DIRECTORY:
            self.answer({"kind": "directory", "entry": describe_entry(entry)})
            return
        shown = await previews.load(folder.files, path, self.pool_of(folder))
        self.answer({"kind": shown.kind, "entry": describe_entry(entry), **self._content(shown)})

    @staticmethod
    def _content(shown: previews.Preview) -> dict[str, Any]:
        if shown.kind == "text" and shown.text:
            return {"content": shown.text.text, "encoding": shown.text.encoding, "etag": shown.etag}
        if shown.kind == "image":
            return {"type": shown.media_type, "content_base64": base64.b64encode(shown.content).decode()}
        return {"cells": [asdict(cell) for cell in shown.notebook.cells]} if shown.notebook else {}


def read_name(name: object) -> bytes:
    """A new name without directories. Raises InvalidParameters."""
    if not isinstance(name, str) or "/" in name:
        raise InvalidParameters(N_("A name has no / in it."))
    return parse_new_path(name)


def encode_text(content: str) -> bytes:
    """The bytes of a text of sane length. Raises InvalidParameters."""
    try:
        data = content.encode()
    except UnicodeEncodeError as exc:
        raise InvalidParameters(N_("The request could not be read.")) from exc
    if len(data) > MAX_TEXT_BYTES:
        raise InvalidParameters(previews.TOO_LARGE, most=previews.format_limit(MAX_TEXT_BYTES))
    return data


_BASE = r"rest/v1/folders/([0-9a-f]{32})/files"
default_handlers = [
    (_BASE, ListHandler),
    (f"{_BASE}/mkdir", MkdirHandler),
    (f"{_BASE}/move", MoveHandler),
    (f"{_BASE}/rename", RenameHandler),
    (f"{_BASE}/delete", DeleteHandler),
    (f"{_BASE}/text", TextHandler),
    (f"{_BASE}/preview", PreviewHandler),
]
