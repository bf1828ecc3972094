"""Virtual folders: the words for what one is and who may do what with it (Backend.AI 24.03, contract §3.7 and §7.6)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import N_, Violation


class Permission(enum.Enum):
    """What somebody may do with the files of a folder. ``wd`` is the owner's level: it also deletes and renames the folder."""

    READ_ONLY = "ro"
    READ_WRITE = "rw"
    READ_WRITE_DELETE = "wd"

    @property
    def can_write(self) -> bool:
        return self is not Permission.READ_ONLY

    @property
    def is_owner_level(self) -> bool:
        return self is Permission.READ_WRITE_DELETE


class HostPermission(enum.Enum):
    """What may be done on a storage host; granted by domain, project or the keypair's policy (``core.quota.merge_host_permissions``)."""

    CREATE = "create-vfolder"
    MODIFY = "modify-vfolder"
    DELETE = "delete-vfolder"
    MOUNT = "mount-in-session"
    UPLOAD = "upload-file"
    DOWNLOAD = "download-file"
    INVITE = "invite-others"
    SET_USER_PERMISSION = "set-user-specific-permission"


class FolderStatus(enum.Enum):
    """Where a folder is in its life; ``delete-pending`` is the trash. ``mounted`` is never stored: it follows from live sessions."""

    READY = "ready"
    PERFORMING = "performing"
    CLONING = "cloning"
    MOUNTED = "mounted"
    ERROR = "error"
    DELETE_PENDING = "delete-pending"
    DELETE_ONGOING = "delete-ongoing"
    DELETE_COMPLETE = "delete-complete"
    DELETE_ERROR = "delete-error"


READABLE = frozenset(
    {
        FolderStatus.READY,
        FolderStatus.PERFORMING,
        FolderStatus.CLONING,
        FolderStatus.MOUNTED,
        FolderStatus.ERROR,
        FolderStatus.DELETE_PENDING,
    }
)
UPDATABLE = frozenset({FolderStatus.READY, FolderStatus.MOUNTED})
DELETABLE = frozenset({FolderStatus.READY})
IN_TRASH = frozenset({FolderStatus.DELETE_PENDING, FolderStatus.DELETE_ERROR})
GONE = frozenset({FolderStatus.DELETE_ONGOING, FolderStatus.DELETE_COMPLETE})


class UsageMode(enum.Enum):
    """What a folder is for. That it mounts by itself follows from its name (:func:`is_automount`)."""

    GENERAL = "general"
    MODEL = "model"
    DATA = "data"


class OwnershipType(enum.Enum):
    """Whose a folder is; ``group`` on the wire is our ``project``."""

    USER = "user"
    PROJECT = "project"


class InvitationState(enum.Enum):
    """``rejected`` is the invitee's word, ``canceled`` the inviter's."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A virtual folder. ``permission`` is what members of its project get; a person's own folder is always ``wd`` to its owner.

    ``user`` (the hub's name) and ``user_id`` are there for a person's folder, ``project`` and ``project_id`` for a project's.
    """

    id: str
    name: str
    host: str
    quota_scope_id: str
    status: FolderStatus
    usage_mode: UsageMode
    ownership_type: OwnershipType
    permission: Permission
    domain: str
    creator: str
    cloneable: bool
    created_at: datetime
    status_changed_at: datetime
    user_id: str = ""
    user: str = ""
    user_email: str = ""
    project_id: str = ""
    project: str = ""
    last_used_at: datetime | None = None
    used_bytes: int | None = None
    used_files: int | None = None
    measured_at: datetime | None = None
    status_reason: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """A folder as one person meets it. ``source`` is ``owner``, ``invitation`` or ``project`` (maybe with an override)."""

    folder: Folder
    permission: Permission
    source: str

    @property
    def is_owner(self) -> bool:
        return self.source == "owner"


@dataclass(frozen=True, slots=True)
class Grant:
    """One Unix account that may use a folder's files now. Whoever owns the files is ``is_owner``; a project's are the platform's own."""

    uid: int
    permission: Permission
    gid: int = -1
    is_owner: bool = False


def is_automount(name: str) -> bool:
    """Whether a folder of this name is mounted in every session of whoever may use it."""
    return name.startswith(".")


def quota_scope_of(ownership_type: OwnershipType, owner_id: str) -> str:
    """The id of the quota scope that a folder of this owner is in: ``user:<id>`` or ``project:<id>``, ids as 32 hex digits."""
    return f"{ownership_type.value}:{owner_id}"


def folder_directory(quota_scope_id: str, folder_id: str) -> str:
    """Where a folder is beneath its host's directory: ``user-<id>/<folder id>``. The files are in ``data`` beneath it."""
    return f"{quota_scope_id.replace(':', '-')}/{folder_id}"


DATA_DIRECTORY = "data"
# what is being uploaded or copied, in the same file system as the files and never among them
WORK_DIRECTORY = "work"

# -- names
MAX_NAME, MAX_MODEL_NAME = 64, 128
_NAME = re.compile(r"\.?[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
RESERVED = frozenset({".terminfo", ".jupyter", ".tmux.conf", ".ssh"})
_RESERVED = re.compile(r"\.[a-z0-9]+(?:rc|_profile)", re.ASCII)
# the one dot folder that a project may have: each member gets a part of it
PROJECT_AUTOMOUNT = ".local"


def is_reserved(name: str) -> bool:
    """Whether a folder of this name would hide a file that a session or a login needs."""
    return name in RESERVED or bool(_RESERVED.fullmatch(name))


def check_name(name: str, usage_mode: UsageMode = UsageMode.GENERAL, ownership_type: OwnershipType = OwnershipType.USER) -> list[Violation]:
    """What is wrong with a folder's name; the most telling thing only."""
    longest = MAX_MODEL_NAME if usage_mode is UsageMode.MODEL else MAX_NAME
    params: Mapping[str, Any] = {"name": name[: MAX_MODEL_NAME + 1]}
    if not name:
        return [Violation(N_("Give the folder a name."), {}, "name", "required")]
    if len(name) > longest:
        return [Violation(N_("The name of a folder has at most %(most)s characters."), {"most": longest}, "name", "too-long")]
    if not _NAME.fullmatch(name):
        message = N_("The name of a folder has only letters a-z, digits and the characters - _ . and begins with a letter, a digit or _")
        return [Violation(message, params, "name", "invalid")]
    if is_reserved(name):
        message = N_("The name %(name)s is reserved: a folder of that name would hide a file that sessions need.")
        return [Violation(message, params, "name", "reserved")]
    if is_automount(name) and ownership_type is OwnershipType.PROJECT and name != PROJECT_AUTOMOUNT:
        message = N_("A folder of a project cannot have a name that begins with a dot, except .local")
        return [Violation(message, params, "name", "automount-project")]
    return []
