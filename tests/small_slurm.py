"""Slurm clusters of a test's own (``script/lib/small_slurm.py``), beside the lab's."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "script" / "lib"))

from small_slurm import NodeLine, SmallSlurm

__all__ = ["NodeLine", "SmallSlurm", "pair_of_clusters", "running"]

ACCOUNTING = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=6819
AccountingStoreFlags=job_comment
SlurmctldDebug=debug2"""


@contextlib.contextmanager
def running(cluster: SmallSlurm) -> Iterator[SmallSlurm]:
    """The cluster while it is up, and the one that this process's own commands ask."""
    before = os.environ.get("SLURM_CONF")
    try:
        cluster.start()
        os.environ["SLURM_CONF"] = str(cluster.conf)
        yield cluster
    finally:
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before
        cluster.stop()


@contextlib.contextmanager
def pair_of_clusters() -> Iterator[tuple[SmallSlurm, SmallSlurm]]:
    """Two clusters that share the lab's slurmdbd; the first is the one that this process's own commands ask."""
    mark = secrets.token_hex(3)
    east = SmallSlurm(f"east{mark}", [NodeLine("n01")], ["gpu Nodes=n01 Default=YES MaxTime=60", "east Nodes=n01"], ACCOUNTING)
    west = SmallSlurm(f"west{mark}", [NodeLine("n01", cpus=8)], ["gpu Nodes=n01 Default=YES MaxTime=120"], ACCOUNTING)
    try:
        with running(west), running(east):
            yield east, west
            for cluster in (east, west):
                if not cluster.is_up():
                    cluster.start_controller()
                cluster.run("scancel", "--full", f"--clusters={cluster.name}", "--user=kim01", check=False)
                cluster.until(lambda cluster=cluster: not cluster.run("squeue", "-h", "--local", "-o", "%i"))
    finally:
        # a cluster that goes before its jobs have ended leaves them in the accounting for ever
        subprocess.run(["sacctmgr", "-i", "-Q", "delete", "cluster", f"{east.name},{west.name}"], check=False)
