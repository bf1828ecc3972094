"""Which folders a session gets: those that were asked for, and those whose names begin with a dot (contract §7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..errors import N_, Violation
from .vfolder_mounts import LINKING_ENGINES, READ_ONLY, READ_WRITE, Mount, MountRequest
from .vfolders import (
    DATA_DIRECTORY,
    IN_TRASH,
    PROJECT_AUTOMOUNT,
    UPDATABLE,
    Access,
    Folder,
    HostPermission,
    OwnershipType,
    folder_directory,
    is_automount,
    is_reserved,
)

RULE = "mount"
RESERVED_PLACE = N_("The place %(target)s is reserved. Choose another name for the folder in this session.")
IN_THE_TRASH = N_("The folder %(folder)s is in the trash.")
NOT_READY = N_("The folder %(folder)s cannot be used right now: it is being made, copied or deleted.")
LINUXBREW, LINUXBREW_PLACE = ".linuxbrew", "/home/linuxbrew/.linuxbrew"
# What is the system's own in a container. Whatever the image has there, a folder would hide it.
_SYSTEM = frozenset(
    {
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "lib64",
        "media",
        "mnt",
        "opt",
        "proc",
        "root",
        "run",
        "sbin",
        "srv",
        "sys",
        "tmp",
        "usr",
        "var",
    }
)
# What is ours in a home directory.
_OURS = frozenset({".backendai", ".local/share/jupyter/runtime"})
_ORDER = {"owner": 0, "invitation": 1, "project": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a plan is made in.

    ``project`` is the id of the session's; ``paths`` are the directories of the usable storage hosts by name, ``mountable`` those whose
    folders the person may have in sessions. ``taken``: where other live sessions of the person have folders in the same place:
    target → (source, the session's name).
    """

    engine: str
    project: str
    project_name: str
    user_id: str
    paths: Mapping[str, str]
    mountable: frozenset[str]
    taken: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_linking(self) -> bool:
        return self.engine in LINKING_ENGINES


@dataclass(frozen=True, slots=True)
class Plan:
    """What the session gets, and why it cannot have what it asked for."""

    mounts: tuple[Mount, ...] = ()
    violations: tuple[Violation, ...] = ()


def plan_mounts(requests: Sequence[MountRequest], accesses: Sequence[Access], around: Surroundings) -> Plan:
    """The folders that were asked for, each with every reason why not, then the automatic ones as far as nothing is in their way.

    ``accesses`` are the person's folders; of the names that are not asked for, and begin with no dot, they may lack some.
    """
    found: list[Mount] = []
    violations: list[Violation] = []
    for request in requests:
        access = _find(request, accesses, around, violations)
        if access is None:
            continue
        problems = _check(request, access, around)
        violations += problems
        if not problems:
            found.append(_make(request, access, around))
    violations += _check_places(found, accesses, around)
    return Plan((*found, *_plan_automatic(found, accesses, around)), tuple(violations))


def place_of(mount: Mount) -> str:
    """Where a mount appears, for people."""
    return mount.target if mount.target.startswith("/") else f"~/{mount.target}"


def refresh_mounts(mounts: Iterable[Mount], accesses: Mapping[str, Access]) -> list[Mount]:
    """Mounts that were settled a while ago, as the person may have them now: what was taken away is gone, or for reading only."""
    found = []
    for mount in mounts:
        access = accesses.get(mount.folder_id)
        if access is not None and access.folder.status in UPDATABLE:
            found.append(replace(mount, is_read_only=mount.is_read_only or not access.permission.can_write))
    return found


def is_divided(folder: Folder) -> bool:
    """Whether members have each a part of their own: what one installs must not run in the sessions of the others."""
    return folder.ownership_type is OwnershipType.PROJECT and folder.name == PROJECT_AUTOMOUNT


def is_usable(access: Access, around: Surroundings) -> bool:
    """Whether a session in these surroundings can have the folder at all."""
    return _is_of_project(access, around) and not _check_folder(access, around)


def _find(request: MountRequest, accesses: Sequence[Access], around: Surroundings, violations: list[Violation]) -> Access | None:
    """The folder that is meant: by id, else by name, one's own before one that is shared."""
    named = [access for access in accesses if access.folder.id == request.folder]
    named = named or [access for access in accesses if access.folder.name == request.folder]
    usable = sorted((access for access in named if _is_of_project(access, around)), key=lambda access: _ORDER.get(access.source, 9))
    if len(usable) == 1 or (usable and usable[0].is_owner):
        return usable[0]
    params = {"folder": request.folder}
    if usable:
        violations.append(_refuse(N_("Several folders are named %(folder)s. Name the one that you mean by its id."), params))
    elif named:
        params |= {"project": named[0].folder.project, "own": around.project_name}
        message = N_("The folder %(folder)s is of the project %(project)s, and this session is for the project %(own)s.")
        violations.append(_refuse(message, params))
    else:
        violations.append(_refuse(N_("There is no folder %(folder)s that you may use."), params))
    return None


def _is_of_project(access: Access, around: Surroundings) -> bool:
    return access.source != "project" or access.folder.project_id == around.project


def _check(request: MountRequest, access: Access, around: Surroundings) -> list[Violation]:
    found = _check_folder(access, around)
    params = {"folder": access.folder.name}
    if request.mode == READ_WRITE and not access.permission.can_write:
        found.append(_refuse(N_("You may only read the folder %(folder)s, so it cannot be mounted for writing."), params))
    if is_divided(access.folder) and (request.subpath or not access.permission.can_write):
        message = N_("Each member has a part of the folder %(folder)s of a project; nothing else of it can be mounted.")
        found.append(_refuse(message, params))
    return found + _check_target(request.target, around)


