"""What people do with whole folders, one function per act: the page, REST and the command line call the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core.vfolders import GONE, IN_TRASH, READABLE, Access, Folder, Permission
from ..errors import NotFound
from ..store import folder_tasks, vfolder_changes, vfolder_gates, vfolder_grants, vfolder_hosts, vfolder_rules
from ..store.folder_tasks import Task
from ..store.models import VFolder
from ..store.vfolder_changes import Act, NewFolder
from ..store.vfolders import NO_FOLDER, find_access

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from .base import HubUserHandler
    from .parts import Parts


def act_of(handler: HubUserHandler) -> Act:
    """Who calls, for the acts below."""
    return Act(handler.identity.name, handler.request.remote_ip or "")


async def create(parts: Parts, act: Act, new: NewFolder) -> Access:
    """Make a folder, with its directory. Raises what :func:`.vfolder_changes.create` and the storage host raise."""
    await parts.storage_hosts.ready()
    folder = await parts.db.run_exclusive(vfolder_changes.create, act, new)
    try:
        grants = await parts.db.run(vfolder_grants.list_grants, folder.id)
        await parts.storage.make_folder(folder, grants)
        await parts.db.run_exclusive(vfolder_gates.note_applied, folder.id, grants)
    except BaseException:
        await parts.db.run_exclusive(vfolder_changes.give_up_making, folder.id)
        raise
    await parts.db.run_exclusive(vfolder_changes.finish_making, act, folder.id)
    await parts.folder_access.apply(folder.id)  # somebody may have joined its project meanwhile
    return await find(parts, act, folder.id)


async def find(parts: Parts, act: Act, folder_id: str) -> Access:
    """A folder as who acts may look at it: their own, shared with them, of their projects or domain. Raises NotFound."""
    return await parts.db.run(_find, act.user, folder_id)


def _find(db: Session, user: str, folder_id: str) -> Access:
    try:
        access = find_access(db, user, folder_id, READABLE | IN_TRASH | GONE)
        if access.folder.status not in IN_TRASH | GONE or access.permission.is_owner_level:
            return access  # what somebody else threw away is away
        raise NotFound(NO_FOLDER)
    except NotFound:
        row = db.get(VFolder, folder_id)
        if row is None or not vfolder_rules.administers(vfolder_rules.find_person(db, user), row):
            raise NotFound(NO_FOLDER) from None
        return Access(vfolder_rules.find_any(db, folder_id), Permission.READ_WRITE_DELETE, "administrator")


async def rename(parts: Parts, act: Act, folder_id: str, name: str) -> Folder:
    """Give a folder another name; sessions that have it keep the old one until they end."""
    folder = await parts.db.run_exclusive(vfolder_changes.rename, act, folder_id, name)
    await apply_gate(parts, folder)  # a project's folder may be divided under one name and not under another
    return folder


async def update_options(
    parts: Parts, act: Act, folder_id: str, *, permission: Permission | None = None, cloneable: bool | None = None
) -> Folder:
    """Change what a project's members may do, or whether the folder may be copied."""
    folder = await parts.db.run_exclusive(vfolder_changes.update_options, act, folder_id, permission=permission, cloneable=cloneable)
    if permission is not None:
        await apply_gate(parts, folder)
    return folder


async def move_to_trash(parts: Parts, act: Act, folder_id: str) -> Folder:
    """Take a folder away from everybody; its owner can have it back."""
    folder = await parts.db.run_exclusive(vfolder_changes.move_to_trash, act, folder_id)
    await apply_gate(parts, folder)
    return folder


async def restore(parts: Parts, act: Act, folder_id: str) -> Folder:
    """Give a folder of the trash back to those who had it."""
    folder = await parts.db.run_exclusive(vfolder_changes.restore, act, folder_id)
    await apply_gate(parts, folder)
    return folder


async def purge(parts: Parts, act: Act, folder_id: str, typed_name: str) -> Folder:
    """Begin to delete a folder of the trash for good."""
    folder = await parts.db.run_exclusive(vfolder_changes.begin_purge, act, folder_id, typed_name)
    parts.folder_tasks.wake()
    return folder


async def clone(parts: Parts, act: Act, folder_id: str, new: NewFolder) -> tuple[Folder, str]:
    """Begin to copy a folder into a new one of who acts; (the new one, the task's id)."""
    folder, task_id = await parts.db.run_exclusive(vfolder_changes.begin_clone, act, folder_id, new)
    parts.folder_tasks.wake()
    return folder, task_id


async def list_tasks(parts: Parts, folder_ids: list[str]) -> Mapping[str, Task]:
    """What is being done to folders, or was lately, by the folder's id."""
    return await parts.db.run(folder_tasks.list_of, folder_ids)


async def list_own_hosts(parts: Parts, act: Act, project: str | None = None) -> list[dict[str, Any]]:
    """The storage hosts where who acts may do anything, with what; ``project`` is the id of the one that counts."""
    await parts.storage_hosts.ready()
    return await parts.db.run(_list_hosts, act.user, project)


def _list_hosts(db: Session, user: str, project: str | None) -> list[dict[str, Any]]:
    allowed = vfolder_hosts.allowed_hosts(db, user, project)
    about = {host.name: host for host in vfolder_hosts.list_hosts(db)}
    return [
        {"name": name, "description": about[name].description, "permissions": sorted(item.value for item in permissions)}
        for name, permissions in allowed.items()
    ]


async def apply_gate(parts: Parts, folder: Folder) -> None:
    """Let in who may use the folder now, and nobody else. A host that does not answer is told later."""
    await parts.folder_access.apply(folder.id)
