"""A member's own part of a project's ``.local``, where no program of the session's makes it: containers find it there."""

from __future__ import annotations

import logging

from ..core.sessions import Admission
from ..core.vfolder_mounts import LINKING_ENGINES
from ..errors import BackendAIError
from ..store import vfolders
from .base import Parts

log = logging.getLogger("backendai")


async def make_own_parts(parts: Parts, admission: Admission, user: str) -> None:
    """Make the directories, as that person. A folder that cannot be written to now keeps no session from starting."""
    if admission.engine in LINKING_ENGINES:
        return
    for mount in (mount for mount in admission.mounts if mount.is_own_part):
        try:
            access = await parts.db.run(vfolders.find_access, user, mount.folder_id)
            await parts.storage.files(access, admission.posix).make_directory(mount.subpath.encode(), exist_ok=True)
        except BackendAIError as exc:
            log.warning("%s of the folder %s cannot be made: %s", mount.subpath, mount.folder_id, exc)
