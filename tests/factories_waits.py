"""Rows of sessions that waited, for tests of the history of waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.store import models
from tests.factories import make_slots


def add_past_session(
    db: Session,
    user_id: str,
    queue: str = "v100",
    wait_s: float = 60.0,
    ago_s: float = 3600.0,
    has_begun: bool = True,
    at: datetime | None = None,
    **fields: Any,
) -> str:
    """A session that began to wait ``ago_s`` before ``at`` (now), for ``wait_s``; over since. Returns its id."""
    created = (at or datetime.now(UTC)) - timedelta(seconds=ago_s)
    end = created + timedelta(seconds=wait_s)
    session_id = models.new_id()
    row = {
        "project": "default",
        "domain": "default",
        "server_name": session_id,
        "engine": "slurm",
        "environment": "default",
        "interface": "lab",
        "slots": make_slots(1),
        "time_limit_s": 3600,
        "created_at": created,
        "scheduled_at": created,
        "status": SessionStatus.TERMINATED if has_begun else SessionStatus.CANCELLED,
        "began_at": end if has_begun else None,
        "started_at": end + timedelta(seconds=7) if has_begun else None,
        "released_at": end + timedelta(seconds=100) if has_begun else end,
        **fields,
    }
    db.add(models.ComputeSession(id=session_id, user_id=user_id, queue=queue, **row))
    db.flush()
    return session_id
