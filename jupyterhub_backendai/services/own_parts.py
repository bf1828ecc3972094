"""A member's own part of a project's ``.local``, where no program of the session's makes it: containers find it there."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..core.sessions import Admission
from ..core.vfolder_mounts import LINKING_ENGINES, Mount
from ..errors import BackendAIError
from ..store import session_mounts, vfolders
from .parts import Parts

log = logging.getLogger("backendai")


async def make_own_parts(parts: Parts, admission: Admission, user: str) -> Admission:
    """Make the directories, as that person. The session does without what cannot be made, or is not that person's alone: what it holds
    would be run.
    """
    if admission.engine in LINKING_ENGINES:
        return admission
    lost = [mount for mount in admission.mounts if mount.is_own_part and not await _make(parts, admission, user, mount)]
    if not lost:
        return admission
    await parts.db.run(session_mounts.drop, admission.session_id, [mount.target for mount in lost])
    return replace(admission, mounts=tuple(mount for mount in admission.mounts if mount not in lost))


async def _make(parts: Parts, admission: Admission, user: str, mount: Mount) -> bool:
    try:
        access = await parts.db.run(vfolders.find_access, user, mount.folder_id)
        await parts.storage.make_own_part(access.folder, admission.posix, mount.subpath)
    except BackendAIError as exc:
        log.warning("%s of the folder %s cannot be made: %s", mount.subpath, mount.folder_id, exc)
        return False
    return True
