"""Time limits that change while a session runs, where it is the hub that ends it: the service knows the limit of now."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import BackendAIError
from .launchers.base import Launcher

if TYPE_CHECKING:
    from .spawner import BackendAISpawner

PATIENCE_S = 10.0


async def renew_limit(spawner: BackendAISpawner, launcher: Launcher) -> None:
    """Give the launcher the limit that its session has by now, and save it. A service that cannot say it leaves the limit as it is."""
    admission = launcher.admission
    try:
        limit_s = await asyncio.wait_for(spawner.service.find_limit(admission.session_id), PATIENCE_S)
    except (BackendAIError, TimeoutError):
        return
    if limit_s == admission.time_s or spawner.session_id != admission.session_id:
        return
    spawner.admission = launcher.admission = replace(admission, time_s=limit_s)
    launcher.move_deadline(limit_s - admission.time_s)
    spawner.save(spawner.phase)
