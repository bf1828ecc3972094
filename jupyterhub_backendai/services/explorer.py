"""The files of one folder in the browser: a directory page by page, and the addresses of what can be done there.

The folder's page includes ``explorer/listing.html`` with what :func:`load_explorer` returns as ``explorer``, ``explorer/head.html``
in its head and ``explorer/scripts.html`` among its scripts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .. import i18n
from ..core.files import Entry, EntryKind, Listing, decode_ref, encode_ref, join_path
from ..core.vfolders import Folder
from ..errors import N_, BackendAIError, InvalidParameters
from .auth import authenticated
from .base import HubUserHandler, PageHandler
from .folder_files import OpenFolder, format_ns, open_folder, query_of, read_path, show

PER_PAGE = 100
SORTS = ("name", "size", "mtime")
NOTICES = {
    "made": N_("The directory was made."),
    "renamed": N_("Renamed."),
    "moved": N_("Moved: %(count)s."),
    "deleted": N_("Deleted: %(count)s."),
    "saved": N_("Saved."),
    "uploaded": N_("Uploaded: %(count)s."),
}
ICONS = {
    EntryKind.DIRECTORY: "fa-folder",
    EntryKind.FILE: "fa-file",
    EntryKind.SYMLINK: "fa-link",
    EntryKind.OTHER: "fa-circle-question",
}
KINDS = {EntryKind.DIRECTORY: N_("directory"), EntryKind.SYMLINK: N_("link"), EntryKind.OTHER: N_("no ordinary file")}
MANY = N_("A directory with so many entries is shown by name only.")


@dataclass(frozen=True, slots=True)
class Row:
    """An entry of a directory on the page."""

    entry: Entry
    url: str
    download_url: str

    @property
    def name(self) -> str:
        return self.entry.text

    @property
    def item(self) -> str:
        """What names it in a form."""
        return encode_ref(self.entry.name)

    @property
    def is_directory(self) -> bool:
        return self.entry.kind is EntryKind.DIRECTORY

    @property
    def icon(self) -> str:
        """Its letter in the hub's icon font."""
        return ICONS[self.entry.kind]

    @property
    def kind_words(self) -> str:
        return KINDS.get(self.entry.kind, "")

    @property
    def modified_at(self) -> str:
        return format_ns(self.entry.mtime_ns) or ""


@dataclass(slots=True)
class Explorer:
    """A directory of a folder as ``explorer/listing.html`` shows it. ``trouble`` says why nothing is shown."""

    folder: Folder
    base: str
    acts: str
    rest: str
    path: bytes = b""
    sort: str = "name"
    is_descending: bool = False
    search: str = ""
    seen: int = 0
    total: int = 0
    can_write: bool = False
    can_upload: bool = False
    can_download: bool = False
    rows: list[Row] = field(default_factory=list)
    after: str = ""
    note: str = ""
    notice: str = ""
    trouble: str = ""
    status: int = 200

    @property
    def name(self) -> str:
        """The directory's own name, the folder's at its top."""
        return show(self.path.rpartition(b"/")[2]) or self.folder.name

    @property
    def path_fields(self) -> dict[str, str]:
        """What says in a form where one is."""
        return query_of(self.path)

    @property
    def path_text(self) -> str:
        return show(self.path)

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """(name, address) from the folder itself down to here."""
        found, path = [(self.folder.name, self.url())], b""
        for part in self.path.split(b"/") if self.path else ():
            path = join_path(path, part)
            found.append((show(part), self.url(path)))
        return found

    @property
    def here(self) -> str:
        """This very view."""
        order = {"sort": self.sort if self.sort != "name" else "", "order": "desc" if self.is_descending else ""}
        return self._address(self.path, **order, q=self.search)

    @property
    def next_url(self) -> str:
        """The page after this one, "" at the end."""
        if not self.after:
            return ""
        order = {"sort": self.sort, "order": "desc" if self.is_descending else ""}
        return self._address(self.path, **order, q=self.search, after=self.after, seen=str(self.seen + len(self.rows)))

    def url(self, path: bytes = b"") -> str:
        """Where a directory is shown."""
        return self._address(path)

    def sort_url(self, sort: str) -> str:
        """The same directory in another order; asked again, the other way round."""
        is_descending = self.sort == sort and not self.is_descending
        return self._address(self.path, sort=sort if sort != "name" else "", order="desc" if is_descending else "", q=self.search)

    def notice_url(self, notice: str, count: str = "") -> str:
        """Here again, to say what was done."""
        return f"{self.here}{'&' if '?' in self.here else '?'}{urlencode({'did': notice, **({'count': count} if count else {})})}"

    def _address(self, path: bytes, **query: str) -> str:
        found = {**query_of(path), **{name: value for name, value in query.items() if value}}
        return f"{self.base}?{urlencode(found)}" if found else self.base

    def upload_url(self, token: str) -> str:
        """Where a form without scripts sends files. Its token is in the address, because the body is read as it comes."""
        return f"{self.rest}/upload?{urlencode({**query_of(self.path), '_xsrf': token})}"

    @property
    def zip_url(self) -> str:
        """Where the chosen things are sent from as one zip."""
        return f"{self.acts}/zip"


