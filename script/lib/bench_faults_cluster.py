"""A Slurm of the fault test's own: its daemons are children of this program and can be killed, stopped and started one by one.

It has its own munge, ports and directories; of the lab it borrows the people, and MariaDB for a database of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench_machine import free_port
from instance import die_with_parent

NODES = ("fn1", "fn2", "fn3")
CPUS = 16
LAB = Path(os.environ.get("BACKENDAI_LAB") or "/var/tmp/backendai-lab")
DATABASE = f"slurm_faults_{os.getpid()}"
USERS = "kim01,kim02,lee01"

SLURM_CONF = """
ClusterName=faults
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmctldParameters=node_reg_mem_percent=0
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge/socket
CredType=cred/munge
StateSaveLocation={base}/state
SlurmctldPidFile={base}/run/slurmctld.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdSpoolDir={base}/spool/%n
SlurmdPidFile={base}/run/slurmd.%n.pid
SlurmdLogFile={base}/log/slurmd.%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=30
MessageTimeout=5
TCPTimeout=2
KillWait=3
InactiveLimit=0
# the controller soon forgets what is over, so that accounting must be asked
MinJobAge=30
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_interval=5,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/basic
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting_port}
AccountingStoragePass={base}/munge/socket
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment
{nodes}
PartitionName=jupyter Nodes=fn[1-3] Default=YES DefMemPerCPU=1000 DefaultTime=02:00:00 MaxTime=12:00:00 State=UP
"""
SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={base}/munge/socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting_port}
SlurmUser=slurm
LogFile={base}/log/slurmdbd.log
PidFile={base}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=33306
StorageUser=slurm
StoragePass=slurm
StorageLoc={database}
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} Boards=1 SocketsPerBoard=1 "
    "CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=64000 State=UNKNOWN"
)


class Cluster:
    """``base`` is a directory that everybody may enter. Daemons are called munged, slurmdbd, slurmctld and by their node."""

    def __init__(self, base: Path) -> None:
        self.base, self.conf = base, base / "etc" / "slurm.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped: set[str] = set()

    def up(self) -> None:
        """Everything, until all nodes are idle."""
        self._write()
        self._sql(f"CREATE DATABASE IF NOT EXISTS {DATABASE}; GRANT ALL ON {DATABASE}.* TO 'slurm'@'127.0.0.1'")
        self.start("munged")
        self.wait_for((self.base / "munge" / "socket").exists, "munge")
        self.start("slurmdbd")
        self.wait_for(lambda: self.ask("sacctmgr", "-n", "-i", "show", "cluster", timeout_s=5).returncode == 0, "slurmdbd")
        for command in (
            ("add", "cluster", "faults"),
            ("add", "account", "free", "Description=faults", "Organization=faults"),
            ("add", "user", USERS, "account=free", "DefaultAccount=free"),
        ):
            self.ask("sacctmgr", "-i", "-Q", *command)
        self.start("slurmctld")
        self.wait_for(lambda: "is UP" in self.ask("scontrol", "ping").stdout, "slurmctld")
        for node in NODES:
            self.start(node)
        self.wait_for(self.has_idle_nodes, "nodes")

    def down(self) -> None:
        """End every job and every daemon, and forget everything."""
        for name in list(self._stopped):
            self.resume(name)
        if "slurmctld" in self._processes:
            self.ask("scancel", "--partition=jupyter")
            self.ask("scancel", "-f", "--state=RUNNING", "--partition=jupyter")
        for name in reversed(list(self._processes)):
            process = self._processes.pop(name)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._sql(f"DROP DATABASE IF EXISTS {DATABASE}")

    def start(self, name: str) -> None:
        """Start a daemon that does not run."""
        if name in self._processes:
            if self._processes[name].poll() is None:
                return
            self._processes.pop(name).wait()
        command = self._command(name)
        user = {"munged": "munge", "slurmdbd": "slurm", "slurmctld": "slurm"}.get(name, "root")
        account = pwd.getpwnam(user)
        with (self.base / "log" / f"{name}.out").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": str(self.conf), "LANG": "C.UTF-8"},
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this program has one thread where it starts daemons
            )

    def kill(self, name: str) -> None:
        """SIGKILL; jobs of a node go on without it."""
        self._stopped.discard(name)
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """SIGSTOP: it lives, and says nothing."""
        os.kill(self._processes[name].pid, signal.SIGSTOP)
        self._stopped.add(name)

    def resume(self, name: str) -> None:
        self._stopped.discard(name)
        os.kill(self._processes[name].pid, signal.SIGCONT)

    def is_well(self, name: str) -> bool:
        return name in self._processes and name not in self._stopped and self._processes[name].poll() is None

    def ask(self, program: str, *arguments: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """One of Slurm's commands as root, past every disturbance of the test's."""
        command = [shutil.which(program) or program, *arguments]
        environment = {"PATH": "/usr/bin:/bin", "SLURM_CONF": str(self.conf), "LANG": "C.UTF-8"}
        try:
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", "timed out")

    async def query(self, program: str, *arguments: str, timeout_s: float = 4) -> str | None:
        """As :meth:`ask`, without holding up the loop; None when it fails or takes too long."""
        return await query(self.conf, program, *arguments, timeout_s=timeout_s)

    async def resume_nodes(self) -> str | None:
        """What an administrator does with nodes that Slurm drained: after a controller was killed it may find jobs there that it forgot."""
        return await self.query("scontrol", "update", f"NodeName={','.join(NODES)}", "State=RESUME")

    def has_idle_nodes(self) -> bool:
        answer = self.ask("sinfo", "-h", "-N", "-o", "%T")
        states = answer.stdout.split()
        return answer.returncode == 0 and len(states) == len(NODES) and all(state in {"idle", "mixed", "allocated"} for state in states)

    @staticmethod
    def wait_for(is_done, what: str, limit_s: float = 60) -> None:
        deadline = time.monotonic() + limit_s
        while not is_done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"faults: no {what} after {limit_s:.0f} s")
            time.sleep(0.2)

    def _command(self, name: str) -> list[str]:
        if name == "munged":
            munge = self.base / "munge"
            (munge / "socket").unlink(missing_ok=True)
            return [
                "/usr/sbin/munged", "--foreground", "--force", f"--socket={munge}/socket", f"--key-file={munge}/key",
                f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
            ]  # fmt: skip
        if name in NODES:
            return ["/usr/sbin/slurmd", "-D", "-N", name]
        return [f"/usr/sbin/{name}", "-D"]

    def _write(self) -> None:
        slurm, munge = pwd.getpwnam("slurm"), pwd.getpwnam("munge")
        for name in ("etc", "log", "run", "state", "spool", "munge"):
            (self.base / name).mkdir()
            (self.base / name).chmod(0o755)
        for node in NODES:
            (self.base / "spool" / node).mkdir()
        values = {
            "base": self.base,
            "host": socket.gethostname().partition(".")[0],
            "controller_port": free_port(),
            "accounting_port": free_port(),
            "database": DATABASE,
        }
        nodes = "\n".join(NODE.format(name=name, host=values["host"], port=free_port(), cpus=CPUS) for name in NODES)
        self.conf.write_text(SLURM_CONF.format(nodes=nodes, **values))
        (self.base / "etc" / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        accounting = self.base / "etc" / "slurmdbd.conf"
        accounting.write_text(SLURMDBD_CONF.format(**values))
        accounting.chmod(0o600)
        _give(accounting, slurm)
        for name in ("log", "run", "state"):
            _give(self.base / name, slurm)
        key = self.base / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for path in (key, key.parent):
            _give(path, munge)

    def _sql(self, text: str) -> None:
        command: Sequence[str] = ("mariadb", f"--socket={LAB}/slurm/dbrun/mysqld.sock", "-uroot", "-e", text)
        subprocess.run(command, check=True, timeout=60)


async def query(conf: Path, program: str, *arguments: str, timeout_s: float) -> str | None:
    process = await asyncio.create_subprocess_exec(
        shutil.which(program) or program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "SLURM_CONF": str(conf), "LANG": "C.UTF-8"},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return None
    return output.decode(errors="replace") if process.returncode == 0 else None


def _give(path: Path, account: pwd.struct_passwd) -> None:
    os.chown(path, account.pw_uid, account.pw_gid)
