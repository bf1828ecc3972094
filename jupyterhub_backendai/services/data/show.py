"""A folder in words: what a line of the list and a folder's own page say of it, and what may be done with it there."""

from __future__ import annotations

from dataclasses import dataclass

from ... import i18n
from ...core.identity import Identity, Role
from ...core.vfolders import IN_TRASH, UPDATABLE, Access, Folder, FolderStatus, OwnershipType, Permission, UsageMode, is_automount
from ...errors import N_
from ...store.vfolder_pages import Marks

PERMISSIONS = {
    Permission.READ_ONLY: N_("Read only"),
    Permission.READ_WRITE: N_("Read and write"),
    Permission.READ_WRITE_DELETE: N_("Read, write and delete"),
}
USAGE_MODES = {UsageMode.GENERAL: N_("General"), UsageMode.MODEL: N_("Model"), UsageMode.DATA: N_("Data")}
AUTOMOUNT = N_("Automount")
# Words, class and mark of a state that is worth telling (backendai.css); one that can be used says nothing.
STATES = {
    FolderStatus.PERFORMING: ("wait", "wait", N_("being changed")),
    FolderStatus.CLONING: ("wait", "wait", N_("being copied")),
    FolderStatus.MOUNTED: ("run", "idle", N_("in use")),
    FolderStatus.ERROR: ("down", "down", N_("in trouble")),
    FolderStatus.DELETE_PENDING: ("wait", "wait", N_("in the trash")),
    FolderStatus.DELETE_ONGOING: ("down", "down", N_("being deleted")),
    FolderStatus.DELETE_ERROR: ("down", "down", N_("could not be deleted")),
}
ADMINISTRATOR = "administrator"  # the source of an access to a folder of others, without its files
SHARE, RENAME, OPTIONS, CLONE, GIVE, THROW, LEAVE, RESTORE, PURGE = ACTS = (
    "share",
    "rename",
    "options",
    "clone",
    "owner",
    "trash",
    "leave",
    "restore",
    "purge",
)
ACT_WORDS = {
    SHARE: N_("Share"),
    RENAME: N_("Rename"),
    OPTIONS: N_("Options"),
    CLONE: N_("Copy"),
    GIVE: N_("Change the owner"),
    THROW: N_("Move to the trash"),
    LEAVE: N_("Leave"),
    RESTORE: N_("Restore"),
    PURGE: N_("Delete for good"),
}
# Letters of the hub's own icon font.
ICONS = {
    SHARE: "fa-user-plus",
    RENAME: "fa-pen",
    OPTIONS: "fa-gear",
    CLONE: "fa-copy",
    GIVE: "fa-arrow-right",
    THROW: "fa-trash-can",
    LEAVE: "fa-right-from-bracket",
    RESTORE: "fa-rotate-left",
    PURGE: "fa-xmark",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One folder as a page shows it, in the reader's language."""

    access: Access
    permission: str
    usage_mode: str
    whose: str
    state: tuple[str, str, str] | None
    acts: tuple[str, ...]
    marks: Marks
    is_in_charge: bool

    @property
    def folder(self) -> Folder:
        return self.access.folder


def describe(access: Access, identity: Identity, language: str, marks: Marks | None = None) -> Line:
    """A folder for somebody who may use it, or administers it."""
    folder = access.folder
    return Line(
        access=access,
        permission=i18n.translate(language, PERMISSIONS[access.permission]),
        usage_mode=i18n.translate(language, AUTOMOUNT if is_automount(folder.name) else USAGE_MODES[folder.usage_mode]),
        whose=say_whose(access, language),
        state=STATES.get(folder.status),
        acts=list_acts(access, identity),
        marks=marks or Marks(),
        is_in_charge=access.permission.is_owner_level or administers(folder, identity),
    )


def say_whose(access: Access, language: str) -> str:
    """Whose folder it is."""
    if access.folder.ownership_type is OwnershipType.PROJECT:
        return i18n.translate(language, N_("Project %(name)s"), {"name": access.folder.project})
    if access.is_owner:
        return i18n.translate(language, N_("Mine"))
    return access.folder.user


def administers(folder: Folder, identity: Identity) -> bool:
    """Whether somebody manages a folder by role: everything, or what is of a project of the own domain."""
    if identity.role is Role.SUPERADMIN:
        return True
    is_near = identity.role is Role.ADMIN and folder.domain == identity.domain
    return is_near and folder.ownership_type is OwnershipType.PROJECT


def list_acts(access: Access, identity: Identity) -> tuple[str, ...]:
    """What the page offers; whether it is done, the act itself decides."""
    folder = access.folder
    is_in_charge = access.permission.is_owner_level or administers(folder, identity)
    is_of_project = folder.ownership_type is OwnershipType.PROJECT
    if folder.status in IN_TRASH:
        return tuple(act for act in (RESTORE, PURGE) if is_in_charge and (act, folder.status) != (RESTORE, FolderStatus.DELETE_ERROR))
    is_ready = folder.status in UPDATABLE
    decides = administers(folder, identity) if is_of_project else access.permission.is_owner_level and not is_automount(folder.name)
    offered = {
        SHARE: is_ready and decides,
        RENAME: is_ready and is_in_charge,
        OPTIONS: is_ready and is_in_charge,
        CLONE: is_ready and folder.cloneable and access.source != ADMINISTRATOR,
        GIVE: is_ready and identity.role is Role.SUPERADMIN and not is_of_project,
        THROW: is_in_charge and (is_ready or folder.status is FolderStatus.ERROR),
        LEAVE: access.source == "invitation",
    }
    return tuple(act for act, is_offered in offered.items() if is_offered)
