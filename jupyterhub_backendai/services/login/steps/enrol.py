"""Setting up the one-time password: the key exists only in the ticket until a code confirms it."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import segno
from sqlalchemy.orm import Session

from ....config import BackendAI
from ....core import otp
from ....core.enrolment import find_deadline, parse_deadlines
from ....core.identity import Role
from ....core.mapping import MappingRules, map_person
from ....errors import Conflict
from ....store import audit, recovery, users
from ....store import otp as tokens
from ....store.crypt import Crypt
from ....store.database import Database
from ....store.models import now
from ..attempts import HAS_TOKEN, WRONG_CODE, Refused
from ..codes import Codes, make_codes
from ..flow import Flow, Work

LATER = "enrol-later"  # not the step's name, which stands for a code that was right


class EnrolStep:
    """For who has no token yet. Before the day from which they need one, they may do it later."""

    name = "enrol"

    def __init__(self, settings: BackendAI, db: Database, crypt: Crypt, codes: Codes, rules: MappingRules) -> None:
        self._settings, self._db, self._crypt, self._codes, self._rules = settings, db, crypt, codes, rules
        self._deadlines = parse_deadlines(settings.otp_forced_from)

    async def is_needed(self, flow: Flow) -> bool:
        if (
            not self._settings.otp_required
            or not self._codes.are_ours
            or flow.known.token is not None
            or {self.name, LATER} & set(flow.done)
        ):
            return False
        return not self._deadlines or await self._deadline(flow) is not None

    async def _deadline(self, flow: Flow) -> datetime | None:
        """By what the directory says of somebody, and what an administrator gave them here."""
        mapped, known = map_person(flow.find_person(), self._rules), await self._db.run(users.get_identity, flow.name)
        if known is None:
            return find_deadline(self._deadlines, mapped.domain, mapped.projects, mapped.role.value)
        domain = mapped.domain if mapped.has_domain else known.domain
        role = known.role if mapped.role is Role.USER else mapped.role
        return find_deadline(self._deadlines, domain, (*mapped.projects, *known.projects), role.value)

    async def begin(self, flow: Flow) -> dict[str, Any]:
        deadline = await self._deadline(flow) if self._deadlines else None
        until = deadline.isoformat() if deadline and deadline > now() else ""
        return {"secret": otp.format_secret(secrets.token_bytes(otp.SECRET_BYTES)), "until": until}

    def show(self, flow: Flow) -> dict[str, Any]:
        uri = otp.build_uri(otp.parse_secret(flow.data["secret"]), flow.name, self._settings.site_name)
        return {"secret": flow.data["secret"], "uri": uri, "svg": draw_qr(uri), "until": flow.data["until"]}

    async def confirm(self, flow: Flow, fields: Mapping[str, str]) -> Work | None:
        if fields.get("later") and flow.data["until"]:
            flow.done.append(LATER)
            return None
        at = time.time()
        step = otp.find_step(otp.parse_secret(flow.data["secret"]), fields.get("otp", ""), at)
        if step is None:
            raise Refused("wrong-code", WRONG_CODE)
        encrypted = self._crypt.encrypt(flow.data["secret"], tokens.purpose(flow.name))
        flow.codes, salt, hashes = await make_codes()
        flow.done.append(self.name)

        def keep(db: Session, at_time: datetime) -> None:
            if not tokens.add_confirmed(db, flow.name, encrypted, step, otp.drift_of(step, at), at_time):
                raise Conflict(HAS_TOKEN)
            recovery.replace_codes(db, flow.name, salt, hashes, at_time)
            audit.record(db, actor=flow.name, action="enrol-otp", object=flow.name, source=flow.source)

        return keep


def draw_qr(uri: str) -> str:
    """The address as an SVG that stands in the page. Dark on white, whatever the page's colours are: phones want it so."""
    out = io.BytesIO()
    code = segno.make(uri, error="m", micro=False)
    code.save(out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False, svgns=False, nl=False)
    return out.getvalue().decode()
