"""The three ways to submit, each set up for real: what a test needs of each, and nothing of how it works."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jupyterhub_backendai.backends.slurm_verbs import VerbWay
from jupyterhub_backendai.backends.slurm_ways import Way, make_way
from jupyterhub_backendai.backends.sudo import Sudo
from jupyterhub_backendai.config import BackendAI
from tests.helperd import WRAPPER, running_helper

PEOPLE = ("kim01", "kim02")
CALLER = "nobody"  # who stands for the account of the hub


@dataclass
class World:
    """One way: settings that choose it, and how to make it as the hub would have it."""

    name: str
    settings: BackendAI
    make: Callable[[BackendAI], Way] = make_way
    environment: dict[str, str] = field(default_factory=dict)


class AsCaller(Sudo):
    """sudo as an ordinary account has it: these tests are root, whom sudo would let do anything."""

    program = ("/usr/sbin/runuser", "-u", CALLER, "--", "sudo")


@contextlib.contextmanager
def helper_world(hub_id: str) -> Iterator[World]:
    with running_helper("--allow-extend", "--allow-drain") as helper:
        yield World("helper", BackendAI(helper_socket=str(helper.socket), hub_id=hub_id))


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


@contextlib.contextmanager
def sudo_world(hub_id: str) -> Iterator[World]:
    with scratch_of_people() as base:
        options = base / "submit.options"
        options.write_text(
            f"--user-root {base}/scratch/{{user}} # where people work\n--python /usr/bin/python3 --wrapper {base}/wrapper.py\n"
            "--allow-extend --allow-drain\n"
        )
        options.chmod(0o644)
        command = [sys.executable, "-I", "-m", "jupyterhub_backendai.helper.once", "--options", str(options)]
        rule = Path("/etc/sudoers.d", f"backendai-test-{secrets.token_hex(4)}")
        words = " ".join(command)
        rule.write_text(
            f"Defaults:{CALLER} !use_pty, !requiretty, !syslog\n"
            f"{CALLER} ALL = ({', '.join(PEOPLE)}) NOPASSWD: {words}\n{CALLER} ALL = (slurm) NOPASSWD: {words} --operate\n"
        )
        rule.chmod(0o440)
        try:
            subprocess.run(["visudo", "-c", "-q", "-f", str(rule)], check=True)
            settings = BackendAI(slurm_submit="sudo", slurm_sudo_command=command, slurm_sudo_operator="slurm", hub_id=hub_id)
            yield World(
                "sudo",
                settings,
                lambda chosen: VerbWay("sudo", AsCaller(chosen.slurm_sudo_command, chosen.slurm_sudo_user, chosen.slurm_sudo_operator)),
            )
        finally:
            rule.unlink()


WORLDS = {"helper": helper_world, "sudo": sudo_world}
