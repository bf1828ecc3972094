"""Settings of the platform that administrators change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.identity import Actor
from ..core.nouns.settings import DEFAULTS, STATUS, check_setting
from ..errors import Forbidden, InvalidParameters, NotFound
from . import audit
from .models import Setting, now
from .users import insert_missing


def get_setting(db: Session, name: str) -> dict[str, Any]:
    """A setting's value, the default when nobody set it. Raises NotFound for a name that is no setting."""
    if name not in DEFAULTS:
        raise NotFound
    found = db.scalar(select(Setting.value).where(Setting.name == name))
    return {**DEFAULTS[name], **(found or {})}


def list_settings(db: Session) -> dict[str, dict[str, Any]]:
    """All settings with their values, by name."""
    return {name: get_setting(db, name) for name in sorted(DEFAULTS)}


def is_frozen(db: Session) -> bool:
    """Whether no new sessions are taken."""
    return bool(get_setting(db, STATUS)["value"] == "frozen")


def set_setting(db: Session, actor: Actor, name: str, value: Mapping[str, Any]) -> bool:
    """Change a setting; whether it differs from before. Raises Forbidden for others than superadmins, NotFound, InvalidParameters."""
    if not actor.is_superadmin:
        raise Forbidden if actor.is_admin else NotFound
    before = get_setting(db, name)
    if found := check_setting(name, value):
        raise InvalidParameters(violations=found)
    after = {**DEFAULTS[name], **value}
    if after == before:
        return False
    insert_missing(db, Setting, name=name, value={}, updated_at=now())
    row = db.get_one(Setting, name, with_for_update=True)
    row.value, row.updated_at = after, now()
    db.flush()
    details = {"before": before, "after": after}
    audit.record(db, actor=actor.name, action="setting.update", object=name, source=actor.source, details=details)
    return True