def address_page(handler: HubUserHandler, folder_id: str) -> str:
    """The page that shows a folder's files."""
    return f"{handler.hub_auth.base_url}data/{folder_id}"


def make_explorer(handler: HubUserHandler, opened: OpenFolder) -> Explorer:
    """An explorer of the folder's top with nothing in it yet."""
    folder = opened.access.folder
    acts = f"{handler.hub_auth.base_url}data/{folder.id}/files"
    rest = f"{handler.hub_auth.base_url}rest/v1/folders/{folder.id}"
    explorer = Explorer(folder, address_page(handler, folder.id), acts, rest)
    explorer.can_write, explorer.can_upload, explorer.can_download = opened.can_write, opened.can_upload, opened.can_download
    return explorer


async def load_explorer(handler: PageHandler, folder_id: str) -> Explorer:
    """The directory that the address names, a page of it.

    What a storage host refuses is told in :attr:`Explorer.trouble`; only a folder that is not there for who calls raises (NotFound, or
    Conflict in the trash).
    """
    opened = await open_folder(handler, folder_id)
    explorer = make_explorer(handler, opened)
    explorer.notice = read_notice(handler)
    try:
        explorer.path = path_of(handler)
        read_order(handler, explorer)
        listing = await _list(handler, opened, explorer)
    except BackendAIError as exc:
        explorer.trouble, explorer.status = i18n.explain(handler.language, exc), exc.status
        return explorer
    explorer.rows = [make_row(explorer, entry) for entry in listing.entries]
    explorer.total, explorer.after = listing.total, listing.after
    return explorer


async def _list(handler: PageHandler, opened: OpenFolder, explorer: Explorer) -> Listing:
    after = read_after(handler)
    options: dict[str, Any] = {"after": after, "limit": PER_PAGE, "search": explorer.search}
    try:
        return await opened.files.list(explorer.path, sort=explorer.sort, is_descending=explorer.is_descending, **options)
    except InvalidParameters:
        if explorer.sort == "name":
            raise
        explorer.sort, explorer.note = "name", i18n.translate(handler.language, MANY)
        return await opened.files.list(explorer.path, sort="name", is_descending=explorer.is_descending, **{**options, "after": b""})


def make_row(explorer: Explorer, entry: Entry) -> Row:
    path = join_path(explorer.path, entry.name)
    if entry.kind is EntryKind.DIRECTORY:
        return Row(entry, explorer.url(path), download_url(explorer, path))
    # a link may well lead to a file; whoever follows it is told where it does not
    is_shown = entry.kind in (EntryKind.FILE, EntryKind.SYMLINK)
    url = f"{explorer.acts}/view?{urlencode(query_of(path))}" if is_shown else ""
    return Row(entry, url, download_url(explorer, path) if is_shown else "")


def download_url(explorer: Explorer, path: bytes) -> str:
    return f"{explorer.rest}/download?{urlencode(query_of(path))}"


def path_of(handler: HubUserHandler) -> bytes:
    """The path in the address or the form."""
    return read_path(argument(handler, "path"), argument(handler, "path_ref"))


def argument(handler: HubUserHandler, name: str, default: str = "") -> str:
    """One argument of the request as it came; what is no text counts as not given.

    Not tornado's: it makes spaces of control characters, and texts and names may have them.
    """
    values = handler.request.arguments.get(name)
    try:
        return values[-1].decode() if values else default
    except UnicodeDecodeError:
        return default


def read_order(handler: HubUserHandler, explorer: Explorer) -> None:
    sort = argument(handler, "sort")
    explorer.sort = sort if sort in SORTS else "name"
    explorer.is_descending = argument(handler, "order") == "desc"
    explorer.search = argument(handler, "q").strip()[:255]
    seen = argument(handler, "seen")
    explorer.seen = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 10 else 0


def read_after(handler: HubUserHandler) -> bytes:
    try:
        return decode_ref(argument(handler, "after"))
    except ValueError:
        return b""


def read_notice(handler: HubUserHandler) -> str:
    """What the last act did, in words."""
    count = argument(handler, "count")
    message = NOTICES.get(argument(handler, "did")[:16], "")
    return i18n.translate(handler.language, message, {"count": count if count.isascii() and count.isdecimal() and len(count) < 9 else 1})


class FilesHandler(PageHandler):
    """GET: the files are on the folder's own page."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        query = self.request.query
        self.redirect(f"{address_page(self, folder_id)}{'?' if query else ''}{query}")


default_handlers = [(r"data/([0-9a-f]{32})/files", FilesHandler)]
