"""Checking the second factor: our own tokens and recovery codes, or whoever else knows the codes."""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from ...config import BackendAI
from ...core import otp, recovery
from ...core.identity import MUST_CHANGE
from ...errors import N_
from ...identity.factors import FactorAnswer, FactorQuestion, SecondFactor
from ...store import audit, logins
from ...store import otp as tokens
from ...store import recovery as kept_codes
from ...store.crypt import Crypt
from ...store.database import Database
from ...store.models import now
from . import records
from .attempts import Refused
from .flow import Flow

NO_TOKEN = N_("You have no one-time password yet. Get one from your centre, then log in.")
CODES_LEFT = N_("You came in with a recovery code. %(count)s are left; make new ones on your account page.")
_hashing = ThreadPoolExecutor(2, thread_name_prefix="recovery")
_NOBODYS_SALT = "00" * recovery.SALT_BYTES


class Codes:
    """Whether a code is somebody's. Without a ``factor`` the tokens are our own."""

    def __init__(self, settings: BackendAI, db: Database, crypt: Crypt, factor: SecondFactor | None) -> None:
        self._settings, self._db, self._crypt, self._factor = settings, db, crypt, factor

    @property
    def are_ours(self) -> bool:
        """Whether people enrol here."""
        return self._factor is None

    @property
    def joins_password(self) -> bool:
        """Whether password and code are checked in one go."""
        return self._factor is not None and self._settings.otp_required and self._factor.joins_password

    @property
    def wants_password(self) -> bool:
        """Whether the server is sent the password too, after the directory has checked it."""
        return self._factor is not None and self._settings.otp_required and self._factor.wants_password

    @property
    def asks_first(self) -> bool:
        """Whether the server wants to be asked before anybody types a code."""
        return self._factor is not None and self._factor.asks_first

    def are_asked(self, flow: Flow) -> bool:
        """Whether this login needs a code. One that cannot succeed any more needs one too, so that it looks like the others."""
        if not self._settings.otp_required or "code" in flow.done:
            return False
        return self._factor is not None or flow.person is None or flow.known.token is not None

    async def check(self, flow: Flow, typed: str) -> None:
        """Take a code: then the step is done, or ``flow.challenge`` says what is wanted next. Raises Refused."""
        is_counted = flow.person is not None and bool(typed) and not flow.known.is_known_source
        if is_counted and not await self._db.run_exclusive(records.may_try_code, flow, now()):
            raise Refused("too-many-codes")
        if self._factor is not None:
            await self._ask(flow, typed, self._factor)
        else:
            await self._check_ours(flow, typed)
        if is_counted:
            await self._db.run(logins.clear_failures, flow.keys.codes)

    async def _ask(self, flow: Flow, typed: str, factor: SecondFactor) -> None:
        if flow.person is None and not factor.joins_password:
            raise Refused(flow.reason)
        state = flow.challenge.get("state", "")
        answer = await factor.verify(FactorQuestion(flow.name, typed, flow.password, flow.source, state))
        flow.challenge = {}
        match answer.outcome:
            case "ok":
                self._accept(flow, answer)
            case "challenge":
                flow.challenge = {"message": answer.message[:500], "state": answer.state}
            case "enrol":
                raise Refused("no-token", NO_TOKEN, is_final=True)
            case _:
                # A server takes one answer to what it asked: after a wrong one it must be asked anew, from the password on. So must
                # one that is sent both: it counts failures of the password, and so do we, at its form.
                raise Refused(answer.reason or "wrong-code", is_final=bool(state) or factor.joins_password)

    @staticmethod
    def _accept(flow: Flow, answer: FactorAnswer) -> None:
        if answer.check is not None:
            flow.take(answer.check)
            if flow.person is None or (flow.reason and flow.reason not in MUST_CHANGE):
                raise Refused(flow.reason)
        flow.password = ""
        flow.done.append("code")

    async def _check_ours(self, flow: Flow, typed: str) -> None:
        """Only who knows the password gets to the codes, so a stranger's guesses use nobody's up."""
        if code := recovery.parse_code(typed):
            await self._check_recovery(flow, code)
        elif flow.person is None or flow.known.token is None:
            raise Refused(flow.reason or "no-token")
        else:
            await self._check_token(flow.known.token, typed)
        flow.done.append("code")

    async def _check_token(self, token: tokens.Token, typed: str) -> None:
        name = token.user_name
        secret = otp.parse_secret(self._crypt.decrypt(token.secret, tokens.purpose(name)))
        at = time.time()
        step = otp.find_step(secret, typed, at, drift=token.drift)
        if step is None:
            raise Refused("wrong-code" if typed else "no-code")
        if not await self._db.run(tokens.consume_step, name, step, otp.drift_of(step, at)):
            raise Refused("used-code")

    async def _check_recovery(self, flow: Flow, code: str) -> None:
        # Hashed for a wrong password too: the time taken must not say that it was wrong.
        salt = flow.known.recovery_salt
        hashed = await hash_codes([code], salt or _NOBODYS_SALT)
        if flow.person is None or not salt or not await self._db.run(kept_codes.use_code, flow.name, hashed[0], now()):
            raise Refused(flow.reason or "wrong-recovery-code")
        left = await self._db.run(kept_codes.count_codes, flow.name)
        who = {"actor": flow.name, "object": flow.name, "source": flow.source}
        await self._db.run(audit.record, action="use-recovery-code", details={"left": left}, **who)
        flow.notes.append({"message": CODES_LEFT, "params": {"count": left}, "at": ""})


async def make_codes() -> tuple[list[str], str, list[str]]:
    """New recovery codes: as their owner gets them, their salt, and what is kept of them."""
    codes = [recovery.make_code(secrets.token_bytes(recovery.RANDOM_BYTES)) for _ in range(recovery.COUNT)]
    salt = secrets.token_hex(recovery.SALT_BYTES)
    return [recovery.format_code(code) for code in codes], salt, await hash_codes(codes, salt)


async def hash_codes(codes: list[str], salt: str) -> list[str]:
    """What is kept of codes; in threads of its own."""
    loop = asyncio.get_running_loop()
    return [await loop.run_in_executor(_hashing, recovery.hash_code, code, salt) for code in codes]
