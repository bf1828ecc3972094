"""``python -m jupyterhub_backendai.helper``: start the helper."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import pwd
import sys
from pathlib import Path

from .server import CALL_LIMIT_S, Refused, Server, listen
from .verbs import Options

_PACKAGE = Path(__file__).resolve().parent.parent


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jupyterhub-backendai-helper", description="Submits and ends jobs as their users.")
    parser.add_argument("--socket", type=Path, default=Path("/run/jupyterhub-backendai/helper.sock"), help="where to listen")
    parser.add_argument("--allow-user", default="", help="the account of the hub and the service; the only one that is served")
    parser.add_argument("--user-root", default="/scratch/{user}", help="directory of a user's logs and work; {user} is the Unix name")
    parser.add_argument("--log-dir", default="log", help="beneath the user's directory: <log dir>/<job id>.log")
    parser.add_argument("--workspace-dir", default="workspace", help="beneath the user's directory: where sessions start")
    parser.add_argument("--slurm-bin", default="/usr/bin", help="directory of sbatch and scancel")
    parser.add_argument("--min-uid", type=int, default=1000, help="jobs are never run for accounts with a lower uid")
    parser.add_argument("--python", default=sys.executable, help="interpreter that starts sessions; job users must be able to run it")
    parser.add_argument("--wrapper", default=str(_PACKAGE / "spawner" / "singleuser.py"), help="program that starts a session's server")
    parser.add_argument("--call-limit", type=float, default=CALL_LIMIT_S, help="seconds after which a request and all it started end")
    parser.add_argument("--sbatch-option", action="append", default=[], help="one more option for every sbatch; may be repeated")
    parser.add_argument("--allow-drain", action="store_true", help="let administrators of the platform drain and resume Slurm's nodes")
    parser.add_argument("--allow-extend", action="store_true", help="let running sessions be given more time, as Slurm's operator")
    return parser


def read_options(arguments: argparse.Namespace) -> Options:
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
        slurm_conf=os.environ.get("SLURM_CONF", ""),
    )


def main() -> int:
    arguments = build_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s helper %(levelname)s] %(message)s")
    if not arguments.user_root.startswith("/") or "{user}" not in arguments.user_root:
        return _refuse("--user-root must be an absolute path with {user} in it")
    try:
        allowed = pwd.getpwnam(arguments.allow_user) if arguments.allow_user else pwd.getpwuid(os.geteuid())
    except KeyError:
        return _refuse(f"there is no account {arguments.allow_user or os.geteuid()}")
    options = read_options(arguments)
    os.environ.clear()
    os.chdir("/")
    os.umask(0o077)
    try:
        listener = listen(arguments.socket.absolute(), allowed.pw_uid, allowed.pw_gid)
    except Refused as exc:
        return _refuse(str(exc))
    logging.getLogger(__name__).info("serving %s at %s", allowed.pw_name, arguments.socket)
    gc.freeze()  # what is here stays: a fork then shares its memory instead of copying it when the collector looks
    try:
        Server(listener, allowed.pw_uid, options, call_limit_s=arguments.call_limit).serve()
    finally:
        with contextlib.suppress(OSError):
            arguments.socket.unlink()
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"helper: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
