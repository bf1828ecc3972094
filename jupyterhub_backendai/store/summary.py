"""What somebody's summary page shows of them, read in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from ..core.quota import Standing
from .sessions import SessionInfo, list_live, list_recent
from .standing import load_standing

RECENT = 8


@dataclass(frozen=True, slots=True)
class Overview:
    """One person's sessions: those that live, oldest first, and the last ones that ended, newest first; and where they stand."""

    live: tuple[SessionInfo, ...]
    ended: tuple[SessionInfo, ...]
    standing: Standing


def load_overview(db: Session, user: str, project: str = "", resource_group: str = "") -> Overview:
    """Everything of one person that the summary shows, with the limits of one project. Raises NotFound."""
    live = list_live(db, user)
    # The newest rows of which at most the live ones are not over.
    ended = [session for session in list_recent(db, user, RECENT + len(live)) if not session.is_live]
    return Overview(live, tuple(ended[:RECENT]), load_standing(db, user, project, resource_group))
