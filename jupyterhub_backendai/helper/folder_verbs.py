"""The helper's verbs about folders' directories. Done as root itself, on directories that root alone can change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.vfolders import Permission
from ..errors import N_, Forbidden, StorageFull
from . import folder_work, folders
from .quota import find_driver, without_limit
from .quota.verbs import open_host
from .requests import FolderRequest, ListFolders, ListWork, MakeFolder, RemoveFolder, SetGate


def perform(request: FolderRequest, storage: Mapping[str, str], *, min_uid: int, platform_uid: int) -> dict[str, Any]:
    """Do what is asked on one storage host. Raises NotFound, Conflict, Forbidden for the accounts of the system."""
    with open_host(request.host, storage) as host:
        if isinstance(request, ListFolders):
            return {"folders": [list(pair) for pair in folders.list_folders(host, request.after)]}
        if isinstance(request, ListWork):
            return {"folders": [list(found) for found in folder_work.list_work(host, request.older_s)]}
        if isinstance(request, RemoveFolder):
            _insist(host, request.scope, lambda: folders.remove_folder(host, request.scope, request.folder))
            return {}
        assert isinstance(request, SetGate)  # noqa: S101 - said to the type checker
        _check_accounts(request, min_uid, platform_uid)
        passers = [folders.Passer(uid, folders.bits_of(Permission(word))) for uid, word in request.grants]
        if isinstance(request, MakeFolder):
            owner = request.owner_uid, request.owner_gid
            folders.make_folder(host, request.scope, request.folder, owner, passers, find_driver(host).prepare, request.is_divided)
        else:
            _insist(host, request.scope, lambda: folders.set_gate(host, request.scope, request.folder, passers, request.is_divided))
        return {}


def _insist(host: int, scope: str, act: Callable[[], None]) -> None:
    """Do what must be possible in a full scope too; btrfs counts even a name or an access list."""
    try:
        act()
    except StorageFull:
        with without_limit(host, scope):
            act()


def _check_accounts(request: SetGate, min_uid: int, platform_uid: int) -> None:
    """Only people, and the platform's own account, own or pass."""
    owners = {request.owner_uid} if isinstance(request, MakeFolder) else set()
    for uid in owners.union(uid for uid, _ in request.grants):
        if uid < min_uid and uid != platform_uid:
            raise Forbidden(N_("Folders are not for the system account with the uid %(uid)s."), uid=uid)
