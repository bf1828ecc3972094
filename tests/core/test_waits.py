"""How long sessions wait: quantiles of the past, who gave up, what the scheduler adds, and how good it was."""

from __future__ import annotations

import random

import pytest

from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, CUDA_SHARES, ResourceSlots
from jupyterhub_backendai.core.waits import (
    MIN_PAST,
    MOST_PAST,
    Accuracy,
    Expectation,
    History,
    PastWait,
    add_scheduler,
    expect,
    learn,
    measure,
    round_wait,
    size_of,
)

DAY = 86400.0
NOON = 20_000 * DAY + 12 * 3600


def make_waits(waits: list[float], size: str = "cpu-small", since: float = NOON) -> list[PastWait]:
    return [PastWait(since - number * DAY, wait_s, size) for number, wait_s in enumerate(waits)]


@pytest.mark.parametrize(
    ("slots", "size"),
    [
        ({CPU: 1}, "cpu-small"),
        ({CPU: 4}, "cpu-small"),
        ({CPU: 5}, "cpu-large"),
        ({CPU: 1, CUDA_SHARES: "0.5"}, "gpu-share"),
        ({CPU: 40, CUDA_DEVICE: 1}, "gpu-1"),
        ({CPU: 1, CUDA_DEVICE: 8}, "gpu-many"),
    ],
)
def test_size(slots: dict[str, object], size: str) -> None:
    assert size_of(ResourceSlots.from_json({name: str(amount) for name, amount in slots.items()})) == size


def test_of_a_hundred_waits_the_middle_and_the_tenths_are_told() -> None:
    found = expect(learn(make_waits([60.0 * minute for minute in range(1, 101)]), "cpu-small", NOON))
    assert found == Expectation(600.0, 3000.0, 5400.0, 100)


def test_too_few_waits_say_nothing() -> None:
    assert expect(learn(make_waits([60.0] * (MIN_PAST - 1)), "cpu-small", NOON)) is None
    assert expect(learn(make_waits([60.0] * MIN_PAST), "cpu-small", NOON)) is not None
    assert expect(History()) is None


def test_the_narrowest_past_that_is_large_enough_counts() -> None:
    own = make_waits([100.0] * MIN_PAST, "gpu-1")
    night = make_waits([900.0] * MIN_PAST, "gpu-1", NOON + 12 * 3600)
    others = make_waits([10.0] * 50)
    assert learn([*own, *night, *others], "gpu-1", NOON).basis == "size-hour"
    assert learn([*night, *others], "gpu-1", NOON).basis == "size"
    assert learn([*own[:3], *others], "gpu-1", NOON).basis == "hour"
    assert learn([*own[:3], *night[:3], *make_waits([7.0] * 9, "x", NOON + 12 * 3600)], "gpu-1", NOON).basis == "queue"
    assert expect(learn([*own, *night, *others], "gpu-1", NOON)).middle_s == 100


def test_only_the_newest_count() -> None:
    old = make_waits([9999.0] * MOST_PAST, since=NOON - 1000 * DAY)
    found = learn([*old, *make_waits([60.0] * MOST_PAST)], "cpu-small", NOON)
    assert found.past == MOST_PAST
    assert expect(found).high_s == 60


def test_who_waited_already_waits_less_but_no_shorter_wait_is_promised() -> None:
    history = learn(make_waits([60.0 * minute for minute in range(1, 101)]), "cpu-small", NOON)
    found = expect(history, 50 * 60)
    assert (found.low_s, found.middle_s, found.high_s) == (5 * 60, 25 * 60, 45 * 60)
    assert expect(history, 100 * 60) is None, "longer than all: nothing is known"


def test_who_gave_up_makes_the_queue_no_faster() -> None:
    started = make_waits([60.0] * 10)
    gave_up = [PastWait(NOON, 3600.0, "cpu-small", has_begun=False)] * 10
    assert expect(learn(started, "cpu-small", NOON)).high_s == 60
    found = expect(learn([*started, *gave_up], "cpu-small", NOON))
    assert found.high_s is None, "half of them waited for more than an hour"
    assert found.past == 10


@pytest.mark.parametrize("seed", range(20))
def test_the_range_holds_what_it_says_for_waits_of_the_same_kind(seed: int) -> None:
    chance = random.Random(seed)
    history = learn(make_waits([chance.expovariate(1 / 600) for _ in range(200)]), "cpu-small", NOON)
    found = expect(history)
    assert found.low_s <= found.middle_s <= found.high_s
    later = [chance.expovariate(1 / 600) for _ in range(2000)]
    assert 0.7 < sum(found.low_s <= wait <= found.high_s for wait in later) / len(later) < 0.9
    assert History.from_json(history.to_json()) == history
    assert Expectation.from_json(found.to_json()).past == found.past


def test_the_scheduler_bounds_what_the_past_says() -> None:
    past = Expectation(60.0, 600.0, 3600.0, 50)
    assert add_scheduler(past, None, NOON) == past
    assert add_scheduler(past, NOON + 1800, NOON) == Expectation(60.0, 600.0, 1800.0, 50, by_scheduler=True)
    assert add_scheduler(past, NOON + 30, NOON) == Expectation(30.0, 30.0, 30.0, 50, by_scheduler=True)
    assert add_scheduler(past, NOON + 9000, NOON).high_s == 3600, "it reckons with full time limits"
    assert add_scheduler(Expectation(60.0, 600.0, None, 9), NOON + 9000, NOON).high_s == 9000
    assert add_scheduler(None, NOON + 1800, NOON) == Expectation(1800.0, 1800.0, 1800.0, 0, by_scheduler=True)
    assert add_scheduler(None, NOON - 5, NOON).middle_s == 0, "an estimate that has passed is now"


def test_moments_are_told_with_the_lengths() -> None:
    told = Expectation(60.0, 600.0, None, 9).to_json(NOON)
    assert (told["low_at"], told["at"], told["high_at"]) == (NOON + 60, NOON + 600, None)


def test_accuracy() -> None:
    told = Expectation(60.0, 120.0, 300.0, 50)
    assert measure([]) == Accuracy()
    assert measure([(told, 60.0), (told, 299.0), (told, 900.0)]) == Accuracy(3, 2, 179.0)
    assert measure([(Expectation(60.0, 120.0, None, 50), 9999.0)]).within == 1


@pytest.mark.parametrize(
    ("wait_s", "said_s"),
    [
        (0, 60),
        (29, 60),
        (95, 120),
        (560, 540),
        (700, 600),
        (1000, 900),
        (1100, 1200),
        (4000, 3600),
        (5000, 5400),
        (90_000, 90_000),
        (200_000, 172_800),
    ],
)
def test_waits_are_told_in_round_numbers(wait_s: float, said_s: int) -> None:
    assert round_wait(wait_s) == said_s
