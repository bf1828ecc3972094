"""A session as programs read it: where it is, or why it ended. The addresses are in :mod:`.batch`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ... import i18n
from ...core.scheduling import Wait
from ...core.vfolder_mounts import READ_ONLY, READ_WRITE, Mount
from ...core.waiting import explain_wait
from ...store.sessions import SessionInfo


def describe(session: SessionInfo, language: str) -> dict[str, Any]:
    """One session; ``reason`` says why it ended, in the reader's language where the words are fixed."""
    return {
        "id": session.id,
        "name": session.name,
        "session_type": session.session_type,
        "server": session.server_name,
        "project": session.project,
        "queue": session.queue,
        "environment": session.environment,
        "status": session.status.value,
        "reason": i18n.translate(language, session.status_reason) if session.status_reason else "",
        "waiting": describe_wait(session.wait, language) if session.wait else None,
        "exit_code": session.exit_code,
        "job_id": session.job_id,
        "node": session.node,
        "slots": session.slots.to_json(),
        "gpu_type": session.gpu_type,
        "choice": session.choice.to_options(),
        "time_limit_s": session.time_limit_s,
        "created_at": _format(session.created_at),
        "started_at": _format(session.started_at),
        "terminated_at": _format(session.terminated_at),
    }


def describe_mount(mount: Mount) -> dict[str, Any]:
    """One folder of a session; ``target`` is beneath the session's home where it does not begin with a slash."""
    return {
        "folder": mount.folder_id,
        "name": mount.name,
        "subpath": "" if mount.is_own_part else mount.subpath,
        "target": mount.target,
        "mode": READ_ONLY if mount.is_read_only else READ_WRITE,
        "is_automatic": mount.is_automatic,
    }


def describe_wait(wait: Wait, language: str) -> dict[str, Any]:
    """Why a session waits in a line of ours; ``position`` counts from 1, None when it is far off or not in line yet."""
    why = explain_wait(wait)
    reason = " ".join(i18n.translate(language, text, why.params) for text in (why.message, why.advice) if text)
    return {"position": wait.position, "reason": reason, "start_at": wait.start_at}


def _format(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
