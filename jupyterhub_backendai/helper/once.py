"""The helper without a helper: one request from standard input, one answer to standard output, for a narrow rule of sudo.

    sudo -n -u <user> /opt/jupyterhub/bin/python -I -m jupyterhub_backendai.helper.once --options /etc/jupyterhub-backendai/submit.options

It reads and checks the same requests as the helper and does the same, as the user whom sudo made it (or, where the site's rule says
root, after becoming the user). With ``--operate`` it is Slurm's operator and does nothing but what needs one. The rule names this
command with exactly these arguments, and the file that it names is root's: who may call it can choose nothing else.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ..errors import N_, BackendAIError, Forbidden
from .options import add_options, check_trusted, read_file, read_options
from .requests import MAX_REQUEST_BYTES, Request, parse
from .verbs import OPERATIONS, Options, perform

LIMIT_S = 30
log = logging.getLogger(__name__)


def main() -> int:
    """Answer one request. Exit status 0 says that there is an answer, good or bad; else standard error says what is set up wrongly."""
    os.environ.clear()  # before anything reads it: what sudo let through is the caller's, and SLURM_CONF names plugins to load
    parser = argparse.ArgumentParser(prog="jupyterhub-backendai-once", description="Does one request as its user.")
    parser.add_argument("--options", type=Path, required=True, help="file with the options, which only root may change")
    parser.add_argument("--operate", action="store_true", help="do what needs Slurm's operator, and nothing else")
    arguments = parser.parse_args()
    more = argparse.ArgumentParser(prog=str(arguments.options))
    add_options(more)
    try:
        check_trusted(Path(__file__))  # or whoever can change this very program could be anybody
        options = read_options(more.parse_args(read_file(arguments.options)))
    except (OSError, ValueError) as exc:
        sys.stderr.write(f"jupyterhub-backendai-once: {exc}\n")
        return 1
    os.chdir("/")
    os.umask(0o077)
    signal.alarm(LIMIT_S)  # nobody else can end this process: its caller is another account
    answer = handle(sys.stdin.buffer.readline(MAX_REQUEST_BYTES + 1), options, is_operator=arguments.operate)
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def handle(line: bytes, options: Options, *, is_operator: bool) -> dict[str, Any]:
    """The answer to one request: what was asked for, or a problem."""
    try:
        if len(line) > MAX_REQUEST_BYTES:
            raise BackendAIError(N_("The helper cannot read the request."))
        request = parse(line)
        _check_kind(request, is_operator)
        return {"ok": True, **perform(request, options)}
    except BackendAIError as exc:
        return exc.to_problem()
    except Exception:
        log.exception("the request failed")
        return BackendAIError().to_problem()


def _check_kind(request: Request, is_operator: bool) -> None:
    if isinstance(request, OPERATIONS) is not is_operator:
        raise Forbidden


if __name__ == "__main__":
    sys.exit(main())
