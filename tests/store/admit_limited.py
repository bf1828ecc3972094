"""Processes that ask for many admissions at once: ``admit_limited.py URL COUNT PEOPLE PROCESSES``, answers a JSON list, one of each.

The number of people that ask decides which limit they share: one has a keypair policy, many have a project or a domain. They are
forked from one that has read the program already: eight that read it themselves need seconds, and begin one after the other.
"""

import asyncio
import json
import multiprocessing
import os
import sys
from collections import Counter
from multiprocessing.synchronize import Barrier

from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.database import Database
from tests.factories import GIB, make_queue, make_slots, make_spec

START_LIMIT_S = 60
_start: list[Barrier] = []


async def ask(url: str, first: int, count: int, people: int) -> dict[str, object]:
    database = Database(url)
    # queues of their own: it is not the lock of the queue that makes the count exact
    queues = [make_queue(f"q{number}", capacity=make_slots(999, 999 * GIB)) for number in range(8)]
    asks = [
        (make_spec(f"user{number % people:03}", f"server{number}", queue=queues[number % 8].name), queues[number % 8])
        for number in range(first, first + count)
    ]
    _start[0].wait(START_LIMIT_S)
    admit = (database.run_exclusive(sessions.admit, spec, queue, None) for spec, queue in asks)
    answers = await asyncio.gather(*admit, return_exceptions=True)
    await database.close()
    refused = Counter(type(answer).__name__ for answer in answers if isinstance(answer, BackendAIError))
    others = [repr(answer) for answer in answers if isinstance(answer, Exception) and not isinstance(answer, BackendAIError)]
    admitted = sum(not isinstance(answer, BaseException) for answer in answers)
    return {"process": os.getpid(), "admitted": admitted, "refused": refused, "others": others}


def run(url: str, first: int, count: int, people: int) -> dict[str, object]:
    return asyncio.run(ask(url, first, count, people))


def main(url: str, count: int, people: int, processes: int) -> None:
    context = multiprocessing.get_context("fork")
    share = count // processes
    # whoever took a part waits for all the others: every process takes exactly one
    with context.Pool(processes, _start.append, (context.Barrier(processes),)) as pool:
        parts = [(url, first, share, people) for first in range(0, count, share)]
        print(json.dumps(pool.starmap(run, parts, chunksize=1)))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
