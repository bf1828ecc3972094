"""A Slurm of one's own beside the lab's: other ports, another directory, its own configuration; munge is the machine's.

For the tests that need another configuration (without accounting, with PrivateData, a second cluster) and for benchmarks with more
nodes than a machine can run: nodes without a daemon are a cloud's that takes long to come. Commands reach it through ``SLURM_CONF``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 60
HOST = os.uname().nodename.partition(".")[0]


@dataclass(frozen=True, slots=True)
class NodeLine:
    """Nodes that are alike: ``name`` may be a list such as ``n[0001-0400]``. Those with ``runs`` have a daemon; they are one by one."""

    name: str
    cpus: int = 4
    mem_mb: int = 8000
    features: str = ""
    gres: str = ""
    runs: bool = True


class SmallSlurm:
    """One cluster; :meth:`start` returns when its daemons answer, :meth:`stop` ends them and removes everything."""

    def __init__(self, name: str, nodes: Sequence[NodeLine], partitions: Sequence[str], more: str = "") -> None:
        self.name, self.nodes, self.partitions, self.more = name, nodes, partitions, more
        self.directory = Path(tempfile.mkdtemp(prefix=f"slurm-{name}-", dir="/var/tmp"))
        self.conf = self.directory / "slurm.conf"
        self.port = _free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._controller: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        slurm = pwd.getpwnam("slurm")
        self.directory.chmod(0o755)
        for part in ("state", "spool", "log"):
            (self.directory / part).mkdir()
            os.chown(self.directory / part, slurm.pw_uid, slurm.pw_gid)
        self.conf.write_text(self._write_conf())
        (self.directory / "gres.conf").write_text(self._write_gres())
        (self.directory / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        self.start_controller()
        for node in self.nodes:
            if node.runs:
                self._launch(["/usr/sbin/slurmd", "-D", "-f", str(self.conf), "-N", node.name])
        self._wait_for_nodes()

    def start_controller(self) -> None:
        """Start the controller (again) and wait until it answers."""
        slurm = pwd.getpwnam("slurm")
        self._controller = self._launch(
            ["/usr/sbin/slurmctld", "-D", "-f", str(self.conf)], user=slurm.pw_uid, group=slurm.pw_gid, extra_groups=[]
        )
        self.until(self.is_up)

    def is_up(self) -> bool:
        """Whether the controller answers."""
        return "is UP" in self.run("scontrol", "ping", check=False)

    def stop_controller(self) -> None:
        """End the controller alone; it writes its jobs down first, as one that is killed does only every few seconds."""
        if self._controller:
            self._controller.terminate()
            self._controller.wait()

    def run(self, *arguments: str, user: str = "", check: bool = True, limit_s: float = 60) -> str:
        """A command's output; as another account when ``user`` is named."""
        identity = {}
        if user:
            account = pwd.getpwnam(user)
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        done = subprocess.run(
            arguments, env=self.environment, cwd="/", capture_output=True, text=True, check=False, timeout=limit_s, **identity
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(arguments)[:200]}: {done.stderr.strip()}")
        return done.stdout

    def stop(self) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _launch(self, command: list[str], **identity: object) -> subprocess.Popen[bytes]:
        with (self.directory / "log" / "output.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment, cwd="/", stdout=log, stderr=log, stdin=subprocess.DEVNULL, **identity)
        self._processes.append(process)
        return process

    def _wait_for_nodes(self) -> None:
        self.until(lambda: not any(word in self.run("sinfo", "-h", "-o", "%T") for word in ("unk", "down")))

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so, as long as the cluster may take to come up."""
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            if time.monotonic() > deadline or self._processes[-1].poll() is not None:
                log = (self.directory / "log" / "output.log").read_text(errors="replace")
                raise RuntimeError(f"the cluster {self.name} does not come up: {log[-500:]}")
            time.sleep(0.1)

    def _write_conf(self) -> str:
        base = self.directory
        gres = sorted({part.split(":")[0] for node in self.nodes for part in node.gres.split(",") if part})
        lines = [
            f"ClusterName={self.name}",
            f"SlurmctldHost={HOST}(127.0.0.1)",
            f"SlurmctldPort={self.port}",
            "SlurmUser=slurm",
            "SlurmdUser=root",
            "AuthType=auth/munge",
            "CredType=cred/munge",
            f"StateSaveLocation={base}/state",
            f"SlurmctldPidFile={base}/log/slurmctld.pid",
            f"SlurmctldLogFile={base}/log/slurmctld.log",
            f"SlurmdSpoolDir={base}/spool/%n",
            f"SlurmdPidFile={base}/log/slurmd.%n.pid",
            f"SlurmdLogFile={base}/log/slurmd.%n.log",
            "MpiDefault=none",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "JobAcctGatherType=jobacct_gather/none",
            "SlurmdParameters=config_overrides",
            "SuspendProgram=/bin/true",
            "ResumeProgram=/bin/true",
            "ResumeTimeout=65000",
            "SuspendTimeout=1",
            "ReturnToService=2",
            # what never answers is not given up
            "SlurmdTimeout=0",
            "TCPTimeout=2",
            "KillWait=5",
            "InactiveLimit=0",
            "MinJobAge=300",
            "MaxJobCount=20000",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=bf_interval=2,bf_continue,sched_interval=1,batch_sched_delay=0,sched_min_interval=0",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            *([f"GresTypes={','.join(gres)}"] if gres else []),
            # a cloud's nodes are shown before they have come
            *(["PrivateData=cloud"] if not all(node.runs for node in self.nodes) else []),
            *self.more.splitlines(),
        ]
        lines += [self._write_node(node) for node in self.nodes]
        lines += [f"PartitionName={partition}" for partition in self.partitions]
        return "\n".join(lines) + "\n"

    def _make_devices(self, count: int) -> str:
        """GPUs that are none: gres.conf wants files."""
        directory = self.directory / "dev"
        directory.mkdir(exist_ok=True)
        for index in range(count):
            (directory / f"gpu{index}").touch()
        return f"{directory}/gpu[0-{count - 1}]" if count > 1 else f"{directory}/gpu0"

    @staticmethod
    def _write_node(node: NodeLine) -> str:
        return (
            f"NodeName={node.name} NodeHostname={HOST if node.runs else node.name} NodeAddr=127.0.0.1 Port={_free_port()}"
            f" CPUs={node.cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={node.cpus} ThreadsPerCore=1 RealMemory={node.mem_mb}"
            + (f" Feature={node.features}" if node.features else "")
            + (f" Gres={node.gres}" if node.gres else "")
            + f" State={'UNKNOWN' if node.runs else 'CLOUD'}"
        )

    def _write_gres(self) -> str:
        lines = ["AutoDetect=off"]
        for node in self.nodes:
            for part in filter(None, node.gres.split(",")):
                name, *kind, count = part.split(":")
                of_type = f" Type={kind[0]}" if kind else ""
                amount = f"File={self._make_devices(int(count))}" if name == "gpu" else f"Count={count}"
                lines.append(f"NodeName={node.name} Name={name}{of_type} {amount}")
        return "\n".join(lines) + "\n"


def _free_port() -> int:
    """Below those that the system gives to whoever asks for any: nobody takes it before the daemon is up."""
    while True:
        port = 15000 + secrets.randbelow(15000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
