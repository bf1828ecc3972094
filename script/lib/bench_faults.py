"""`bench faults`: sessions live while Slurm's daemons, its commands and the platform itself are killed, stopped, slowed and garbled.

``BENCH_STEPS`` random steps (1,000) from ``BENCH_SEED``, on a cluster and a platform of its own. Every ``BENCH_CHECK`` steps and at the
end everything is mended, and what must not have happened is counted (bench_faults_judge). A fault is any figure but 0.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

from bench_faults_cluster import Cluster
from bench_faults_judge import Judge
from bench_faults_platform import PEOPLE, PLACES, Platform
from bench_faults_steps import Steps
from bench_rows import Figure, Row

STEPS = int(os.environ.get("BENCH_STEPS", "1000"))
CHECK = int(os.environ.get("BENCH_CHECK", "200"))
STEP_S = float(os.environ.get("BENCH_STEP_S", "0.8"))
# grace, confirmation and two rounds of the reconciler (core/reconcile.py, services/reconcile.py), and some more
RECONCILED_S = 420  # a job that only accounting knows is given up after 300 s of denial, and the hub looks every 10


def run() -> list[Row]:
    seed = int(os.environ.get("BENCH_SEED") or random.SystemRandom().randrange(10**6))
    print(f"[bench] faults: {STEPS} steps, BENCH_SEED={seed}", flush=True)
    base = Path(tempfile.mkdtemp(prefix="bf-", dir="/var/tmp"))
    base.chmod(0o755)
    cluster = Cluster(base / "slurm")
    cluster.base.mkdir()
    cluster.base.chmod(0o755)
    is_well = False
    try:
        cluster.up()
        rows = asyncio.run(_run(cluster, base, seed))
        is_well = not any(row.ours.value for row in rows)
        return rows
    finally:
        cluster.down()
        if is_well and not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(base, ignore_errors=True)
        else:
            print(f"[bench] faults: the logs are in {base}", flush=True)


async def _run(cluster: Cluster, base: Path, seed: int) -> list[Row]:
    platform = Platform(base, cluster.conf)
    platform.start()
    try:
        for user in PEOPLE:
            await platform.log_in(user)
        judge = Judge(cluster, platform)
        steps = Steps(cluster, platform, judge, random.Random(seed))
        await _begin(platform, judge)
        await _go(steps, judge)
        await _settle(steps, judge)
        return await _conclude(steps, judge)
    finally:
        await platform.close()
        platform.stop()


async def _begin(platform: Platform, judge: Judge) -> None:
    """A session at every place, all of them ready, before anything goes wrong."""
    deadline = time.monotonic() + 60
    while not (len(judge.servers) == len(PLACES) and all(seen.is_ready for seen in judge.servers.values())):
        if time.monotonic() > deadline:
            raise RuntimeError("faults: not every session started")
        for place in PLACES:
            if place not in judge.servers:
                print(f"[bench] faults: start {'/'.join(place)}: {await platform.order('POST', place)}", flush=True)
        await asyncio.sleep(2)
        await judge.look()


async def _go(steps: Steps, judge: Judge) -> None:
    began = time.monotonic()
    while steps.number < STEPS:
        until = time.monotonic() + STEP_S
        said = await steps.step()
        if said:
            print(f"[{steps.number} {time.strftime('%H:%M:%S')}] {said}", flush=True)
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        await judge.look()
        if steps.number % CHECK == 0 and steps.number < STEPS:
            await _settle(steps, judge)
            took_s, found = time.monotonic() - began, [*judge.lost[-3:], *sorted(judge.doubled)[:3]]
            print(f"[bench] faults: {steps.number} steps, {took_s:.0f} s: {len(judge.servers)} servers; {found or 'well'}", flush=True)


async def _settle(steps: Steps, judge: Judge) -> None:
    """Mend everything, wait until platform and nodes are well, and judge."""
    steps.mend_all()
    await steps.until_answered()
    deadline = time.monotonic() + 90
    while not await asyncio.to_thread(steps.cluster.has_idle_nodes):
        if time.monotonic() > deadline:
            raise RuntimeError("faults: the cluster did not recover")
        steps.mend_all()
        await steps.cluster.resume_nodes()
        await asyncio.sleep(1)
    await steps.platform.until_well()
    await asyncio.sleep(5)  # a reading or two
    await judge.look()
    await judge.check()


async def _conclude(steps: Steps, judge: Judge) -> list[Row]:
    deadline = time.monotonic() + RECONCILED_S
    while True:
        await judge.look()
        orphaned, hanging = await judge.find_orphans(), await judge.find_hanging()
        if not (orphaned or hanging) or time.monotonic() > deadline:
            break
        await asyncio.sleep(3)
    await judge.check()
    judge.orphaned = orphaned
    for word, found in (("lost", judge.lost), ("orphaned", orphaned), ("doubled", sorted(judge.doubled)), ("hanging", hanging)):
        for line in found:
            print(f"[bench] faults: {word}: {line}", flush=True)
    done = ", ".join(f"{name} {count}" for name, count in sorted(steps.done.items()))
    ready = sum(session.was_ready for session in judge.sessions.values())
    print(f"[bench] faults: {done}; {len(judge.sessions)} sessions, {ready} of them were ready", flush=True)
    print(
        f"[bench] faults: {len(judge.lost)} lost, {len(orphaned)} orphaned, {len(judge.doubled)} doubled; {len(hanging)} hanging",
        flush=True,
    )
    figures = {"lost": judge.lost, "orphaned": orphaned, "doubled": judge.doubled, "hanging without a job": hanging}
    return [
        Row(
            "faults",
            f"sessions {word}, {STEPS} steps",
            Figure((float(len(found)),)),
            Figure((float(max(ready, 1)),)),
            "sessions",
            "count",
            "<= 0",
        )
        for word, found in figures.items()
    ]
