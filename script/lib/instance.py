"""One running platform: proxy, hub with its service, and in the lab the helper. Started and ended by ``script/run``."""

import ctypes
import grp
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
APP = SCRIPTS.parents[1]
SYSTEM_DIR = Path("/var/lib/jupyterhub-backendai")
SOCKETS = Path("/run/jupyterhub-backendai")
ACCOUNT = "backendai"
DOCKER_GATEWAY = "172.30.250.1"  # script/lib/lab/docker.sh
PORTS = {"BACKENDAI_HUB_PORT": 8081, "BACKENDAI_PROXY_PORT": 8001, "BACKENDAI_SERVICE_PORT": 8091}
START_LIMIT_S, STOP_LIMIT_S = 90, 60
MAX_SOCKET_PATH = 100


class Failed(Exception):
    """The platform does not run; the message says why."""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: also when this script is killed


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_ports(wanted):
    """The wanted ports where they are free, others where not; 0 asks for any."""
    probes, chosen = [], {}
    for name, port in wanted.items():
        if port and is_free(port):
            chosen[name] = port
            continue
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        probes.append(probe)
        chosen[name] = probe.getsockname()[1]
    for probe in probes:
        probe.close()
    return chosen


def find_account():
    """The ordinary account that runs hub and service: `backendai` (made when missing) as root, else this one."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        pass
    SYSTEM_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    command = ["useradd", "--system", "--user-group", "--home-dir", str(SYSTEM_DIR / "home"), "--shell", "/bin/bash", ACCOUNT]
    subprocess.run(command, check=True)
    return pwd.getpwnam(ACCOUNT)


def make_directory(path, account):
    """A directory of the account's own, 0700."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    if os.geteuid() == 0:
        os.chown(path, account.pw_uid, account.pw_gid)


def docker_socket():
    """Where the lab's Docker Engine listens, if it is up."""
    return Path(os.environ.get("BACKENDAI_LAB") or "/var/tmp/backendai-lab", "docker", "docker.sock")


