"""One file in the browser: its text, to be changed where that is safe, a notebook, or a picture. Nothing of it ever runs here."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from .. import i18n
from ..core.files import EntryKind, split_path
from ..core.text_files import MAX_TEXT_BYTES, TextFile, write_text
from ..core.vfolders import HostPermission
from ..errors import N_, BackendAIError, Conflict, InvalidParameters, NotFound
from . import previews
from .auth import authenticated
from .base import PageHandler
from .explorer import Explorer, argument, download_url, make_explorer, path_of, read_notice
from .folder_files import OpenFolder, format_ns, open_folder, query_of, require_some, show
from .previews import Preview
from .storage.pools import HostPool

PIECE = 256 * 1024


class ViewHandler(PageHandler):
    """GET shows a file; with ``edit`` its text can be changed."""

    explorer: Explorer
    opened: OpenFolder
    path: bytes

    @authenticated
    async def get(self, folder_id: str) -> None:
        await self.find(folder_id, HostPermission.DOWNLOAD)
        entry = await self.opened.files.stat(self.path)
        if entry.kind is EntryKind.DIRECTORY:
            self.redirect(self.explorer.url(self.path))
            return
        shown = await previews.load(self.opened.files, self.path, self.pool)
        self.show(shown, is_editing=bool(argument(self, "edit")) and self.can_change(shown.text))

    async def find(self, folder_id: str, *needs: HostPermission) -> None:
        """The folder and the file that the address names."""
        self.path = require_some(path_of(self))
        self.opened = await open_folder(self, folder_id, *needs)
        self.explorer = make_explorer(self, self.opened)
        self.explorer.path = split_path(self.path)[0]

    @property
    def pool(self) -> HostPool:
        """The threads of the folder's host."""
        found: HostPool = self.application.settings["uploads"].pools.of(self.opened.access.folder.host)
        return found

    def can_change(self, text: TextFile | None) -> bool:
        return self.opened.can_upload and text is not None and text.can_change

    def show(self, shown: Preview, *, is_editing: bool = False, **more: Any) -> None:
        """The page of a file."""
        fields = query_of(self.path)
        self.render_page(
            "explorer/view.html",
            explorer=self.explorer,
            shown=shown,
            name=show(split_path(self.path)[1]),
            fields=fields,
            modified_at=format_ns(shown.entry.mtime_ns) or "",
            download_url=download_url(self.explorer, self.path),
            query="&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items()),
            can_change=self.can_change(shown.text),
            is_editing=is_editing,
            limits={"text": previews.format_limit(MAX_TEXT_BYTES)},
            notice=read_notice(self),
            **more,
        )


class SaveHandler(ViewHandler):
    """POST writes a text back, if the file is still the one that was read; else both are shown, and one of them is chosen."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        await self.find(folder_id, HostPermission.DOWNLOAD, HostPermission.UPLOAD)
        self.opened.require_writing()
        typed, etag = argument(self, "content"), argument(self, "etag")[:128]
        try:
            await self.opened.files.write(self.path, self._read(typed), etag=etag)
        except (Conflict, NotFound):
            await self._show_conflict(typed, etag)
        except BackendAIError as exc:
            await self._show_again(typed, etag, exc)
        else:
            fields = "&".join(f"{name}={quote(value, safe='')}" for name, value in query_of(self.path).items())
            self.redirect(f"{self.explorer.acts}/view?{fields}&did=saved", status=303)

    @authenticated
    async def get(self, folder_id: str) -> None:
        """Where a reload of a form goes."""
        await self.find(folder_id)
        fields = "&".join(f"{name}={quote(value, safe='')}" for name, value in query_of(self.path).items())
        self.redirect(f"{self.explorer.acts}/view?{fields}")

    def _read(self, typed: str) -> bytes:
        """The bytes to write. Raises InvalidParameters."""
        try:
            content = write_text(typed, argument(self, "encoding", "utf-8"), argument(self, "newline"))
        except ValueError as exc:  # UnicodeEncodeError is one
            raise InvalidParameters(N_("The request could not be read.")) from exc
        if len(content) > MAX_TEXT_BYTES:
            raise InvalidParameters(previews.TOO_LARGE, most=previews.format_limit(MAX_TEXT_BYTES))
        return content

    async def _show_conflict(self, typed: str, etag: str) -> None:
        """What was typed beside what is there now, which may be nothing."""
        self.set_status(409)
        try:
            there = await previews.load(self.opened.files, self.path, self.pool)
        except NotFound:
            self._edit(typed, "", is_gone=True)
            return
        self._edit(typed, there.etag if there.etag != etag else etag, there=there.text.text if there.text else None)

    async def _show_again(self, typed: str, etag: str, error: BackendAIError) -> None:
        self.set_status(error.status)
        self._edit(typed, etag, wrong=i18n.explain(self.language, error))

    def _edit(self, typed: str, etag: str, **more: Any) -> None:
        self.render_page(
            "explorer/edit.html",
            explorer=self.explorer,
            name=show(split_path(self.path)[1]),
            fields=query_of(self.path),
            typed=typed,
            etag=etag,
            encoding=argument(self, "encoding", "utf-8"),
            newline=argument(self, "newline"),
            **more,
        )


class ImageHandler(ViewHandler):
    """GET the bytes of a picture for the page that shows it: of a kind that is only drawn, and in a sandbox all the same."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        await self.find(folder_id, HostPermission.DOWNLOAD)
        shown = await previews.load(self.opened.files, self.path, self.pool)
        if shown.kind != "image":
            raise NotFound
        self.set_header("Content-Type", shown.media_type)
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Disposition", "attachment")
        for start in range(0, len(shown.content), PIECE):
            self.write(shown.content[start : start + PIECE])
            await self.flush()
            await asyncio.sleep(0)


default_handlers = [
    (r"data/([0-9a-f]{32})/files/view", ViewHandler),
    (r"data/([0-9a-f]{32})/files/save", SaveHandler),
    (r"data/([0-9a-f]{32})/files/image", ImageHandler),
]
