"""The audit log: one row per security-relevant act."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from .models import AuditEntry


def record(
    db: Session,
    *,
    actor: str,
    action: str,
    object: str = "",  # noqa: A002 - the column's name
    source: str = "",
    result: str = "ok",
    details: dict[str, Any] | None = None,
) -> None:
    """Keep that ``actor`` did ``action`` to ``object`` from ``source``. Never put a secret into ``details``."""
    entry = AuditEntry(actor=actor[:255], action=action[:64], object=object[:255], source=source[:64], result=result[:32])
    entry.details = details or {}
    db.add(entry)
