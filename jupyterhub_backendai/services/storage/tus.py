"""TUS 1.0.0 (https://tus.io/protocols/resumable-upload): core, creation, creation-with-upload, expiration, termination, checksum."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any, Protocol

from ...core.files import parse_new_path
from ...errors import N_, BackendAIError, ChecksumMismatch, Conflict, InvalidParameters, TooLarge
from ...store import uploads as rows
from ...store.uploads import UploadInfo
from ..auth import authenticated
from ..base import ApiHandler
from ..folder_files import OpenFolder, read_path, ref_of, require_some, show
from .incoming import Incoming
from .streaming import StreamedHandler
from .targets import CONFLICTS

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
MAX_SIZE = 16 * 1024**4
MAX_METADATA = 16 * 1024
BODY_TYPE = "application/offset+octet-stream"
METHODS = frozenset({"HEAD", "PATCH", "DELETE"})


class Hash(Protocol):
    """What a checksum is made with."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 in the clothes of hashlib, big-endian."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


CHECKSUMS: dict[str, Callable[[], Hash]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "crc32": Crc32,
}


class WrongVersion(InvalidParameters):
    """Another version of TUS than ours."""

    status = 412
    code = "backendai_upload_wrong-version"
    default_message = N_("This speaks version 1.0.0 of TUS.")


class WrongType(InvalidParameters):
    """A piece that does not say that it is bytes."""

    status = 415
    code = "backendai_upload_wrong-type"
    default_message = N_("A piece of an upload is application/offset+octet-stream.")


class OffsetMismatch(Conflict):
    """The client goes on somewhere else than where the file ends."""

    code = "backendai_upload_offset-mismatch"
    default_message = N_("The upload goes on at another place.")


