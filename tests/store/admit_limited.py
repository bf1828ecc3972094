"""A process of its own that asks for many admissions at once: ``admit_limited.py URL FIRST COUNT PEOPLE``, answers JSON.

The number of people that ask decides which limit they share: one has a keypair policy, many have a project or a domain.
"""

import asyncio
import json
import sys
from collections import Counter

from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.database import Database
from tests.factories import GIB, make_queue, make_slots, make_spec


async def main(url: str, first: int, count: int, people: int) -> None:
    database = Database(url)
    # queues of their own: it is not the lock of the queue that makes the count exact
    queues = [make_queue(f"q{number}", capacity=make_slots(999, 999 * GIB)) for number in range(8)]
    asks = [
        (make_spec(f"user{number % people:03}", f"server{number}", queue=queues[number % 8].name), queues[number % 8])
        for number in range(first, first + count)
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    admit = (database.run_exclusive(sessions.admit, spec, queue, None) for spec, queue in asks)
    answers = await asyncio.gather(*admit, return_exceptions=True)
    await database.close()
    refused = Counter(type(answer).__name__ for answer in answers if isinstance(answer, BackendAIError))
    others = [repr(answer) for answer in answers if isinstance(answer, Exception) and not isinstance(answer, BackendAIError)]
    admitted = sum(not isinstance(answer, BaseException) for answer in answers)
    print(json.dumps({"admitted": admitted, "refused": refused, "others": others}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
