"""Sharing of virtual folders: who may ask whom, with what right, and what an answer means. Contract §3.7 and §7.6.

A person's own folder is shared by invitations. A project's folder is everybody's in the project already; an administrator may
give single members another permission than the others have (an override).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..errors import N_, Conflict, Forbidden, InvalidParameters, Violation
from .vfolders import IN_TRASH, UPDATABLE, Access, Folder, FolderStatus, InvitationState, OwnershipType, Permission, is_automount

MOST_AT_ONCE, MAX_ADDRESS = 100, 320
_SEPARATORS = re.compile(r"[\s,;]+")
# Their sessions run under the person's own Unix account, so the kernel asks the access lists; a bind mount's top directory has one, too.
_ENGINES_THAT_ASK = frozenset({"slurm", "docker"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A question whether somebody wants to share a folder, and what became of it. Names are the hub's."""

    id: str
    folder_id: str
    folder: str
    host: str
    inviter: str
    inviter_email: str
    invitee: str
    invitee_email: str
    permission: Permission
    state: InvitationState
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One person who may use a folder that is not theirs. ``source``: ``invitation``, ``project``, or ``override`` (in a project's)."""

    folder_id: str
    folder: str
    status: FolderStatus
    owner: str
    ownership_type: OwnershipType
    user_id: str
    user: str
    email: str
    permission: Permission
    source: str
    is_active: bool = True
    has_unix_account: bool = True
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A live session of somebody's that has a folder. ``keeps``: it goes on with the folder although the right is gone; elsewhere
    only files that are open already can still be read.
    """

    session_id: str
    name: str
    user: str
    queue: str
    engine: str
    target: str
    is_read_only: bool
    keeps: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody who was not invited, and why."""

    email: str
    violation: Violation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking several people at once."""

    invited: tuple[Invitation, ...] = ()
    refused: tuple[Refusal, ...] = ()


def keeps_after_revocation(engine: str) -> bool:
    """Whether a running session of this engine goes on to reach a folder after the right is gone: who runs as everybody is everybody."""
    return engine not in _ENGINES_THAT_ASK


def parse_permission(text: object) -> Permission:
    """``ro``, ``rw`` or ``wd``. Raises InvalidParameters."""
    try:
        return Permission(text)
    except ValueError as exc:
        message = N_("A permission is ro (read), rw (read and write) or wd (read, write and delete).")
        raise InvalidParameters("", [Violation(message, {}, "permission", "invalid")]) from exc


def parse_people(wanted: str | Iterable[object]) -> list[str]:
    """Mail addresses or user names, as a list or as a text with commas, blanks or lines between; each once, in their order.

    Raises InvalidParameters for none, for more than :data:`MOST_AT_ONCE`, and for what is no text.
    """
    parts: list[object] = list(_SEPARATORS.split(wanted)) if isinstance(wanted, str) else list(wanted)
    if not all(isinstance(part, str) and _is_sane(part) for part in parts):
        raise InvalidParameters("", [Violation(N_("Give the mail addresses as a list of texts."), {}, "emails", "invalid")])
    found = {str(part).strip().casefold(): str(part).strip() for part in parts if str(part).strip()}
    if not found:
        raise InvalidParameters("", [Violation(N_("Give at least one mail address."), {}, "emails", "missing")])
    if len(found) > MOST_AT_ONCE:
        message = N_("These are %(count)s people. Invite at most %(most)s at once.")
        raise InvalidParameters("", [Violation(message, {"count": len(found), "most": MOST_AT_ONCE}, "emails", "too-many")])
    return list(found.values())


def _is_sane(text: str) -> bool:
    """Whether this may be somebody's address: of a length that one can have, and nothing that a database does not keep."""
    return len(text) <= MAX_ADDRESS and text.isprintable() and not any("\ud800" <= character <= "\udfff" for character in text)


def check_manageable(access: Access) -> None:
    """Raises Forbidden for somebody who may use the folder but does not decide who else may: that takes the owner's level."""
    if not (access.is_owner or access.permission.is_owner_level) or access.folder.ownership_type is OwnershipType.PROJECT:
        raise Forbidden(N_("Only the owner of the folder %(name)s decides who shares it."), name=access.folder.name)


def check_shareable(folder: Folder) -> None:
    """Raises what stands against inviting anybody to a folder: it mounts by itself, is a project's, or is not ready."""
    if folder.ownership_type is OwnershipType.PROJECT:
        message = N_("%(name)s is a folder of the project %(project)s: its members have it already, and nobody else can be invited.")
        raise InvalidParameters(message, name=folder.name, project=folder.project)
    if is_automount(folder.name):
        message = N_(
            "%(name)s begins with a dot: it is in every session of its owner, so it cannot be shared. Rename it, or share another."
        )
        raise Forbidden(message, name=folder.name)
    check_ready(folder)


def check_ready(folder: Folder) -> None:
    """Raises Conflict for a folder that nobody can be given now."""
    if folder.status in IN_TRASH:
        raise Conflict(N_("The folder %(name)s is in the trash, so it cannot be shared."), name=folder.name)
    if folder.status not in UPDATABLE:
        raise Conflict(N_("The folder %(name)s cannot be shared right now. Try again in a minute."), name=folder.name)


def explain_refusals(refused: Sequence[Refusal]) -> list[Violation]:
    """The refusals as violations of the field ``emails``."""
    return [item.violation for item in refused]
