"""Images in the database: the environments of the configuration file, and what administrators set of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.images import Image
from ..core.slots import ResourceSlots
from . import models


def sync(db: Session, environments: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the configured images as the file says (use it exclusively); twice changes nothing.

    Labels are the file's, and the least and the most of slots where it names them; everything else is administrators'. What the
    file no longer has is not offered any more.
    """
    rows = {row.name: row for row in db.scalars(select(models.Image))}
    for name, entry in environments.items():
        row = rows.get(name)
        if row is None:
            row = models.Image(name=name, is_active=True)
            db.add(row)
        elif not row.is_configured:
            row.is_active = True
        row.is_configured, row.labels = True, dict(entry.get("labels") or {})
        for key in ("min_slots", "max_slots"):
            if key in entry:
                setattr(row, key, ResourceSlots(entry[key]))
    for name in set(rows) - set(environments):
        if rows[name].is_configured:
            rows[name].is_configured = rows[name].is_active = False
    db.flush()


def list_offered(db: Session) -> dict[str, Image]:
    """The images that sessions can be started with, by name: the active ones of the configuration, whose programs are known."""
    query = select(models.Image).where(models.Image.is_configured.is_(True), models.Image.is_active.is_(True))
    return {row.name: _image(row) for row in db.scalars(query.order_by(models.Image.name))}


def _image(row: models.Image) -> Image:
    return Image(row.name, row.labels, row.min_slots, row.max_slots)
