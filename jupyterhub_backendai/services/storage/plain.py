"""``POST rest/v1/folders/<id>/upload``: files as an ordinary form sends them, for scripts and for browsers without scripts.

They go to the disk as they come. What is there when the request breaks off is thrown away; what was complete stays.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ...core.files import parse_new_path
from ...errors import N_, AlreadyExists, Conflict, InvalidParameters, Violation
from ..folder_files import OpenFolder, read_path, ref_of, show
from .either import EitherHandler
from .incoming import Incoming
from .streaming import StreamedHandler
from .targets import CONFLICTS
from .tus import MAX_SIZE

MAX_FIELD = 64 * 1024
MAX_FILES = 10_000
NO_FORM = N_("This is no form with files: it must be multipart/form-data.")


class PlainHandler(StreamedHandler, EitherHandler):
    """``path`` (or ``path_ref``) is the directory, in the address or in a field before the files; a file's name may be a path beneath it.

    ``on_conflict``: ``fail``, ``replace`` or ``rename``. A browser is sent on to ``next``.
    """

    async def begin(self) -> None:
        kind, options = parse_options_header(self.request.headers.get("Content-Type", ""))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise InvalidParameters(NO_FORM)
        self.max_bytes = MAX_SIZE
        self._folder: OpenFolder = await self.open_folder()
        self._fields = {name: self.get_query_argument(name, "", strip=False) for name in ("path", "path_ref", "on_conflict", "next")}
        self._parts = Parts(options[b"boundary"])
        self._field = ""
        self._incoming: Incoming | None = None
        self._made: list[dict[str, Any]] = []
        self._taken: list[str] = []

    async def take(self, data: bytes) -> None:
        for kind, value in self._parts.feed(data):
            if kind == "data":
                await self._take_data(value)
            elif kind == "begin":
                await self._begin_part(value)
            else:
                await self._end_part()

    async def interrupt(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            await incoming.discard()

    async def post(self, folder_id: str) -> None:
        self.check()
        if not self._parts.is_over:
            await self.interrupt()
            raise InvalidParameters(NO_FORM)
        if self._taken:
            raise AlreadyExists(violations=[Violation(N_("“%(name)s” is there already."), {"name": name}, name) for name in self._taken])
        where = self._fields["next"]
        if self.is_browser and _is_ours(where, self.hub_auth.base_url):
            self.redirect(f"{where}{'&' if '?' in where else '?'}did=uploaded&count={len(self._made)}", status=303)
            return
        if self.is_browser:
            self.redirect(f"{self.hub_auth.base_url}data/{folder_id}", status=303)
            return
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.answer({"files": self._made}, 201)

    async def _begin_part(self, options: dict[bytes, bytes]) -> None:
        self._field, filename = _decode(options.get(b"name", b"")), options.get(b"filename")
        if filename is None:
            if self._field in self._fields:
                self._fields[self._field] = ""
            return
        self._field = ""
        name = _decode(filename).replace("%22", '"')
        if not name:
            return  # a form in which nothing was chosen
        if len(self._made) + len(self._taken) >= MAX_FILES:
            raise InvalidParameters(N_("A form has at most %(limit)s files."), limit=MAX_FILES)
        path = parse_new_path(name, read_path(self._fields["path"], self._fields["path_ref"]))
        on_conflict = self._fields["on_conflict"] or "fail"
        if on_conflict not in CONFLICTS:
            raise InvalidParameters(N_("on_conflict is fail, replace or rename."))
        most = max(self.length - self._arrived + len(self._parts.rest), 0) if self.length is not None else 0
        source = self.request.remote_ip or ""
        try:
            self._incoming = await self.uploads.begin_at_once(
                self._folder, self.identity.name, path, most, on_conflict=on_conflict, is_open_ended=True, source=source
            )
        except AlreadyExists:
            self._taken.append(show(path))  # the others are wanted all the same

    async def _take_data(self, data: bytes) -> None:
        if self._incoming is not None:
            await self._incoming.write(data)
        elif self._field in self._fields:
            self._fields[self._field] += _decode(data)
            if len(self._fields[self._field]) > MAX_FIELD:
                raise InvalidParameters(NO_FORM)

    async def _end_part(self) -> None:
        self._field = ""
        incoming = self._incoming
        if incoming is None:
            return
        try:
            size = await incoming.end()
        except (AlreadyExists, Conflict):
            self._taken.append(show(incoming.info.path))
            await incoming.discard()
        else:
            self._made.append({"path": show(incoming.path), "path_ref": ref_of(incoming.path), "size": size})
        self._incoming = None


class Parts:
    """The parts of a form as they come: ``begin`` with what their header says, ``data``, ``end``."""

    def __init__(self, boundary: bytes) -> None:
        self._found: list[tuple[str, Any]] = []
        self._header, self._value = bytearray(), bytearray()
        self._options: dict[bytes, bytes] = {}
        self.is_over = False
        self.rest = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._on_header,
                "on_headers_finished": lambda: self._found.append(("begin", self._options)),
                "on_part_data": lambda data, start, end: self._found.append(("data", data[start:end])),
                "on_part_end": lambda: self._found.append(("end", None)),
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> list[tuple[str, Any]]:
        """What is in the next bytes. Raises InvalidParameters."""
        self.rest = data
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise InvalidParameters(NO_FORM) from exc
        found, self._found = self._found, []
        return found

    def _on_part(self) -> None:
        self._options = {}

    def _on_header(self) -> None:
        name, value = bytes(self._header).lower(), bytes(self._value)
        self._header, self._value = bytearray(), bytearray()
        if name == b"content-disposition":
            _, self._options = parse_options_header(value.decode("latin-1"))

    def _on_end(self) -> None:
        self.is_over = True


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise InvalidParameters(N_("A path is text in UTF-8; what is none is named by its reference.")) from exc


def _is_ours(address: str, base: str) -> bool:
    """Whether it leads to a page of ours."""
    return address.startswith(base) and quote(address, safe="/?&=%+-._~:;,@!$'()*#[]") == address and ".." not in address


default_handlers = [(r"rest/v1/folders/([0-9a-f]{32})/upload", PlainHandler)]
