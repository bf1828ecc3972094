"""The cluster of `bench launch-page`: a real controller with 1,000 nodes on paper and 10,000 jobs, and what one `sinfo` of it costs."""

from __future__ import annotations

import os
import resource
import subprocess

from bench_jobs import USERS
from small_slurm import NodeLine, SmallSlurm

NODES = int(os.environ.get("BENCH_NODES", "1000"))
JOBS = int(os.environ.get("BENCH_JOBS", "10000"))
ALLOCATED = JOBS // 10
PARTITIONS = ("jupyter", "v100", "a100", "bigmem")
# What jupyterhub-moss asks for each page: sums over the nodes, without the GPUs that are in use.
SINFO = ("/usr/bin/sinfo", "-a", "--noheader", "-o", "%R %F %c %C %G %m %l")
# What the table is made of: each node's state and the GPUs that are in use there.
SINFO_NODES = ("/usr/bin/sinfo", "-a", "-h", "-N", "-O", "NodeList,PartitionName,StateLong,CPUsState,Memory,Gres:64,GresUsed:64")
SUBMIT = """
n=0
while [ $n -lt "$1" ]; do
  n=$((n + 1))
  case $((n % 4)) in 0) p="jupyter --gres=gpu:1" ;; 1) p="v100 --gres=gpu:2" ;; 2) p="a100 --gres=gpu:4" ;; *) p=bigmem ;; esac
  /usr/bin/sbatch -Q --job-name=work --cpus-per-task=$((1 + n % 8)) --time=$((10 + n % 700)) --output=/dev/null --chdir=/ \\
    --partition=$p "$2" --wrap=sleep || exit 1
done
"""


def open_cluster() -> SmallSlurm:
    """The cluster with its jobs: a tenth of them has nodes, the others wait. Takes a minute."""
    quarter = NODES // 4
    lines = [
        NodeLine(_name(1, quarter), 64, 256_000, "v100,32g", "gpu:v100:4", runs=False),
        NodeLine(_name(quarter + 1, 2 * quarter), 64, 512_000, "a100,80g", "gpu:a100:8", runs=False),
        NodeLine(_name(2 * quarter + 1, 3 * quarter), 128, 1_024_000, "bigmem", runs=False),
        NodeLine(_name(3 * quarter + 1, NODES), 40, 384_000, "v100,16g", "gpu:v100:2,shard:v100:16", runs=False),
    ]
    cluster = SmallSlurm(
        "bench",
        lines,
        [
            "DEFAULT DefMemPerCPU=2000 DefaultTime=01:00:00 State=UP",
            f"jupyter Nodes={lines[3].name} Default=YES MaxTime=12:00:00",
            f"v100 Nodes={lines[0].name},{lines[3].name} MaxTime=2-00:00:00",
            f"a100 Nodes={lines[1].name} OverSubscribe=EXCLUSIVE MaxTime=2-00:00:00",
            f"bigmem Nodes={lines[2].name} MaxTime=7-00:00:00",
        ],
    )
    try:
        cluster.start()
        print(f"[bench] launch-page: submitting {JOBS} jobs to {NODES} nodes", flush=True)
        for index, user in enumerate(USERS):
            for total, hold in ((ALLOCATED, "--begin=now"), (JOBS - ALLOCATED, "--hold")):
                own = total // len(USERS) + (index < total % len(USERS))
                cluster.run("/bin/sh", "-c", SUBMIT, "submit", str(own), hold, user=user, limit_s=600)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _name(first: int, last: int) -> str:
    return f"n[{first:04}-{last:04}]"


def measure_sinfo(cluster: SmallSlurm, command: tuple[str, ...] = SINFO_NODES, runs: int = 20) -> tuple[float, ...]:
    """CPU seconds of one `sinfo` about the whole cluster, the floor under every page about it."""
    samples = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=cluster.environment, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        samples.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return tuple(samples)
