"""All servers are asked in one round, and nobody waits for anybody."""

import asyncio

from jupyterhub_backendai.spawner.rounds import CHUNK, Rounds


async def test_everybody_is_asked_each_round_until_they_leave():
    asked, twice = [], asyncio.Event()

    def member(name):
        async def ask():
            asked.append(name)
            if asked.count("b") == 2:
                twice.set()

        return ask

    first, second = (Rounds.join(member(name), 0.01) for name in "ab")
    async with asyncio.timeout(10):
        await twice.wait()
        first.stop()
        assert (first.is_running(), second.is_running()) == (False, True)
        seen = asked.count("a")
        twice.clear()
        asked[:] = [name for name in asked if name == "a"]
        await twice.wait()
    assert asked.count("a") == seen
    second.stop()


async def test_a_slow_one_and_a_failing_one_hold_up_nobody_and_are_not_asked_twice_at_once():
    slow_asked, release, others = [], asyncio.Event(), asyncio.Event()
    count = 0

    async def slow():
        slow_asked.append(1)
        await release.wait()

    async def fails():
        raise RuntimeError

    async def quick():
        nonlocal count
        count += 1
        if count == 3:
            others.set()

    places = [Rounds.join(callback, 0.02) for callback in (slow, fails, quick)]
    async with asyncio.timeout(10):
        await others.wait()
    assert len(slow_asked) == 1
    release.set()
    for place in places:
        place.stop()


async def test_a_round_of_many_lets_others_have_the_loop():
    """Counted in turns of the loop, not in time: between two chunks something else gets its turn."""
    turns, done = [], asyncio.Event()

    def member(number):
        async def ask():
            turns.append(number)
            if number == 3 * CHUNK - 1:
                done.set()

        return ask

    async def neighbour():
        while not done.is_set():
            turns.append("neighbour")
            await asyncio.sleep(0)

    places = [Rounds.join(member(number), 0.02) for number in range(3 * CHUNK)]
    task = asyncio.create_task(neighbour())
    async with asyncio.timeout(10):
        await task
    first, last = turns.index(0), turns.index(3 * CHUNK - 1)
    assert "neighbour" in turns[first:last]
    for place in places:
        place.stop()


async def test_rounds_begin_again_after_everybody_left():
    asked = asyncio.Event()

    async def ask():
        asked.set()

    for _ in range(2):
        asked.clear()
        place = Rounds.join(ask, 0.01)
        async with asyncio.timeout(10):
            await asked.wait()
        place.stop()
