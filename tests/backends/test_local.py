from __future__ import annotations

import pytest

from jupyterhub_backendai.backends.local import LocalBackend
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import JobState
from jupyterhub_backendai.errors import BackendUnavailable


async def test_the_local_engine_knows_only_what_admission_tells_it():
    async def usage():
        return {"local-cpu": QueueFigures("local-cpu", running=3)}

    backend = LocalBackend(usage)
    assert (await backend.capacity())["local-cpu"].running == 3
    assert (await backend.status("s", "7", None)).state is JobState.UNKNOWN
    assert (await backend.statuses(), await backend.read_log("7", None), await backend.node_address("n")) == ({}, "", "n")
    backend.starting("s")
    backend.started("s")
    await backend.refresh()
    await backend.cancel("7", None)
    with pytest.raises(BackendUnavailable):
        await backend.submit(None)