def _check_folder(access: Access, around: Surroundings) -> list[Violation]:
    folder = access.folder
    if folder.status not in UPDATABLE:
        return [_refuse(IN_THE_TRASH if folder.status in IN_TRASH else NOT_READY, {"folder": folder.name})]
    if not around.paths.get(folder.host):
        return [
            _refuse(N_("The storage host %(host)s of the folder %(folder)s is not in use."), {"folder": folder.name, "host": folder.host})
        ]
    if folder.host not in around.mountable:
        message = N_("You may not use folders of the storage host %(host)s in sessions (%(permission)s).")
        return [_refuse(message, {"host": folder.host, "permission": HostPermission.MOUNT.value})]
    return []


def _check_target(target: str, around: Surroundings) -> list[Violation]:
    params = {"target": target}
    first, _, rest = target.lstrip("/").partition("/")
    if target.startswith("/"):
        if around.is_linking:
            return [_refuse(N_("Folders are in the session's own directory on this queue; %(target)s is outside of it."), params)]
        is_taken = first in _SYSTEM or not first
    else:
        # a hidden place is one of the home directory itself, whose hidden directories are real ones there
        is_taken = is_reserved(first) or target in _OURS or first in _OURS or (around.is_linking and first.startswith(".") and bool(rest))
    return [_refuse(RESERVED_PLACE, params)] if is_taken else []


def _make(request: MountRequest, access: Access, around: Surroundings) -> Mount:
    is_read_only = request.mode == READ_ONLY or not access.permission.can_write
    if is_divided(access.folder):
        return _make_part(access, around)
    return Mount(
        access.folder.id,
        access.folder.name,
        _join(_top(access, around), request.subpath),
        request.target or _default_target(access, around),
        is_read_only,
        request.subpath,
    )


def _make_part(access: Access, around: Surroundings) -> Mount:
    source = _join(_top(access, around), around.user_id)
    return Mount(access.folder.id, access.folder.name, source, access.folder.name, False, around.user_id, True)


def _top(access: Access, around: Surroundings) -> str:
    folder = access.folder
    return f"{around.paths[folder.host]}/{folder_directory(folder.quota_scope_id, folder.id)}/{DATA_DIRECTORY}"


def _join(top: str, subpath: str) -> str:
    return f"{top}/{subpath}" if subpath else top


def _default_target(access: Access, around: Surroundings) -> str:
    if access.folder.name == LINUXBREW and not around.is_linking:
        return LINUXBREW_PLACE
    return access.folder.name


def _check_places(mounts: Sequence[Mount], accesses: Sequence[Access], around: Surroundings) -> Iterable[Violation]:
    names = {access.folder.name: access.folder.id for access in accesses if _is_of_project(access, around)}
    for number, mount in enumerate(mounts):
        for other in mounts[:number]:
            yield from _compare(other, mount)
        if names.get(mount.target, mount.folder_id) != mount.folder_id and mount.target != mount.name:
            message = N_("Another folder of yours is named %(target)s. Choose another name for the folder %(folder)s in this session.")
            yield _refuse(message, {"target": mount.target, "folder": mount.name})
        source, session = around.taken.get(mount.target, (mount.source, ""))
        if source != mount.source and around.is_linking:
            message = N_(
                "Your session %(session)s has another folder at %(target)s. End it first, or choose another name for the folder here."
            )
            yield _refuse(message, {"target": mount.target, "session": session})


def _compare(one: Mount, other: Mount) -> Iterable[Violation]:
    if one.target == other.target:
        yield _refuse(N_("Two folders would be at %(target)s. Choose another name for one of them."), {"target": one.target})
    elif _is_within(one.target, other.target) or _is_within(other.target, one.target):
        inner, outer = sorted((one.target, other.target), key=len, reverse=True)
        yield _refuse(N_("%(inner)s would be inside of %(outer)s, which is another folder."), {"inner": inner, "outer": outer})
    if one.source == other.source or _is_within(one.source, other.source) or _is_within(other.source, one.source):
        message = N_("The folder %(folder)s would be there twice, whole or in part. Mount what you need of it once.")
        yield _refuse(message, {"folder": one.name})


def _plan_automatic(asked: Sequence[Mount], accesses: Sequence[Access], around: Surroundings) -> Iterable[Mount]:
    places = {mount.target for mount in asked}
    folders = {mount.folder_id for mount in asked}
    for access in sorted(accesses, key=lambda access: (_ORDER.get(access.source, 9), access.folder.name, access.folder.id)):
        if not is_automount(access.folder.name) or access.folder.id in folders or not is_usable(access, around):
            continue
        if is_divided(access.folder) and not access.permission.can_write:
            continue
        mount = _make(MountRequest(access.folder.name), access, around)
        is_in_the_way = any(mount.target == place or _is_within(place, mount.target) or _is_within(mount.target, place) for place in places)
        if not is_in_the_way and not _check_target(access.folder.name, around):
            places.add(mount.target)
            yield replace(mount, is_automatic=True)


def _is_within(path: str, outer: str) -> bool:
    return path.startswith(outer + "/")


def _refuse(message: str, params: Mapping[str, object]) -> Violation:
    return Violation(message, params, "mounts", RULE)
