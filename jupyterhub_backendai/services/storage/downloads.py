"""``rest/v1/folders/<id>/download``: a file, or part of one; a directory, or several things, as a zip.

Nothing of it is ever shown by a browser as part of our site: it is an attachment of no type, in a sandbox.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs

from ...core.downloads import format_disposition, matches_etag, parse_range
from ...core.files import EntryKind, join_path, parse_ref, split_path
from ...core.vfolders import HostPermission
from ...errors import N_, BackendAIError, InvalidParameters, NotFound, RangeNotSatisfiable, TooManyRequests
from ..auth import authenticated
from ..folder_files import OpenFolder, open_folder, read_path, show
from .either import EitherHandler
from .files import OpenFile
from .pools import HostPool, Pools
from .sending import send_file, send_pipe, widen_pipe

MAX_PATHS = 10_000
MAX_ARCHIVES = 3
POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_archives: Counter[str] = Counter()


class DownloadHandler(EitherHandler):
    """``?path=`` (or ``path_ref=``), as often as there are things; none: the whole folder. ``archive=1``: a single file as zip, too."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")

    def write_problem(self, error: BackendAIError) -> None:
        if isinstance(error, RangeNotSatisfiable):
            self.set_header("Content-Range", f"bytes */{error.params['size']}")
        super().write_problem(error)

    @authenticated
    async def get(self, folder_id: str) -> None:
        folder = await open_folder(self, folder_id, HostPermission.DOWNLOAD)
        paths = self._read_paths()
        if len(paths) == 1 and paths[0] and not self.get_query_argument("archive", ""):
            opened = await self._open(folder, paths[0])
            if opened is not None:
                await self._send_file(folder, split_path(paths[0])[1], opened)
                return
        await self._send_archive(folder, [path for path in paths if path])

    @authenticated
    async def head(self, folder_id: str) -> None:
        await type(self).get.__wrapped__(self, folder_id)  # type: ignore[attr-defined] # the same, and nothing is sent

    @property
    def pools(self) -> Pools:
        found: Pools = self.application.settings["uploads"].pools
        return found

    def _read_paths(self) -> list[bytes]:
        # not tornado's: it takes control characters away, and names may have them
        try:
            fields = parse_qs(self.request.query, errors="strict", max_num_fields=MAX_PATHS + 10)
        except ValueError as exc:
            raise InvalidParameters(N_("The request could not be read.")) from exc
        texts, refs = fields.get("path", []), fields.get("path_ref", [])
        if len(texts) + len(refs) > MAX_PATHS:
            raise InvalidParameters(N_("These are too many things at once. Choose the directory that they are in."))
        found = [read_path(text) for text in texts] + [read_path("", ref, "path_ref") for ref in refs if ref]
        return [] if b"" in found else found

    @staticmethod
    async def _open(folder: OpenFolder, path: bytes) -> OpenFile | None:
        """The file; None for a directory."""
        try:
            return await folder.files.open(path)
        except NotFound:
            if (await folder.files.stat(path)).kind is EntryKind.DIRECTORY:
                return None
            raise

    async def _send_file(self, folder: OpenFolder, name: bytes, opened: OpenFile) -> None:
        pool = self.pools.of(folder.access.folder.host)
        try:
            await self._send_opened(pool, name, opened)
        finally:
            pool.close(opened.descriptor)

    async def _send_opened(self, pool: HostPool, name: bytes, opened: OpenFile) -> None:
        size, modified = opened.entry.size, datetime.fromtimestamp(opened.entry.mtime_ns // 10**9, UTC)
        self._describe(show(name))
        self.set_header("ETag", opened.etag)
        self.set_header("Last-Modified", format_datetime(modified, usegmt=True))
        self.set_header("Accept-Ranges", "bytes")
        if matches_etag(self.request.headers.get("If-None-Match", ""), opened.etag):
            self.clear_header("Content-Type")
            self.set_status(304)
            self.finish()
            return
        begin, end = self._choose_range(opened.etag, size)
        self.set_header("Content-Length", str(end - begin))
        if self.request.method == "HEAD":
            self.finish()
        else:
            await send_file(self, opened.descriptor, begin, end - begin, pool)

    def _choose_range(self, etag: str, size: int) -> tuple[int, int]:
        """What part is sent. Raises RangeNotSatisfiable."""
        condition = self.request.headers.get("If-Range", etag).strip()
        header = self.request.headers.get("Range", "") if condition == etag and self.request.method == "GET" else ""
        try:
            part = parse_range(header, size)
        except ValueError as exc:
            raise RangeNotSatisfiable(size=size) from exc
        if part is None:
            return 0, size
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{size}")
        return part

    async def _send_archive(self, folder: OpenFolder, paths: list[bytes]) -> None:
        user = self.identity.name
        if _archives[user] >= MAX_ARCHIVES:
            raise TooManyRequests(N_("You are downloading %(limit)s archives already. Wait until one is done."), limit=MAX_ARCHIVES)
        _archives[user] += 1
        try:
            await self._send_open_archive(folder, paths)
        finally:
            _archives[user] -= 1
            if not _archives[user]:
                del _archives[user]

    async def _send_open_archive(self, folder: OpenFolder, paths: list[bytes]) -> None:
        name = show(split_path(paths[0])[1]) if len(paths) == 1 else folder.access.folder.name
        pool = self.pools.of(folder.access.folder.host)
        archive = await folder.files.archive(paths, f"{name}.zip")
        try:
            self._describe(archive.name)
            self.set_header("Content-Length", str(archive.size))
            if self.request.method == "HEAD":
                self.finish()
                return
            widen_pipe(archive.descriptor)
            await send_pipe(self, archive.descriptor, archive.size, pool)
        finally:
            pool.close(archive.descriptor)

    def _describe(self, name: str) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", format_disposition(name))
        self.set_header("Cache-Control", "private, no-cache")


class ArchiveHandler(DownloadHandler):
    """The same, always as a zip. By ``POST`` for a form: ``path`` is a directory, each ``item`` (base64url) a name in it."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        folder = await open_folder(self, folder_id, HostPermission.DOWNLOAD)
        await self._send_archive(folder, self._read_paths())

    @authenticated
    async def post(self, folder_id: str) -> None:
        folder = await open_folder(self, folder_id, HostPermission.DOWNLOAD)
        directory = read_path(self.get_body_argument("path", "", strip=False), self.get_body_argument("path_ref", ""))
        items = self.get_body_arguments("item")
        if not items or len(items) > MAX_PATHS:
            raise InvalidParameters(N_("Choose what you want to download."))
        await self._send_archive(folder, [join_path(directory, parse_ref(item)) for item in items])


default_handlers = [
    (r"rest/v1/folders/([0-9a-f]{32})/download", DownloadHandler),
    (r"rest/v1/folders/([0-9a-f]{32})/archive", ArchiveHandler),
]
