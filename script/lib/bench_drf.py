"""DRF: the whole order of those that wait in one resource group, against Python's own sort of them by the same keys."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable

from bench_rows import Figure, Row

from jupyterhub_backendai.core.scheduling import DominantShares, Pending
from jupyterhub_backendai.core.slots import ResourceSlots

FEW, MANY, SAMPLES, REPEATS = 1_000, 10_000, 9, 5
GIB = 1024**3
CAPACITY = ResourceSlots({"cpu": 10_000, "mem": 64 * 1024 * GIB, "cuda.device": 500})
PRESETS = [
    ResourceSlots({"cpu": cpu, "mem": mem * GIB, "cuda.device": gpu})
    for cpu, mem, gpu in ((1, 1, 0), (1, 2, 0), (2, 4, 0), (4, 16, 0), (4, 32, 1), (8, 64, 2))
]


def make_line(count: int) -> tuple[list[Pending], dict[str, ResourceSlots]]:
    """Sessions in no order, so that neither side finds its work done, of a tenth as many access keys; and what half of those have."""
    chance = random.Random(count)
    keys = [f"AKIA{number:016}" for number in range(count // 10)]
    ages = [chance.random() * 86400 for _ in range(count)]
    pending = [Pending(f"{chance.getrandbits(128):032x}", chance.choice(keys), chance.choice(PRESETS), 1.7e9 + age) for age in ages]
    return pending, {key: chance.choice(PRESETS) for key in keys[::2]}


def measure(*sides: Callable[[], object]) -> list[tuple[float, ...]]:
    """Milliseconds of each side, taken in turn so that both meet the same machine; a sample is the best of a few, as timeit's."""
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(SAMPLES):
        for side, samples in zip(sides, found, strict=True):
            gc.collect()
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                side()
                times.append(1000 * (time.perf_counter() - began))
            samples.append(min(times))
    return [tuple(samples) for samples in found]


def run() -> list[Row]:
    lines = {count: make_line(count) for count in (FEW, MANY)}

    def order(count: int) -> Callable[[], object]:
        pending, used = lines[count]
        return lambda: DominantShares(pending, used, CAPACITY).rest()

    pending, used = lines[MANY]
    keys = {session.access_key for session in pending}
    share = {key: max(float(used[key].amount(slot) / total) for slot, total in CAPACITY.items()) if key in used else 0.0 for key in keys}
    many, few, plain = measure(
        order(MANY), order(FEW), lambda: sorted(pending, key=lambda one: (share[one.access_key], one.created_at, one.session_id))
    )
    return [
        Row("drf", f"order of {MANY}", Figure(many), Figure(plain), "sorted() by share, age", "ms", "<= 5"),
        Row("drf", f"{FEW} to {MANY}", Figure(many), Figure(few), f"order of {FEW}", "ms", "<= 15"),
    ]
