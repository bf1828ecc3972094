"""Which launcher runs a session."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ...config import BackendAI
from ...errors import N_, InvalidParameters
from .base import Launcher


def find_engine(settings: BackendAI, user_options: Any) -> str:
    """The engine of the queue that was asked for, before admission says it. Raises InvalidParameters."""
    name = user_options.get("queue") if isinstance(user_options, dict) else None
    if isinstance(name, list) and len(name) == 1:
        name = name[0]  # a form's value, which the parser takes too
    queue = settings.list_queues().get(name) if isinstance(name, str) else None
    if queue is None:
        raise InvalidParameters(N_("Choose a queue."))
    return queue.engine


def load_launcher(launchers: Mapping[str, str], engine: str) -> type[Launcher]:
    """The class that is named for an engine. Raises InvalidParameters."""
    path = launchers.get(engine)
    if path is not None:
        module, _, name = path.rpartition(".")
        cls: type[object] = getattr(importlib.import_module(module), name)
        if issubclass(cls, Launcher):
            return cls
    raise InvalidParameters(N_("The engine %(engine)s has no launcher; c.BackendAISpawner.launchers names them."), engine=engine)
