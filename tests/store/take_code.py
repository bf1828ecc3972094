"""Processes that take one step again and again: ``take_code.py URL NAME STEP PROCESSES TIMES``, answers how often each was let.

They are forked from one that has loaded everything already: sixteen that load it at once take longest for that.
"""

import asyncio
import json
import multiprocessing
import os
import sys
from typing import Any

from jupyterhub_backendai.store import otp
from jupyterhub_backendai.store.database import Database


async def take(url: str, name: str, step: int, times: int, start: Any) -> int:
    database = Database(url, threads=4)
    await database.run(otp.get_token, name)
    await asyncio.to_thread(start.wait, 60)
    taken = await asyncio.gather(*(database.run(otp.consume_step, name, step, 0) for _ in range(times)))
    await database.close()
    return sum(taken)


def work(url: str, name: str, step: int, times: int, start: Any, answers: Any) -> None:
    answers.put((os.getpid(), asyncio.run(take(url, name, step, times, start))))


def main(url: str, name: str, step: int, processes: int, times: int) -> None:
    fork = multiprocessing.get_context("fork")
    start, answers = fork.Barrier(processes), fork.SimpleQueue()
    children = [fork.Process(target=work, args=(url, name, step, times, start, answers)) for _ in range(processes)]
    for child in children:
        child.start()
    found = [answers.get() for _ in children]
    for child in children:
        child.join()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
