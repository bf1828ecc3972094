"""The files of one folder as who calls may touch them: found, permitted, and by whose worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from ..core.files import Entry, encode_ref, parse_path, parse_ref
from ..core.vfolders import IN_TRASH, Access, HostPermission
from ..errors import N_, Conflict, Forbidden, InvalidParameters
from ..store import vfolder_hosts, vfolders
from .audited_files import audit_files
from .counted_files import count_files
from .storage.files import FolderFiles

if TYPE_CHECKING:
    from .base import HubUserHandler

IN_THE_TRASH = N_("This folder is in the trash. Restore it first, then its files are there again.")
READ_ONLY = N_("You may only read the files of this folder.")


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """A folder, what one person may do with it, and its files by that person's worker."""

    access: Access
    files: FolderFiles
    host_permissions: frozenset[HostPermission]

    @property
    def can_write(self) -> bool:
        return self.access.permission.can_write

    @property
    def can_upload(self) -> bool:
        return self.can_write and HostPermission.UPLOAD in self.host_permissions

    @property
    def can_download(self) -> bool:
        return HostPermission.DOWNLOAD in self.host_permissions

    def require_writing(self) -> None:
        """Raises Forbidden for somebody who may only read."""
        if not self.can_write:
            raise Forbidden(READ_ONLY)


async def open_folder(handler: HubUserHandler, folder_id: str, *needs: HostPermission) -> OpenFolder:
    """The folder of this id for who calls.

    Raises NotFound for one that is none of theirs, Conflict for one in the trash, Forbidden (in words) where a permission on its host
    that is needed was not granted.
    """
    access, permissions = await handler.db.run(_find, handler.identity.name, folder_id, needs)
    files = handler.application.settings["storage"].files(access, handler.identity.posix)
    counted = count_files(files, access.folder, handler.quotas, handler.db)
    return OpenFolder(access, audit_files(counted, access.folder, handler), permissions)


def _find(db: Session, user: str, folder_id: str, needs: Iterable[HostPermission]) -> tuple[Access, frozenset[HostPermission]]:
    access = vfolders.find_access(db, user, folder_id)
    folder = access.folder
    if folder.status in IN_TRASH:
        raise Conflict(IN_THE_TRASH)
    allowed = vfolder_hosts.allowed_hosts(db, user, folder.project_id or None).get(folder.host, frozenset())
    for permission in needs:
        vfolder_hosts.check_permission(allowed, folder.host, permission)
    return access, allowed


def read_path(text: object, ref: object = "", field: str = "path") -> bytes:
    """A path beneath a folder from a program's or a form's words: as text, or as ``ref`` where it is no UTF-8.

    "" is the folder itself. Raises InvalidParameters.
    """
    if not isinstance(text, str) or not isinstance(ref, str):
        raise InvalidParameters(N_("%(field)s must be text."), field=field)
    return parse_ref(ref) if ref else parse_path(text)


def require_some(path: bytes) -> bytes:
    """A path that is not the folder itself, which can be neither moved nor removed here."""
    if not path:
        raise InvalidParameters(N_("Name a file or directory in the folder."))
    return path


def show(path: bytes) -> str:
    """A path for people."""
    return path.decode(errors="replace")


def ref_of(path: bytes) -> str:
    """The path as ref where its text does not name it, else ""."""
    return "" if show(path).encode() == path else encode_ref(path)


def query_of(path: bytes) -> dict[str, str]:
    """What names this path in an address."""
    ref = ref_of(path)
    if ref:
        return {"path_ref": ref}
    return {"path": show(path)} if path else {}


def describe_entry(entry: Entry) -> dict[str, Any]:
    """An entry for programs."""
    return {
        "name": entry.text,
        "ref": entry.ref,
        "kind": entry.kind.value,
        "size": entry.size,
        "mode": f"{entry.mode & 0o7777:o}",
        "modified_at": format_ns(entry.mtime_ns),
        "changed_at": format_ns(entry.ctime_ns),
    }


def format_ns(ns: int) -> str | None:
    """Nanoseconds since 1970 as ISO in UTC; None for a moment that no calendar has, which a file may well claim."""
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
