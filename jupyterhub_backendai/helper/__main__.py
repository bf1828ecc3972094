"""``python -m jupyterhub_backendai.helper``: start the helper."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import pwd
import sys
from dataclasses import replace
from pathlib import Path

from .options import add_options, read_options
from .server import CALL_LIMIT_S, Refused, Server, listen


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jupyterhub-backendai-helper", description="Submits and ends jobs as their users.")
    parser.add_argument("--socket", type=Path, default=Path("/run/jupyterhub-backendai/helper.sock"), help="where to listen")
    parser.add_argument("--allow-user", default="", help="the account of the hub and the service; the only one that is served")
    parser.add_argument("--call-limit", type=float, default=CALL_LIMIT_S, help="seconds after which a request and all it started end")
    add_options(parser)
    return parser


def main() -> int:
    arguments = build_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s helper %(levelname)s] %(message)s")
    try:
        allowed = pwd.getpwnam(arguments.allow_user) if arguments.allow_user else pwd.getpwuid(os.geteuid())
    except KeyError:
        return _refuse(f"there is no account {arguments.allow_user or os.geteuid()}")
    try:
        options = read_options(arguments)
    except ValueError as exc:
        return _refuse(str(exc))
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
        Server(listener, allowed.pw_uid, replace(options, platform_uid=allowed.pw_uid), call_limit_s=arguments.call_limit).serve()
    finally:
        with contextlib.suppress(OSError):
            arguments.socket.unlink()
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"helper: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
