"""A process of its own that asks for many admissions at once: ``admit_many.py URL FIRST COUNT GPUS``, answers JSON."""

import asyncio
import json
import sys
from collections import Counter

from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.database import Database
from tests.factories import GIB, make_queue, make_slots, make_spec


async def main(url: str, first: int, count: int, gpus: int) -> None:
    database = Database(url)
    queue = make_queue(capacity=make_slots(4, 64 * GIB, 4 * gpus))
    specs = [make_spec(f"user{number:03}", gpu=gpus) for number in range(first, first + count)]
    print("ready", flush=True)
    sys.stdin.readline()
    answers = await asyncio.gather(*(database.run_exclusive(sessions.admit, spec, queue, None) for spec in specs), return_exceptions=True)
    await database.close()
    refused = Counter(type(answer).__name__ for answer in answers if isinstance(answer, BackendAIError))
    others = [repr(answer) for answer in answers if isinstance(answer, Exception) and not isinstance(answer, BackendAIError)]
    admitted = [list(answer.devices) for answer in answers if not isinstance(answer, BaseException)]
    print(json.dumps({"admitted": admitted, "refused": refused, "others": others}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
