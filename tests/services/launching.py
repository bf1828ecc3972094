"""Limits for the pages that start sessions."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from jupyterhub_backendai.core.slots import MEM, ResourceSlots, SlotKind, parse_amount
from jupyterhub_backendai.store import models

Amounts = dict[str, str]


def limit(db: Session, keypair: Amounts | None = None, project: Amounts | None = None, domain: Amounts | None = None, **more: Any) -> None:
    """Limit everybody's keypair, one project (``name``, by default ``default``) and the domain; ``sessions`` at a time."""
    policy = db.get(models.KeypairResourcePolicy, "default")
    if keypair is not None:
        policy.total_resource_slots = amounts(keypair)
    policy.max_concurrent_sessions = more.get("sessions")
    policy.max_session_lifetime_s = more.get("lifetime_s")
    for user in db.query(models.User):
        if not db.query(models.Keypair).filter_by(user_id=user.id).count():
            db.add(models.Keypair(access_key=f"AKIA{user.name.upper()}", user_id=user.id, secret_key="-", is_main=True))
    db.flush()
    for keys in db.query(models.Keypair):
        db.query(models.ComputeSession).filter_by(user_id=keys.user_id).update({"access_key": keys.access_key})
    if project is not None:
        db.query(models.Project).filter_by(domain="default", name=more.get("name", "default")).one().total_resource_slots = amounts(project)
    if domain is not None:
        db.get(models.Domain, "default").total_resource_slots = amounts(domain)
    db.flush()


def amounts(texts: Amounts) -> ResourceSlots:
    kinds = {MEM: SlotKind.BYTES}
    return ResourceSlots({name: parse_amount(text, kinds.get(name, SlotKind.COUNT)) for name, text in texts.items()})
