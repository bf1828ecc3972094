"""Ending somebody's session as an administrator: through the hub, so that everything that follows an end happens."""

from __future__ import annotations

from sqlalchemy.orm import Session

from ..core.identity import Actor
from ..errors import N_, BackendUnavailable, Conflict, NotFound
from ..store import audit, batch, idle, sessions
from ..store.sessions import SessionInfo
from .parts import Parts

REASON = N_("ended by an administrator")


async def end_session(parts: Parts, actor: Actor, session_id: str) -> None:
    """Ask the hub to stop the session's server, or free what a session without a server holds.

    Raises NotFound, also for a session of another domain than a domain administrator's own; Conflict for one that is over;
    BackendUnavailable when the hub does not answer or refuses.
    """
    session = await parts.db.run(sessions.get, session_id)
    if session is None or not (actor.is_superadmin or (actor.is_admin and session.domain == actor.domain)):
        raise NotFound(N_("There is no session %(id)s."), id=session_id)
    if not session.is_live:
        raise Conflict(N_("This session is over already."))
    if session.is_batch:
        await parts.db.run_exclusive(_tell_batch, actor, session)
        parts.scheduler.wake(session.id)
        parts.batch_runner.wake()
        return
    # Why, before the hub is asked: it asks us for the reason while it stops the server.
    is_told = await parts.db.run_exclusive(idle.mark_ending, session_id, REASON)
    status, _ = await parts.hub.stop_server(session.user, session.server_name)
    if status not in (202, 204, 404):
        if is_told:
            await parts.db.run_exclusive(idle.take_back, session_id)
        raise BackendUnavailable(N_("JupyterHub refused to end the session (status %(status)s)."), status=status)
    # 404: the hub knows no such server, so nobody else will free what the session holds.
    await parts.db.run_exclusive(_keep, actor, session_id, status == 404, {"user": session.user, "server": session.server_name})


def _tell_batch(db: Session, actor: Actor, session: SessionInfo) -> None:
    batch.tell_to_end(db, session.id, REASON)
    details = {"user": session.user}
    audit.record(db, actor=actor.name, action="session.terminate", object=session.id, source=actor.source, details=details)


def _keep(db: Session, actor: Actor, session_id: str, is_lost: bool, details: dict[str, str]) -> None:
    if is_lost:
        sessions.release(db, session_id, REASON)
    audit.record(db, actor=actor.name, action="session.terminate", object=session_id, source=actor.source, details=dict(details))