class Instance:
    """``state`` is the directory of database, sockets and secrets; ``name`` tells two on one machine (and cluster) apart.

    ``docker``: the lab's engine, too; the hub then listens where its containers reach it, on a bridge that only this machine has.
    """

    def __init__(self, state, name, ports, *, node, proxy, lab=False, docker=False):
        self.state, self.name, self.ports, self.lab, self.docker = state, name, ports, lab, docker
        self.hub_host = DOCKER_GATEWAY if docker else "127.0.0.1"
        self.node, self.proxy = node, proxy
        self.account = find_account()
        self.config = SCRIPTS / "lab_config.py" if lab else APP / "jupyterhub_config.py"
        self.helper_socket = SOCKETS / f"{name}.sock"
        self.submit, self.submit_options = os.environ.get("BACKENDAI_SUBMIT") or "helper", SOCKETS / f"{name}.options"
        self.url = f"http://127.0.0.1:{ports['BACKENDAI_PORT']}"
        self.people = {}
        self._processes = {}

    def prepare(self):
        """Directories, secrets, database, people."""
        if os.geteuid() == 0:
            make_directory(Path(self.account.pw_dir), self.account)
        make_directory(self.state, self.account)
        if self.docker:  # in the lab only: whoever may talk to an engine is its root
            os.chown(docker_socket(), -1, self.account.pw_gid)
        command = [sys.executable, str(SCRIPTS / "prepare.py"), str(self.config), *(["--lab"] if self.lab else [])]
        done = subprocess.run(command, env=self._environment(), cwd=self.state, stdout=subprocess.PIPE, check=False, **self._identity())
        if done.returncode:
            raise Failed("the state could not be prepared")
        self.people = json.loads(done.stdout)

    def start(self):
        """All processes, until the service answers through the proxy."""
        secrets = json.loads((self.state / "secrets.json").read_text())
        proxy_port = self.ports["BACKENDAI_PROXY_PORT"]
        command = [self.node, self.proxy, "--ip", "127.0.0.1", "--port", str(self.ports["BACKENDAI_PORT"])]
        command += ["--api-ip", "127.0.0.1", "--api-port", str(proxy_port)]
        command += ["--error-target", f"http://{self.hub_host}:{self.ports['BACKENDAI_HUB_PORT']}/hub/error"]
        self._launch("proxy", command, {"CONFIGPROXY_AUTH_TOKEN": secrets["proxy"]})
        if self.lab and self.submit == "helper":
            self._launch_helper()
        elif self.lab:
            from submit_ways import prepare

            prepare(self.submit, self)
        self._launch("hub", [sys.executable, "-m", "jupyterhub", "-f", str(self.config)])
        self._wait_until_ready()

    def stop(self):
        """Everything, in reverse; the hub ends its sessions first."""
        for name in reversed(list(self._processes)):
            process = self._processes[name]
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()
        if self.lab and self.submit != "helper":
            from submit_ways import undo

            undo(self)

    def find_ended(self):
        """The name of a process that ended by itself, "" while all live."""
        return next((name for name, process in self._processes.items() if process.poll() is not None), "")

    def read_log(self, name, lines=15):
        """The end of a process's log."""
        try:
            return "\n".join((self.state / "log" / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def _launch_helper(self):
        settings = self.read_settings()
        command = [sys.executable, "-I", "-m", "jupyterhub_backendai.helper", "--socket", str(self.helper_socket)]
        command += ["--allow-user", self.account.pw_name, "--user-root", settings.user_root]
        command += ["--log-dir", settings.log_dir, "--workspace-dir", settings.workspace_dir, "--slurm-bin", settings.slurm_bin]
        command.append("--allow-extend")
        for host in settings.list_storage_hosts().values():
            # root's, and everybody may pass: who reads what is the gates' matter
            Path(host.path).mkdir(mode=0o711, parents=True, exist_ok=True)
            Path(host.path).chmod(0o711)
            command += ["--storage", f"{host.name}={host.path}"]
        self._launch("helper", command, as_root=True)

    def read_settings(self):
        """The settings that this instance runs with."""
        from jupyterhub_backendai.config import load_settings

        os.environ.update({name: value for name, value in self._environment().items() if name.startswith("BACKENDAI_")})
        return load_settings(self.config)

    def _launch(self, name, command, more=None, *, as_root=False):
        log = os.open(self.state / "log" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        identity = {} if as_root else self._identity()
        try:
            self._processes[name] = subprocess.Popen(
                command,
                env={**self._environment(), **(more or {})},
                cwd="/" if as_root else self.state,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this program has one thread
                **identity,
            )
        finally:
            os.close(log)

    def _identity(self):
        if os.geteuid() != 0:
            return {"umask": 0o077}
        groups = [group.gr_gid for group in grp.getgrall() if self.account.pw_name in group.gr_mem]
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": groups, "umask": 0o077}

    def _environment(self):
        """What our processes start with: nothing of this shell's but the lab's place."""
        variables = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": self.account.pw_dir, "USER": self.account.pw_name, "LOGNAME": self.account.pw_name, "SHELL": "/bin/bash",
            "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "BACKENDAI_STATE": str(self.state), "BACKENDAI_HUB_ID": self.name,
            "BACKENDAI_CLEANUP_SERVERS": "1", "BACKENDAI_HELPER_SOCKET": str(self.helper_socket), "BACKENDAI_HUB_HOST": self.hub_host,
        }  # fmt: skip
        variables |= {name: str(port) for name, port in self.ports.items()}
        if len(str(self.state / "private.sock")) > MAX_SOCKET_PATH:
            variables["BACKENDAI_PRIVATE_URL"] = f"http://127.0.0.1:{self.ports['BACKENDAI_PRIVATE_PORT']}"
        variables |= {"BACKENDAI_SUBMIT": self.submit, "BACKENDAI_SUBMIT_OPTIONS": str(self.submit_options)}
        if self.docker:
            variables["BACKENDAI_DOCKER_URL"] = f"unix://{docker_socket()}"
        for kept in ("BACKENDAI_LAB", "BACKENDAI_LAB_SHIFT", "SLURM_CONF"):
            if kept in os.environ:
                variables[kept] = os.environ[kept]
        return variables

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            ended = self.find_ended()
            if ended:
                raise Failed(f"the {ended} ended while starting:\n{self.read_log(ended)}")
            reason = self._ask_health()
            if not reason:
                return
            if time.monotonic() > deadline:
                raise Failed(f"not ready after {START_LIMIT_S} s: {reason}\n{self.read_log('hub')}")
            time.sleep(0.2)

    def _ask_health(self):
        """Why the platform is not ready, "" when it is."""
        for path in ("/hub/health", "/services/backendai/health"):
            try:
                with urllib.request.urlopen(self.url + path, timeout=5):
                    pass
            except urllib.error.HTTPError as exc:
                return f"{path}: {exc.code} {exc.read(300).decode(errors='replace')}"
            except OSError as exc:
                return f"{path}: {exc}"
        return ""
