"""A JupyterHub that takes up given sessions without a notebook: the same hub, its spawners loaded from saved state and polled.

Run as ``python bench_poll_hub.py -f CONFIG`` with BENCH_SESSIONS naming a JSON file of ``[{user, name, state}]``. The sessions are
taken up evenly over one poll interval, as people come at different times. On SIGUSR1 it writes BENCH_SESSIONS.counts:
how many are still polled, and how many polls there were.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import Spawner

SESSIONS = Path(os.environ["BENCH_SESSIONS"])


class PollHub(JupyterHub):
    """Polls sessions that it did not start."""

    async def start(self) -> None:
        await super().start()
        self.spawners: list[Spawner] = []
        self.polls = 0
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.write_counts)
        self.taking_up = asyncio.create_task(self.take_up(json.loads(SESSIONS.read_text())))

    async def take_up(self, sessions: list[dict]) -> None:
        """One spawner after the other, each with a row, a server and a state as after a real start."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        for index, session in enumerate(sessions):
            user = self.users[self.find_user(session["user"])]
            row = orm.Spawner(name=session["name"], user=user.orm_user, state=session["state"], server=orm.Server(ip="127.0.0.1", port=9))
            self.db.add(row)
            self.db.commit()
            spawner = user.spawners[session["name"]]
            spawner.poll_and_notify = self.counting(spawner.poll_and_notify)
            spawner.add_poll_callback(self.log.warning, "lost: %s", spawner._log_name)
            spawner.start_polling()
            self.spawners.append(spawner)
            await asyncio.sleep(max(0.0, started + (index + 1) * spawner.poll_interval / len(sessions) - loop.time()))
        self.write_counts()

    def find_user(self, name: str) -> orm.User:
        """The row of a user, made when there is none."""
        row = orm.User.find(self.db, name)
        if row is None:
            row = orm.User(name=name)
            self.db.add(row)
            self.db.commit()
        return row

    def counting(self, poll: Callable) -> Callable:
        async def poll_and_count() -> None:
            self.polls += 1
            await poll()

        return poll_and_count

    def write_counts(self) -> None:
        polled = sum(spawner._poll_callback is not None for spawner in self.spawners)
        path = SESSIONS.with_suffix(".tmp")
        path.write_text(json.dumps({"polled": polled, "polls": self.polls}))
        path.replace(SESSIONS.with_suffix(".counts"))


if __name__ == "__main__":
    PollHub.launch_instance()
