"""The administrator's options of everything here that acts for other people: the helper's arguments, or a file for sudo's."""

from __future__ import annotations

import argparse
import os
import shlex
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from .directories import is_trusted
from .verbs import Options

_PACKAGE = Path(__file__).resolve().parent.parent


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is true of every job."""
    parser.add_argument("--user-root", default="/scratch/{user}", help="directory of a user's logs and work; {user} is the Unix name")
    parser.add_argument("--log-dir", default="log", help="beneath the user's directory: <log dir>/<job id>.log")
    parser.add_argument("--workspace-dir", default="workspace", help="beneath the user's directory: where sessions start")
    parser.add_argument("--slurm-bin", default="/usr/bin", help="directory of sbatch and scancel")
    parser.add_argument(
        "--slurm-conf", default=os.environ.get("SLURM_CONF", ""), help="Slurm's configuration, where it is not in its usual place"
    )
    parser.add_argument("--min-uid", type=int, default=1000, help="jobs are never run for accounts with a lower uid")
    parser.add_argument("--python", default=sys.executable, help="interpreter that starts sessions; job users must be able to run it")
    parser.add_argument("--wrapper", default=str(_PACKAGE / "spawner" / "singleuser.py"), help="program that starts a session's server")
    parser.add_argument("--sbatch-option", action="append", default=[], help="one more option for every sbatch; may be repeated")
    parser.add_argument("--allow-drain", action="store_true", help="let administrators of the platform drain and resume Slurm's nodes")
    parser.add_argument("--allow-extend", action="store_true", help="let running sessions be given more time, as Slurm's operator")
    parser.add_argument(
        "--storage",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a storage host of virtual folders, and its directory; may be repeated",
    )


def read_options(arguments: argparse.Namespace) -> Options:
    """The options as given. Raises ValueError for what could not work."""
    if not arguments.user_root.startswith("/") or "{user}" not in arguments.user_root:
        raise ValueError("--user-root must be an absolute path with {user} in it")
    return Options(
        user_root=arguments.user_root,
        log_dir=arguments.log_dir,
        workspace_dir=arguments.workspace_dir,
        slurm_bin=arguments.slurm_bin,
        python=arguments.python,
        wrapper=arguments.wrapper,
        script=(_PACKAGE / "share" / "slurm" / "job.sh").read_bytes(),
        min_uid=arguments.min_uid,
        sbatch_options=tuple(arguments.sbatch_option),
        allow_drain=arguments.allow_drain,
        allow_extend=arguments.allow_extend,
        slurm_conf=arguments.slurm_conf,
        storage=read_storage(arguments.storage),
    )


def read_storage(entries: Sequence[str]) -> dict[str, str]:
    """Storage hosts by name. Raises ValueError for what could not work."""
    found: dict[str, str] = {}
    for entry in entries:
        name, _, path = entry.partition("=")
        if not name or not path.startswith("/") or name in found:
            raise ValueError(f"--storage {entry}: must be NAME=PATH, the path absolute and each name there once")
        found[name] = os.path.normpath(path)
    return found


def read_file(path: Path) -> list[str]:
    """The words of an options file, as on a command line; ``#`` begins a remark. Raises ValueError unless the file is root's alone."""
    check_trusted(path)
    return shlex.split(path.read_text(), comments=True)


def check_trusted(path: Path) -> None:
    """Raises ValueError unless only root can change a file, or put another in its place."""
    real = Path(os.path.realpath(path))
    for directory in real.parents:
        if not is_trusted(directory.lstat()):
            raise ValueError(f"{directory}, above {path}, must be a directory that only root can change")
    status = real.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(f"{path} must be a file that only root can change")
