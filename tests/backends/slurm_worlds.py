"""The three ways to submit, each set up for real: what a test needs of each, and nothing of how it works."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jupyterhub_backendai import errors
from jupyterhub_backendai.backends.slurm_rest import find_tickets
from jupyterhub_backendai.backends.slurm_verbs import VerbWay
from jupyterhub_backendai.backends.slurm_ways import Way, make_way
from jupyterhub_backendai.backends.sudo import Sudo
from jupyterhub_backendai.backends.tickets import Tickets
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.spawner import remote
from tests import lab
from tests.helperd import WRAPPER, running_helper, wait_until
from tests.small_slurm import NodeLine, SmallSlurm, running

PEOPLE = ("kim01", "kim02")
CALLER = "nobody"  # who stands for the account of the hub


@dataclass
class World:
    """One way: settings that choose it, and how to make it as the hub would have it.

    ``away`` gives the settings of the same way with another slurm.conf, which leads to no controller.
    """

    name: str
    settings: BackendAI
    make: Callable[[BackendAI], Way] = make_way
    has_accounting: bool = True
    away: Callable[[Path], contextlib.AbstractContextManager[dict[str, object]]] | None = None

    def change(self, **changes: object) -> BackendAI:
        """The settings with changes."""
        values = {name: getattr(self.settings, name) for name in self.settings.trait_names(config=True)}
        return BackendAI(**{**values, **changes})


class AsCaller(Sudo):
    """sudo as an ordinary account has it: these tests are root, whom sudo would let do anything."""

    program = ("/usr/sbin/runuser", "-u", CALLER, "--", "sudo")


@contextlib.contextmanager
def helper_world(hub_id: str) -> Iterator[World]:
    with running_helper("--allow-extend", "--allow-drain") as helper:
        yield World("helper", BackendAI(helper_socket=str(helper.socket), hub_id=hub_id), away=helper_away)


@contextlib.contextmanager
def helper_away(conf: Path) -> Iterator[dict[str, object]]:
    with running_helper("--slurm-conf", str(conf)) as helper:
        yield {"helper_socket": str(helper.socket)}


@contextlib.contextmanager
def scratch_of_people() -> Iterator[Path]:
    """A directory with the test's wrapper, and beneath ``scratch`` one of each person's own."""
    base = Path(tempfile.mkdtemp(prefix="backendai-ways-", dir="/run"))
    try:
        base.chmod(0o755)
        (base / "scratch").mkdir(mode=0o755)
        for name in PEOPLE:
            (base / "scratch" / name).mkdir(mode=0o700)
            os.chown(base / "scratch" / name, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
        (base / "wrapper.py").write_text(WRAPPER)
        (base / "wrapper.py").chmod(0o644)
        yield base
    finally:
        shutil.rmtree(base)


def install_once(base: Path) -> list[str]:
    """The command that sudo runs, installed where only root can change it; a checkout may stand anywhere."""
    shutil.copytree(Path(errors.__file__).parent, base / "lib" / "jupyterhub_backendai", ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(base / "venv", symlinks=True)
    packages = next((base / "venv").glob("lib/python*/site-packages"))
    (packages / "backendai.pth").write_text(f"{base}/lib\n")
    subprocess.run(["/bin/chmod", "-R", "u=rwX,go=rX", str(base / "lib"), str(base / "venv")], check=True)
    return [str(base / "venv/bin/python"), "-I", "-m", "jupyterhub_backendai.helper.once"]


@contextlib.contextmanager
def sudo_world(hub_id: str) -> Iterator[World]:
    with scratch_of_people() as base:
        options, away = base / "submit.options", base / "away.options"
        words = f"--user-root {base}/scratch/{{user}} # where people work\n--python /usr/bin/python3 --wrapper {base}/wrapper.py\n"
        conf = os.environ.get("SLURM_CONF")
        options.write_text(words + "--allow-extend --allow-drain\n" + (f"--slurm-conf {conf}\n" if conf else ""))
        away.write_text(words + f"--slurm-conf {base}/away/slurm.conf\n")
        for path in (options, away):
            path.chmod(0o644)
        command = [*install_once(base), "--options", str(options)]
        rule = Path("/etc/sudoers.d", f"backendai-test-{secrets.token_hex(4)}")
        words = " ".join(command)
        rule.write_text(
            f"Defaults:{CALLER} !use_pty, !requiretty, !syslog\n"
            f"{CALLER} ALL = ({', '.join(PEOPLE)}) NOPASSWD: {words}, {words.replace(str(options), str(away))}\n{CALLER} ALL = (slurm) NOPASSWD: {words} --operate\n"
        )
        rule.chmod(0o440)
        try:
            subprocess.run(["visudo", "-c", "-q", "-f", str(rule)], check=True)
            settings = BackendAI(slurm_submit="sudo", slurm_sudo_command=command, slurm_sudo_operator="slurm", hub_id=hub_id)
            world = World("sudo", settings, make_as_caller)
            world.away = functools.partial(sudo_away, base, [*command[:-1], str(away)])
            yield world
        finally:
            rule.unlink()


def make_as_caller(settings: BackendAI) -> Way:
    return VerbWay("sudo", AsCaller(settings.slurm_sudo_command, settings.slurm_sudo_user, settings.slurm_sudo_operator))


@contextlib.contextmanager
def sudo_away(base: Path, command: list[str], conf: Path) -> Iterator[dict[str, object]]:
    shutil.copytree(conf.parent, base / "away")
    yield {"slurm_sudo_command": command}


class HubForTickets(ThreadingHTTPServer):
    """What the hub's API is for a job that slurmrestd submitted: the handlers themselves are tests/spawner's."""

    daemon_threads = True

    def __init__(self, tickets: Tickets, port: int = 0) -> None:
        self.tickets = tickets
        super().__init__(("127.0.0.1", port), AnswerTickets)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hub/api"


class AnswerTickets(BaseHTTPRequestHandler):
    server: HubForTickets

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        *_, session_id, what = self.path.split("/")
        try:
            if what == "ticket":
                answer = self.server.tickets.redeem(session_id, body["ticket"], body["asker"])
            else:
                answer = self.server.tickets.keep_log(session_id, body["key"], body["log"])
            status = 200
        except BackendAIError as exc:
            status, answer = exc.status, str(exc)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def rest_world(hub_id: str) -> Iterator[World]:
    with scratch_of_people() as base, rest_cluster() as (url, key), tempfile.TemporaryDirectory() as state:
        programs = base / "programs"
        programs.mkdir(mode=0o755)
        shutil.copy(Path(remote.__file__), programs / "remote.py")
        shutil.copy(base / "wrapper.py", programs / "singleuser.py")
        settings = BackendAI(
            slurm_submit="rest",
            slurm_rest_url=url,
            slurm_rest_key_file=str(key),
            slurm_rest_operator="slurm",
            slurm_rest_python="/usr/bin/python3",
            slurm_rest_programs=str(programs),
            state_dir=state,
            hub_id=hub_id,
            user_root=f"{base}/scratch/{{user}}",
        )
        hub = HubForTickets(find_tickets(settings))
        settings.hub_address = hub.url
        try:
            yield World("rest", settings, has_accounting=lab.has_slurmrestd(), away=rest_away)
        finally:
            hub.shutdown()
            hub.server_close()


@contextlib.contextmanager
def rest_away(conf: Path) -> Iterator[dict[str, object]]:
    with slurmrestd(conf) as url:
        yield {"slurm_rest_url": url}


@contextlib.contextmanager
def rest_cluster() -> Iterator[tuple[str, Path]]:
    """Where slurmrestd is, and Slurm's key: the lab's, else those of a small cluster of one's own."""
    if lab.has_slurmrestd():
        yield lab.SLURMREST_URL, lab.SLURM_JWT_KEY
        return
    cluster = SmallSlurm("ways", [NodeLine("jnode91")], ["jupyter Nodes=jnode91 Default=YES MaxTime=12:00:00 State=UP"])
    key = cluster.directory / "jwt.key"
    key.write_bytes(secrets.token_bytes(32))
    key.chmod(0o600)
    os.chown(key, pwd.getpwnam("slurm").pw_uid, -1)
    cluster.more = f"EnforcePartLimits=ALL\nAuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}"
    with running(cluster), slurmrestd(cluster.conf) as url:
        yield url, key


@contextlib.contextmanager
def slurmrestd(conf: Path, *, at_socket: bool = False) -> Iterator[str]:
    """A slurmrestd of one's own, as an account that is nobody to Slurm; where it listens."""
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="slurmrestd-") as directory, socket.socket() as probe:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        path = Path(directory, "rest.sock")
        versions = ",".join(f"openapi/v0.0.{number}" for number in (36, 37, 38))
        process = subprocess.Popen(
            [
                *("/usr/sbin/slurmrestd", "-f", str(conf), "-a", "rest_auth/jwt", "-s", versions),
                f"unix:{path}" if at_socket else f"127.0.0.1:{port}",
            ],
            env={"PATH": "/usr/bin:/bin", "SLURM_CONF": str(conf), "SLURM_JWT": "daemon"},
            cwd="/",
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(path.is_socket if at_socket else lambda: is_open(port), 10)
            yield f"unix://{path}" if at_socket else f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


WORLDS = {"helper": helper_world, "sudo": sudo_world, "rest": rest_world}
