"""Time limits of engines that have none of their own: the hub ends these sessions itself, also after a restart."""

from __future__ import annotations

import asyncio
import time

from ...core.fields import format_duration
from ...core.reasons import Explanation
from ...core.sessions import JobState, SessionStatus
from ...errors import N_
from .base import Ending, Launcher


class TimedLauncher(Launcher):
    """A launcher that ends its session at ``deadline`` (Unix seconds, None for never), unless it was given more time meanwhile."""

    deadline: float | None = None
    is_timed_out = False
    _timer: asyncio.TimerHandle | None = None
    _ender: asyncio.Future[None] | None = None

    def set_deadline(self) -> None:
        """The session begins now."""
        self.deadline = time.time() + self.admission.time_s if self.admission.time_s else None
        self.arm()

    def arm(self) -> None:
        """See that the time limit holds, also after a restart of the hub."""
        is_ending = self._ender is not None and not self._ender.done()
        if self._timer is None and self.deadline is not None and not is_ending:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, self.deadline - time.time()), self._time_is_up)

    def disarm(self) -> None:
        """The session is being ended: there is nothing left to wait for."""
        if self._timer:
            self._timer.cancel()
            self._timer, self.deadline = None, None

    def move_deadline(self, seconds: float) -> None:
        if self.deadline is not None:
            self.deadline += seconds

    def timeout_ending(self) -> Ending:
        """What is said of a session whose time was up."""
        params = {"time": format_duration(self.admission.time_s)}
        return Ending(SessionStatus.TERMINATED, Explanation(N_("The session's time limit of %(time)s ended it."), params=params))

    def _time_is_up(self) -> None:
        self._timer = None
        self._ender = ender = asyncio.ensure_future(self._end_in_time())
        ender.add_done_callback(lambda _: self.notify())

    async def _end_in_time(self) -> None:
        """End the session, unless it was given more time meanwhile."""
        if self.renew_limit:
            await self.renew_limit(self)
        if self.deadline is None:
            return  # it was stopped
        if self.deadline > time.time():
            self._ender = None
            self.arm()
            return
        self.is_timed_out = True
        if (await self.ask()).state is JobState.RUNNING:
            self.log.info("The time limit of session %s is over", self.admission.session_id)
            self.ending = self.ending or self.timeout_ending()
            await self.cancel(now=False)