class TusHandler(ApiHandler):
    """Headers that every answer has."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Tus-Resumable", VERSION)

    async def count_call(self) -> None:
        """A large directory is tens of thousands of calls; what bounds them is the room there is."""

    def check_version(self) -> None:
        """Raises WrongVersion."""
        if self.request.headers.get("Tus-Resumable") != VERSION:
            raise WrongVersion

    def write_problem(self, error: BackendAIError) -> None:
        if isinstance(error, WrongVersion):
            self.set_header("Tus-Version", VERSION)
        super().write_problem(error)

    async def options(self, *_: str) -> None:
        self.set_header("Tus-Version", VERSION)
        self.set_header("Tus-Extension", EXTENSIONS)
        self.set_header("Tus-Max-Size", str(MAX_SIZE))
        self.set_header("Tus-Checksum-Algorithm", ",".join(CHECKSUMS))
        self._end()

    def describe(self, info: UploadInfo, offset: int) -> None:
        """The headers of one upload."""
        self.set_header("Upload-Offset", str(offset))
        self.set_header("Upload-Expires", format_datetime(info.expires_at, usegmt=True))

    def _end(self, status: int = 204) -> None:
        self.clear_header("Content-Type")
        self.set_status(status)
        self.finish()


class ReceivingHandler(StreamedHandler, TusHandler):
    """Bytes go where ``begin`` said, if anywhere."""

    _incoming: Incoming | None = None

    async def take(self, data: bytes) -> None:
        if self._incoming is not None:
            await self._incoming.write(data)

    async def interrupt(self) -> None:
        if self._incoming is not None:
            await self._incoming.abort()


class CreateHandler(ReceivingHandler):
    """``POST`` makes an upload, maybe with its first bytes; ``GET`` lists those that are not finished."""

    async def prepare(self) -> None:
        if self.request.method == "POST":
            await StreamedHandler.prepare(self)
        elif self.request.method != "OPTIONS":
            await ApiHandler.prepare(self)

    async def begin(self) -> None:
        self.check_version()
        size = _read_number(self.request.headers.get("Upload-Length"), N_("Upload-Length says how many bytes come in all."))
        if size > MAX_SIZE:
            raise TooLarge
        header = self.request.headers.get("Upload-Metadata", "")
        metadata = parse_metadata(header)
        folder = await self.open_folder()
        path, on_conflict = read_target(metadata)
        has_body = bool(self.length) and self.request.headers.get("Content-Type", "") == BODY_TYPE
        if has_body and (self.length or 0) > size:
            raise TooLarge
        name, source = self.identity.name, self.request.remote_ip or ""
        if has_body or not size:
            self._incoming = await self.uploads.begin_at_once(
                folder, name, path, size, on_conflict=on_conflict, metadata=header, source=source
            )
            self._info = self._incoming.info
        else:
            self._info = await self.uploads.begin(folder, name, path, size, on_conflict=on_conflict, metadata=header)
        self.max_bytes = size if has_body else 0

    async def post(self, folder_id: str) -> None:
        self.check()
        offset = await self._incoming.end() if self._incoming is not None else 0
        self.describe(self._info, offset)
        base = self.hub_auth.base_url
        self.set_header("Location", f"{base}rest/v1/folders/{folder_id}/uploads/{self._info.id}")
        self._end(201)

    @authenticated
    async def get(self, _folder_id: str) -> None:
        folder = await self.open_folder()
        found = await self.db.run(rows.list_own, self.identity.name, folder.access.folder.id)
        self.answer({"uploads": [describe_upload(info) for info in found]})


class UploadHandler(ReceivingHandler):
    """One upload: ``HEAD`` tells how far it is, ``PATCH`` goes on, ``DELETE`` cancels, ``POST`` puts it in its place another way."""

    _expected: bytes = b""
    _hash: Hash | None = None

    async def prepare(self) -> None:
        override = self.request.headers.get("X-HTTP-Method-Override", "").upper()
        if self.request.method == "POST" and override in METHODS:
            self.request.method = override
        if self.request.method in ("PATCH", "POST"):
            await StreamedHandler.prepare(self)
        elif self.request.method != "OPTIONS":
            await ApiHandler.prepare(self)

    async def begin(self) -> None:
        if self.request.method == "POST":
            self.max_bytes = 0
            return
        self.check_version()
        headers = self.request.headers
        if headers.get("Content-Type", "") != BODY_TYPE:
            raise WrongType
        offset = _read_number(headers.get("Upload-Offset"), N_("Upload-Offset says where the bytes belong."))
        self._read_checksum(headers.get("Upload-Checksum", ""))
        self._folder = self.uploads.recall(self.identity.name, self.path_args[0]) or await self.open_folder()
        folder, source = self._folder, self.request.remote_ip or ""
        self._incoming = await self.uploads.enter(folder, self.identity.name, self.path_args[1], self._hash, source)
        try:
            if offset != self._incoming.offset:
                raise OffsetMismatch
            if (self.length or 0) > self._incoming.missing:
                raise TooLarge
        except BackendAIError:
            await self._incoming.abort()
            raise
        self.max_bytes = self._incoming.missing

    def _read_checksum(self, header: str) -> None:
        if not header:
            return
        name, _, text = header.partition(" ")
        if name not in CHECKSUMS:
            raise InvalidParameters(N_("There is no such checksum here: %(name)s."), name=name[:32])
        try:
            self._expected = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error) as exc:
            raise InvalidParameters(N_("The checksum could not be read.")) from exc
        self._hash = CHECKSUMS[name]()

    async def patch(self, _folder_id: str, _upload_id: str) -> None:
        self.check()
        assert self._incoming is not None  # noqa: S101 - begin() raised otherwise
        incoming = self._incoming
        if self._hash is not None:
            await incoming.flush()
            if not hmac.compare_digest(self._hash.digest(), self._expected):
                await incoming.end(is_right=False)
                raise ChecksumMismatch
        offset = await incoming.end()
        self.uploads.remember(self.identity.name, self._folder)
        self.describe(incoming.info, offset)
        self._end()

    @authenticated
    async def head(self, _folder_id: str, upload_id: str) -> None:
        self.check_version()
        folder, info = await self._find(upload_id)
        self.describe(info, await self.uploads.find_offset(folder, info))
        self.set_header("Upload-Length", str(info.size))
        if info.metadata:
            self.set_header("Upload-Metadata", info.metadata)
        self._end(200)

    @authenticated
    async def delete(self, _folder_id: str, upload_id: str) -> None:
        self.check_version()
        folder, info = await self._find(upload_id)
        await self.uploads.drop(folder, info)
        self._end()

    async def post(self, _folder_id: str, upload_id: str) -> None:
        """``?on_conflict=``: everything is there, but something else has its name; this says what to do."""
        self.check()
        choice = self.get_query_argument("on_conflict", "fail")
        if choice not in CONFLICTS:
            raise InvalidParameters(N_("on_conflict is fail, replace or rename."))
        folder = await self.open_folder()
        incoming = await self.uploads.enter(folder, self.identity.name, upload_id, source=self.request.remote_ip or "")
        offset = await incoming.end(on_conflict=choice)
        self.answer({"id": upload_id, "offset": offset, "size": incoming.info.size})

    async def _find(self, upload_id: str) -> tuple[OpenFolder, UploadInfo]:
        folder = await self.open_folder()
        return folder, await self.uploads.find(folder, self.identity.name, upload_id)


def parse_metadata(header: str) -> dict[str, str]:
    """``key base64,key base64``. Raises InvalidParameters."""
    if len(header) > MAX_METADATA:
        raise InvalidParameters(N_("Upload-Metadata is too long."))
    found = {}
    for item in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = item.partition(" ")
        if not (key.isascii() and key.isprintable()):
            raise InvalidParameters(N_("Upload-Metadata could not be read."))
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except (ValueError, binascii.Error) as exc:
            raise InvalidParameters(N_("Upload-Metadata could not be read.")) from exc
    return found


def read_target(metadata: dict[str, str]) -> tuple[bytes, str]:
    """Where a file goes, and what is done where something is already.

    ``directory`` (or ``directory_ref``) is there already and taken as it is; ``relativePath`` or ``filename`` is new beneath it.
    """
    parent = read_path(metadata.get("directory", ""), metadata.get("directory_ref", ""), "directory")
    name = metadata.get("relativePath", "")
    if name in ("", "null", "undefined"):  # what scripts in browsers send for a file that is in no directory
        name = metadata.get("filename", "")
    on_conflict = metadata.get("on_conflict", "fail")
    if on_conflict not in CONFLICTS:
        raise InvalidParameters(N_("on_conflict is fail, replace or rename."))
    return require_some(parse_new_path(name, parent)), on_conflict


def describe_upload(info: UploadInfo) -> dict[str, Any]:
    """An upload for programs."""
    return {
        "id": info.id,
        "path": show(info.path),
        "path_ref": ref_of(info.path),
        "size": info.size,
        "received": info.received,
        "created_at": info.created_at.isoformat(),
        "expires_at": info.expires_at.isoformat(),
    }


def _read_number(text: str | None, message: str) -> int:
    if not text or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidParameters(message)
    return int(text)


default_handlers = [
    (r"rest/v1/folders/([0-9a-f]{32})/uploads", CreateHandler),
    (r"rest/v1/folders/([0-9a-f]{32})/uploads/([0-9a-f]{32})", UploadHandler),
]
