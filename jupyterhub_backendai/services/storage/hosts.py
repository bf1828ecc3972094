"""Storage hosts as the service meets them: folders are made, shut and deleted here, and their files are asked for."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...backends.helper import Helper
from ...config import BackendAI
from ...core.files import Usage
from ...core.identity import PosixAccount
from ...core.vfolder_mount_plans import is_divided
from ...core.vfolders import DATA_DIRECTORY, GONE, IN_TRASH, Access, Folder, Grant, OwnershipType, Permission, folder_directory
from ...errors import BackendUnavailable, NoPosixAccount, StorageFull, StorageUnavailable
from ...helper.folders import MANY
from .doors import HelperDoor, as_door
from .files import FolderFiles
from .starters import HelperStarter
from .worker_files import WorkerFiles
from .workers import Workers

log = logging.getLogger("backendai")
# a hung disk costs who asks so long; what is cut off while it deletes goes on where it was
GATE_LIMIT_S, REMOVE_LIMIT_S = 10.0, 600.0
MORE_BYTES = 64 * 1024 * 1024
HostPaths = Mapping[str, str]
PrepareScope = Callable[[str, str], Awaitable[object]]
# every request names a folder; one that is about none names this
_NO_FOLDER = f"user-{'0' * 32}/{'0' * 32}"


def make_door(settings: BackendAI) -> HelperDoor:
    """The way to the helper for everything about folders."""
    return HelperDoor(settings.helper_socket, [host.path for host in settings.list_storage_hosts().values()])


def make_storage(settings: BackendAI, prepare_scope: PrepareScope | None = None, door: HelperDoor | None = None) -> Storage:
    """The configured hosts, through the helper where it runs."""
    paths = {name: host.path for name, host in settings.list_storage_hosts().items()}
    storage = Storage(paths, door or make_door(settings), prepare_scope=prepare_scope)
    if storage.is_single_user:
        log.warning("There is no helper: the files of all folders are this account's (uid %s), and serve one person.", os.getuid())
    return storage


class HostHelper:
    """The helper as far as it works on storage hosts: that it does not answer is told of the host, not of sessions."""

    def __init__(self, socket_path: str, limit_s: float) -> None:
        self._helper = Helper(socket_path, timeout_s=limit_s)

    async def call(self, verb: str, *, host: str, **fields: Any) -> dict[str, Any]:
        """Ask for one thing. Raises StorageUnavailable, or what the helper answered."""
        try:
            return await self._helper.call(verb, host=host, **fields)
        except BackendUnavailable as exc:
            if isinstance(exc, StorageUnavailable):
                raise
            raise StorageUnavailable(host=host) from exc


class Storage:
    """``paths`` are the directories of the hosts by name. Without a helper (:class:`HelperDoor`) everything is this account's own.

    ``prepare_scope`` (of host and quota scope) has a scope's limit ready before a folder is made in it.
    """

    def __init__(
        self, paths: HostPaths, helper: HelperDoor | str = "", *, workers: Workers | None = None, prepare_scope: PrepareScope | None = None
    ) -> None:
        self._paths, self._prepare_scope = paths, prepare_scope
        self._door = as_door(helper, paths.values())
        self._hasty, self._patient = (HostHelper(self._door.socket_path, limit_s) for limit_s in (GATE_LIMIT_S, REMOVE_LIMIT_S))
        self.workers = workers or Workers(HelperStarter(self._door.socket_path), paths)

    @property
    def is_single_user(self) -> bool:
        """Whether this account does everything, and so serves one person."""
        return not self._door.is_needed

    @property
    def _helper(self) -> HostHelper | None:
        return None if self.is_single_user else self._hasty

    @property
    def _patient_helper(self) -> HostHelper | None:
        return None if self.is_single_user else self._patient

    def files(self, access: Access, posix: PosixAccount | None) -> FolderFiles:
        """The files of a folder, as that person. Raises NoPosixAccount where everybody has their own account and they have none."""
        return WorkerFiles(self.workers, access, self._account(posix))

    def path(self, folder: Folder) -> str:
        """Where its files are, on the nodes too. Raises StorageUnavailable for a host that is not configured here."""
        if folder.host not in self._paths:
            raise StorageUnavailable(host=folder.host)
        return str(Path(self._paths[folder.host], folder_directory(folder.quota_scope_id, folder.id), DATA_DIRECTORY))

    async def make_folder(self, folder: Folder, grants: Sequence[Grant]) -> None:
        """Make its directories; they are its owner's, a project's are the platform's. Doing it twice is harmless. Raises BackendAIError."""
        owner = next((grant for grant in grants if grant.is_owner), None)
        if owner is None and folder.ownership_type is OwnershipType.USER and not self.is_single_user:
            raise NoPosixAccount
        uid, gid = self._owner(owner)
        if self._prepare_scope and folder.host in self._paths:
            await self._prepare_scope(folder.host, folder.quota_scope_id)
        await self._manage("make_folder", folder, owner_uid=uid, owner_gid=gid, **self._lists(folder, grants))

    async def set_gate(self, folder: Folder, grants: Sequence[Grant]) -> None:
        """Let exactly these people in from now on; nobody: the folder is shut. Raises BackendAIError."""
        await self._manage("set_gate", folder, **self._lists(folder, grants))

    async def remove_folder(self, folder: Folder) -> None:
        """Delete it for good with all that is in it, also what a kill left half deleted. Raises BackendAIError."""
        await self._manage("remove_folder", folder, is_long=True)

    async def copy(
        self, source: Folder, target: Folder, as_whom: PosixAccount | None, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Copy all files of one folder into another, of the same host or not, as that person; ``progress(bytes, files)``.

        What is there already and the same is left: after a kill it goes on. The answer counts what could not be copied, because
        that person may not read it or it is neither file, directory nor link. Raises BackendAIError.
        """
        account = self._account(as_whom)
        opened = await self.workers.call(account, source.host, "directory", {"folder": _directory(source)}, is_read=True)
        try:
            reply = await self.workers.call(
                account,
                target.host,
                "copy",
                {"folder": _directory(target)},
                descriptors=opened.descriptors,
                is_long=True,
                on_progress=(lambda values: progress(values["bytes"], values["files"])) if progress else None,
            )
        finally:
            os.close(opened.descriptors[0])
        if progress:
            progress(reply.values["bytes"], reply.values["files"])
        return int(reply.values["skipped"])

    async def apply_access(
        self, folder: Folder, grants: Sequence[Grant], as_whom: PosixAccount | None, *, others: set[int] | None = None
    ) -> int:
        """Give that person's files in a folder the lists that the grants ask for; how many were changed. Raises BackendAIError.

        ``others`` gets the uids of those who have files there too, and -1 where that person could not see everybody's.
        """
        if self.is_single_user or is_divided(folder):  # a member's part is nobody else's, whoever may use the folder
            return 0
        fields, account = {"folder": _directory(folder), "grants": _pack(grants)}, self._account(as_whom)
        try:
            reply = await self.workers.call(account, folder.host, "apply_access", fields, is_long=True)
        except StorageFull:  # a right that is taken away must end in a full scope too, and btrfs counts access lists
            async with self._widened(folder):
                reply = await self.workers.call(account, folder.host, "apply_access", fields, is_long=True)
        if others is not None:
            others.update([-1] if reply.values.get("owners") is None else reply.values["owners"])
        return int(reply.values["changed"])

    @contextlib.asynccontextmanager
    async def _widened(self, folder: Folder) -> AsyncIterator[None]:
        """A little more room in a folder's scope for as long as this takes. Killed here, the limit is put right within a minute."""
        helper, scope = self._helper, _directory(folder).split("/")[0]
        answer = await helper.call("quota_read", host=folder.host, scopes=[scope]) if helper else {}
        limit = answer.get("scopes", {}).get(scope, {}).get("limit") or 0
        if helper is None or not limit:
            raise StorageFull
        await helper.call("quota_prepare", host=folder.host, scope=scope, limit=limit + MORE_BYTES)
        try:
            yield
        finally:
            await helper.call("quota_prepare", host=folder.host, scope=scope, limit=limit)

    async def make_own_part(self, folder: Folder, as_whom: PosixAccount | None, name: str) -> None:
        """Have a directory at a folder's top that is that person's alone. Raises Conflict where it is somebody else's, BackendAIError."""
        fields = {"folder": _directory(folder), "path": name}
        await self.workers.call(self._account(as_whom), folder.host, "make_own_directory", fields)

    async def sweep_work(self, folder: Folder, as_whom: PosixAccount | None, kept: Sequence[str], before: float) -> int:
        """Remove what uploads and edits of that person left in a folder; ``kept`` are uploads under way. How many files went."""
        fields = {"folder": _directory(folder), "kept": list(kept), "before": int(before)}
        reply = await self.workers.call(self._account(as_whom), folder.host, "sweep", fields)
        return int(reply.values["count"])

    async def measure(self, folder: Folder, as_whom: PosixAccount | None) -> Usage:
        """What a folder holds, as far as that person may look."""
        return await self.files(Access(folder, Permission.READ_ONLY, "owner"), as_whom).measure()

    async def run(self) -> None:
        """End idle workers, for ever."""
        await self.workers.run()

    async def list_folders(self, host: str) -> list[tuple[str, str]]:
        """(scope, id) of every directory of a folder on a host; the id of what a kill left begins with ``.new-`` or ``.trash-``."""
        found: list[tuple[str, str]] = []
        while True:
            after = "/".join(found[-1]) if found else ""
            if self._patient_helper:
                values = await self._patient_helper.call("list_folders", host=host, after=after)
            else:
                fields = {"folder": _NO_FOLDER, "after": after}
                values = (await self.workers.call(None, host, "list_folders", fields, is_long=True)).values
            found += [(scope, name) for scope, name in values["folders"]]
            if len(values["folders"]) < MANY:
                return found

    async def list_work(self, host: str, older_s: int) -> list[tuple[str, int]]:
        """(folder's id, uid) where something of that account's is under way, or was left, that nobody has touched for so long."""
        if self._patient_helper:
            values = await self._patient_helper.call("list_work", host=host, older_s=older_s)
        else:
            values = (await self.workers.call(None, host, "list_work", {"folder": _NO_FOLDER, "older_s": older_s}, is_long=True)).values
        return [(folder_id, uid) for folder_id, uid in values["folders"]]

    async def remove_directory(self, host: str, scope: str, folder_id: str) -> None:
        """Delete the directory of a folder that is in no database. Raises BackendAIError."""
        if self._patient_helper:
            await self._patient_helper.call("remove_folder", host=host, scope=scope, folder=folder_id)
        else:
            await self.workers.call(None, host, "remove_folder", {"folder": f"{scope}/{folder_id}"}, is_long=True)

    def close(self) -> None:
        self.workers.close()

    def _account(self, posix: PosixAccount | None) -> PosixAccount | None:
        if self.is_single_user:
            return None
        if posix is None:
            raise NoPosixAccount
        return posix

    def _owner(self, owner: Grant | None) -> tuple[int, int]:
        """Whose the files are; ours where no person owns them."""
        return (owner.uid, owner.gid) if owner else (os.getuid(), os.getgid())

    def _lists(self, folder: Folder, grants: Sequence[Grant]) -> dict[str, Any]:
        divided = {"is_divided": True} if is_divided(folder) and not self.is_single_user else {}
        return {"grants": self._grants(folder, grants), **divided}

    def _grants(self, folder: Folder, grants: Sequence[Grant]) -> list[list[Any]]:
        """Who passes. Where one account does everything, all or nobody: people need no account of their own there."""
        if not self.is_single_user:
            return _pack(grants)
        return [] if folder.status in IN_TRASH | GONE else [[os.getuid(), Permission.READ_WRITE_DELETE.value]]

    async def _manage(self, verb: str, folder: Folder, *, is_long: bool = False, **fields: Any) -> None:
        """Through the helper, which is root, or by a worker of our own account. Raises BackendAIError."""
        if folder.host not in self._paths:
            raise StorageUnavailable(host=folder.host)
        scope, name = _directory(folder).split("/")
        helper = self._patient_helper if is_long else self._helper
        if helper:
            await helper.call(verb, host=folder.host, scope=scope, folder=name, **fields)
        else:
            fields = {"folder": f"{scope}/{name}", **fields}
            await self.workers.call(None, folder.host, verb, fields, is_long=is_long)


def _directory(folder: Folder) -> str:
    return folder_directory(folder.quota_scope_id, folder.id)


def _pack(grants: Sequence[Grant]) -> list[list[Any]]:
    return [[grant.uid, grant.permission.value] for grant in grants]
