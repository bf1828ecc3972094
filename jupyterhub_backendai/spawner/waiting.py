"""Waiting for a place in a line of the service's. It has no time limit of the hub's, and outages of the service are waited for too."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyterhub.utils import maybe_future

from ..client import ServiceClient
from ..config import BackendAI
from ..core.reasons import Explanation
from ..core.scheduling import Wait
from ..core.sessions import Admission, SessionStatus
from ..core.waiting import FORESEEABLE, PATIENCES_S, explain_wait
from ..errors import N_, BackendAIError, NotFound, StartFailed, Violation
from .adoption import STARTING
from .expecting import Expecting
from .launchers.base import Ending, Launcher, Stage

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _Base
else:
    _Base = object  # every subclass of Spawner must be able to start, which this part cannot

ASK_S, PAUSE_S = 20.0, 1.0
RENEW_S, RENEW_DUE_S, RENEW_PATIENCE_S = 300.0, 10.0, 5.0
NOT_WAITING = N_("This session waits no more.")
FORGOTTEN = N_("The waiting line does not know this session any more. Start it again.")


async def wait_for_place(service: ServiceClient, launcher: Launcher) -> Admission:
    """The admission with a place; until then the launcher shows where in line the session is. Raises StartFailed when it never will."""
    queue, session_id, seen = launcher.admission.queue, launcher.admission.session_id, ""
    while True:
        try:
            place, seen = await service.find_place(session_id, seen, ASK_S)
        except BackendAIError as exc:
            if isinstance(exc, NotFound):
                raise _end(launcher, FORGOTTEN) from exc
            if not exc.transient:
                raise
            launcher.show(_unreachable(launcher.stage, queue))
            seen = ""
            await asyncio.sleep(PAUSE_S)
            continue
        if place.admission:
            return place.admission
        if place.wait is None:
            raise _end(launcher, place.reason or FORGOTTEN)
        stage = show_wait(queue, place.wait)
        launcher.show(await launcher.expect(stage) if launcher.expect else stage)


def show_wait(queue: str, wait: Wait) -> Stage:
    """What the pending page shows of a wait."""
    message = Violation(N_("Waiting in the queue %(queue)s."), {"queue": queue})
    if wait.position:
        message = Violation(N_("Waiting in the queue %(queue)s, position %(position)s."), {"queue": queue, "position": wait.position})
    return Stage("waiting", 20, message, wait.position, explain_wait(wait), wait.start_at, wait.word in FORESEEABLE)


def _unreachable(stage: Stage, queue: str) -> Stage:
    before = stage if stage.name == "waiting" else Stage("waiting", 20, Violation(N_("Waiting in the queue %(queue)s."), {"queue": queue}))
    return replace(before, reason=Explanation(N_("The waiting line cannot be reached at the moment. Your session keeps its place.")))


def _end(launcher: Launcher, reason: str) -> StartFailed:
    launcher.ending = Ending(SessionStatus.CANCELLED, Explanation(reason))
    return StartFailed(reason)


class Waiting(_Base):
    """The part of the policy spawner that waits for a place before it starts anything."""

    session_id: str
    phase: str
    token_id: int | None
    settings: BackendAI
    admission: Admission | None

    if TYPE_CHECKING:

        @property
        def launcher(self) -> Launcher: ...
        @property
        def service(self) -> ServiceClient: ...
        def save(self, phase: str) -> None: ...
        def renew_token(self, token_id: int | None) -> int | None: ...

    @property
    def first_phase(self) -> str:
        """How a start begins that was admitted just now."""
        return "waiting" if self.admission and self.admission.is_waiting else "submitting"

    async def expect_start(self, stage: Stage) -> Stage:
        """A stage with when the session is expected to start."""
        self._expecting = self._expecting or Expecting()
        await self._renew_wishes()
        return await self._expecting.add(stage, self.admission, self.service) if self.admission else stage

    _expecting: Expecting | None = None

    @property
    def sends_mail(self) -> bool:
        """Whether this site can tell people by mail."""
        return bool(self.settings.mail_server)

    @property
    def patience_s(self) -> int | None:
        """How long the owner wants to wait; None for as long as it takes."""
        admission = self.admission
        if admission is None or not admission.gives_up_by_wish or not admission.give_up_at or not admission.waits_since:
            return None
        return round(admission.give_up_at - admission.waits_since)

    @property
    def patience_choices(self) -> tuple[int, ...]:
        """What the pending page offers, seconds."""
        return tuple(sorted({*PATIENCES_S, *([self.patience_s] if self.patience_s else [])}))

    _renewed_at = 0.0

    async def _renew_wishes(self) -> None:
        """How long to wait may be said elsewhere, too: ask now and then, and always before the session is given up."""
        admission, now = self.admission, time.time()
        if admission is None or admission.is_waiting or self.phase not in STARTING:
            return
        is_due = admission.give_up_at is not None and now >= admission.give_up_at
        if now - self._renewed_at < (RENEW_DUE_S if is_due else RENEW_S):
            return
        is_first, self._renewed_at = not self._renewed_at, now
        if is_first and not is_due:
            return  # it was admitted just now
        try:
            place, _ = await asyncio.wait_for(self.service.find_place(self.session_id), RENEW_PATIENCE_S)
        except (BackendAIError, TimeoutError):
            return
        new = place.admission
        if new and self.admission and (new.give_up_at, new.wants_mail) != (self.admission.give_up_at, self.admission.wants_mail):
            self._keep_wishes(new.give_up_at, by_wish=new.gives_up_by_wish, wants_mail=new.wants_mail)

    def _keep_wishes(self, give_up_at: float | None, *, by_wish: bool, wants_mail: bool) -> None:
        if self.admission is None or self.phase not in STARTING:
            return  # it is over meanwhile
        self.admission = replace(self.admission, give_up_at=give_up_at, gives_up_by_wish=by_wish, wants_mail=wants_mail)
        self.launcher.admission = self.admission
        self.save(self.phase)

    async def change_wishes(self, patience_s: int | None, *, wants_mail: bool) -> None:
        """Wait so long from when the session was asked for (None: as long as it takes), and write a mail or not.

        Raises NotFound for a session that waits no more, ServiceUnavailable.
        """
        if self.admission is None or self.phase not in STARTING:
            raise NotFound(NOT_WAITING)
        kept = await self.service.save_wishes(self.session_id, self.user.name, patience_s, wants_mail=wants_mail)
        self._keep_wishes(kept["give_up_at"], by_wish=kept["gives_up_by_wish"], wants_mail=kept["wants_mail"])

    async def begin(self, launcher: Launcher, *, again: bool = False) -> str:
        """Start, once there is a place; ``again`` in another process of the hub than the one that prepared it."""
        if launcher.admission.is_waiting:
            self.admission = await wait_for_place(self.service, launcher)
            launcher = self.launcher
            if again:
                await self._prepare_again(launcher)
            self.save("submitting")
        return await launcher.start()

    async def _prepare_again(self, launcher: Launcher) -> None:
        """What the hub did before the wait and does not remember: hooks, and a token that the server can be given."""
        self.token_id = self.renew_token(self.token_id)
        await launcher.run_auth_state_hook(await self.user.get_auth_state())
        await launcher.apply_group_overrides()
        await maybe_future(launcher.run_pre_spawn_hook())

    async def ask_why(self, patience_s: float) -> str:
        """Whoever has a session ended (the idle checker, an administrator) tells the service why before asking the hub; "" for nobody."""
        try:
            place, _ = await asyncio.wait_for(self.service.find_place(self.session_id), patience_s)
        except (BackendAIError, TimeoutError):
            return ""
        return "" if place.is_over else place.reason
