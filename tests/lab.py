"""The lab's addresses (``script/lab``), and whether each of its parts is there."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from pyrad.packet import AuthPacket, StatusServer

from jupyterhub_backendai.core import otp

BASE = Path(os.environ.get("BACKENDAI_LAB") or "/var/tmp/backendai-lab")

LDAP_URL, LDAPS_URL = "ldap://127.0.0.1:3890", "ldaps://127.0.0.1:3891"
BIG_LDAPS_URL = "ldaps://127.0.0.1:3893"
AD_LDAPS_URL, AD_ADMIN_PASSWORD = "ldaps://127.0.0.2:636", "Adm1n-Pass!x"
LDAP_CA = BASE / "ldap" / "tls" / "ca.pem"
LDAP_BIND_DN, LDAP_BIND_PASSWORD = "cn=hub,ou=services,dc=cm,dc=cluster", "hub-secret"
LDAP_USER_BASE, LDAP_GROUP_BASE = "ou=people,dc=cm,dc=cluster", "ou=project,dc=cm,dc=cluster"
RADIUS_SERVER, RADIUS_SECRET = "127.0.0.1:18120", "radius-secret"
PRIVACYIDEA_URL, PRIVACYIDEA_DATABASE = "https://127.0.0.1:5443", BASE / "privacyidea" / "privacyidea.sqlite"
PAM_KEYS = BASE / "pam" / "users"
POSTGRES_URL = "postgresql+psycopg://backendai:backendai@127.0.0.1:54329/backendai_test"
REGISTRY_URL = "http://127.0.0.1:5055"
REGISTRY_LOGIN = ("robot", "registry-secret")
REGISTRY_PROGRAM = BASE / "registry" / "package" / "usr" / "bin" / "docker-registry"
SLURMREST_PORT = 6820 + int(os.environ.get("BACKENDAI_LAB_SHIFT", "0"))
SLURMREST_URL, SLURM_JWT_KEY = f"http://127.0.0.1:{SLURMREST_PORT}", BASE / "slurm" / "jwt" / "jwt_hs256.key"
DOCKER_SOCKET, DOCKER_IMAGE = BASE / "docker" / "docker.sock", "backendai-lab:host"
CHROMIUM = "/usr/bin/chromium"
SCRATCH = f"{BASE}/scratch/{{user}}"
NODE_USERS = ("kim01", "kim02", "lee01", "lee02", "park04", "choi01", "jung01", "UPPER")


def password(uid: str) -> str:
    """The password of one of the lab's people."""
    return f"Pa55w0rd!{uid}"


def seed(uid: str) -> bytes:
    """The key of the one-time passwords of one of the lab's people."""
    return hashlib.sha1(f"seed-{uid}".encode()).hexdigest()[:20].encode()


def code(uid: str, step: int = 0) -> str:
    """A one-time password of somebody who has one (script/lib/lab: people.py, privacyidea.py), some steps from now."""
    return otp.code_at(seed(uid), otp.step_of(time.time()) + step)


def ldap_settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings for the lab's LDAP, with changes; the password goes into a file of the folder."""
    file = folder / "bind-password"
    file.write_text(LDAP_BIND_PASSWORD + "\n")
    file.chmod(0o600)
    return {
        "directory": "ldap",
        "ldap_servers": [LDAP_URL],
        "ldap_ca_file": str(LDAP_CA),
        "ldap_bind_dn": LDAP_BIND_DN,
        "ldap_bind_password_file": str(file),
        "ldap_user_base": LDAP_USER_BASE,
        "ldap_group_base": LDAP_GROUP_BASE,
        **changes,
    }


def pid_of(daemon: str) -> int:
    """The process of one of Slurm's daemons: slurmctld, slurmdbd, mariadb, slurmd.<node>, munged."""
    file = Path("/run/munge/munged.pid") if daemon == "munged" else BASE / "slurm" / "run" / f"{daemon}.pid"
    return int(file.read_text())


@functools.cache
def missing(part: str) -> str:
    """Why a part cannot be used here, "" when it can. Asked once per run: a test that stops a daemon brings it back."""
    return _PROBES[part]()


def _listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.settimeout(3)
        return probe.connect_ex((host, port)) == 0


def _slurm() -> str:
    if os.geteuid() != 0:
        return "jobs as other people need root"
    if not shutil.which("scontrol"):
        return "Slurm is not installed (script/lab up slurm)"
    answer = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False, timeout=30)
    return "" if "is UP" in answer.stdout else "Slurm is down (script/lab up slurm)"


def has_slurmrestd() -> bool:
    """Whether the lab's Slurm takes requests by HTTP too; one that was started before it could does not."""
    return SLURM_JWT_KEY.is_file() and _listens(SLURMREST_PORT)


def _ldap() -> str:
    return "" if LDAP_CA.is_file() and _listens(3891) else "LDAP is down (script/lab up ldap)"


def _radius() -> str:
    request = AuthPacket(code=StatusServer, secret=RADIUS_SECRET.encode())
    request.add_message_authenticator()
    host, port = RADIUS_SERVER.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(3)
        probe.connect((host, int(port)))
        try:
            probe.send(request.RequestPacket())
            return "" if probe.recv(4096) else "RADIUS answers nothing"
        except OSError:
            return "RADIUS is down (script/lab up radius)"


def _privacyidea() -> str:
    return "" if _listens(5443) else "privacyIDEA is down (script/lab up privacyidea)"


def _pam() -> str:
    return "" if Path("/etc/pam.d/backendai-lab-code").exists() and os.geteuid() == 0 else "no PAM services (script/lab up pam)"


def _bigldap() -> str:
    return "" if LDAP_CA.is_file() and _listens(3893) else "the large LDAP is down (script/lab up bigldap)"


def _ad() -> str:
    return "" if LDAP_CA.is_file() and _listens(636, "127.0.0.2") else "Active Directory is down (script/lab up ad)"


def _postgres() -> str:
    return "" if _listens(54329) else "PostgreSQL is down (script/lab up postgres)"


def _registry() -> str:
    return "" if REGISTRY_PROGRAM.is_file() and _listens(5055) else "the container registry is down (script/lab up registry)"


def _docker() -> str:
    if not DOCKER_SOCKET.is_socket():
        return "the Docker Engine is down (script/lab up docker)"
    with socket.socket(socket.AF_UNIX) as probe:
        return "the Docker Engine is down (script/lab up docker)" if probe.connect_ex(str(DOCKER_SOCKET)) else ""


def _browser() -> str:
    return "" if os.access(CHROMIUM, os.X_OK) else "no Chromium (script/lab up browser)"


def _filesystems() -> str:
    is_there = all(map(shutil.which, ("linux.uml", "mkfs.btrfs", "mkfs.xfs"))) and Path("/dev/loop-control").exists()
    return "" if is_there else "no file systems with quotas (script/lab up filesystems)"


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


_PROBES = {
    "slurm": _slurm,
    "ldap": _ldap,
    "bigldap": _bigldap,
    "ad": _ad,
    "radius": _radius,
    "pam": _pam,
    "privacyidea": _privacyidea,
    "postgres": _postgres,
    "registry": _registry,
    "docker": _docker,
    "browser": _browser,
    "filesystems": _filesystems,
    "root": _root,
}
PARTS = tuple(_PROBES)
