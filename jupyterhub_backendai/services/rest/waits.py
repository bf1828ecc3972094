"""Waiting, for programs: how long it usually is in each queue and how good that word was; one's own session that waits."""

from __future__ import annotations

from ...core.sessions import parse_request
from .. import own_waits
from ..auth import authenticated
from ..base import ApiHandler
from ..own_sessions import find_own
from ..waits import describe_usual, save_wishes


class WaitsHandler(ApiHandler):
    """``GET`` for each queue that the caller may use how long a session waits; ``cpu``, ``gpu`` and ``shares`` say what kind of one."""

    @authenticated
    async def get(self) -> None:
        asked = {name: self.get_query_argument(name, "") for name in ("cpu", "gpu", "shares")}
        request = parse_request({"queue": "any", **asked}) if any(asked.values()) else None
        found = []
        for name in await self.groups.list_usable(self.identity):
            expected = await (self.waits.expect(name, request.slots) if request else self.waits.expect_any(name))
            accuracy = await self.waits.accuracy(name)
            text = describe_usual(self.language, expected)
            found.append(
                {"queue": name, "expected": expected.to_json() if expected else None, "text": text, "accuracy": accuracy.to_json()}
            )
        self.answer({"waits": found})


class WaitHandler(ApiHandler):
    """``GET`` why a session of the caller's waits and until when; ``PUT`` for how long it shall (``patience``), and a ``mail``."""

    @authenticated
    async def get(self, session_id: str) -> None:
        self.answer(await own_waits.describe_wait(self, await find_own(self, session_id), self.language))

    @authenticated
    async def put(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        patience_s, wants_mail = own_waits.read_wishes(session, self.read_body())
        await save_wishes(self, session.id, session.user, patience_s, wants_mail=wants_mail)
        self.answer(await own_waits.describe_wait(self, await find_own(self, session_id), self.language))


default_handlers = [
    (r"rest/v1/waits", WaitsHandler),
    (r"rest/v1/sessions/([0-9a-f]{32})/wait", WaitHandler),
]
