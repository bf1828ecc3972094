"""Taking somebody's one-time password away, for a lost telephone: they are told, and every login of theirs ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ..core.identity import Actor, Role
from ..errors import Forbidden, NotFound
from ..store import otp, users
from ..store.models import now
from ..store.records import RECORDS
from .account_mails import OTP_RESET, write_mail
from .active_logins import end_other_logins
from .parts import Parts


@dataclass(frozen=True, slots=True)
class _Person:
    was_there: bool
    email: str = ""
    language: str = ""


async def reset_otp(parts: Parts, actor: Actor, name: str) -> bool:
    """Whether there was one to take away.

    Raises NotFound for somebody whom the actor may not know of, Forbidden for a superadministrator when the actor is none.
    """
    person = await parts.db.run_exclusive(_reset, actor, name, now())
    if not person.was_there:
        return False
    if "hub" in parts.application.settings:
        await end_other_logins(parts, name, actor=actor.name, source=actor.source)
    mail = parts.application.settings.get("mail")
    if mail is not None and mail.is_on and person.email:
        mail.post(write_mail(OTP_RESET, person.language, parts.config.site_name, name, person.email))
    return True


def _reset(db: Session, actor: Actor, name: str, at: datetime) -> _Person:
    identity = users.get_identity(db, name)
    if identity is None:  # who has set it up and never went on is known to nobody else
        if not actor.is_superadmin:
            raise NotFound
        return _Person(otp.reset(db, name, actor=actor.name, source=actor.source, at=at))
    record = RECORDS["users"].find(db, actor, name)
    if record.values["role"] in (Role.SUPERADMIN, Role.SUPERADMIN.value) and not actor.is_superadmin:
        raise Forbidden
    was_there = otp.reset(db, name, actor=actor.name, source=actor.source, at=at)
    return _Person(was_there, identity.email, identity.language)
