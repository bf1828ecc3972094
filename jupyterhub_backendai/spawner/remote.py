"""Starts a session on a node where nobody but its job can write for the user: ``<interpreter> remote.py``, nothing in its arguments.

The job has a ticket in its environment. For it this program makes the user's directories, gets from the hub what the session must
know, writes that into the session file which :mod:`.singleuser` reads and removes, and stays beside the session to hand the end of
its log to the hub: now and then, and when the session is over.

Runs in whatever Python the nodes have: 3.9 or later, standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

GIVE_UP_S = 30 * 60
FINAL = frozenset({400, 403, 404, 409, 413})
LOG_BYTES = 64 * 1024
FIRST_LOG_S, LOG_S = 1.0, 10.0
NAMES = ("TICKET", "SESSION", "ROOT", "LOG_DIR", "WORKSPACE_DIR", "PYTHON", "PROGRAMS")


def main() -> int:
    """Prepare, run the session, and end as it ends."""
    if os.environ.get("SLURM_RESTART_COUNT"):
        return 75  # its ticket is used, its server's address is old: a second life would be none
    given = {name: os.environ.pop("BACKENDAI_" + name) for name in NAMES}
    os.umask(0o077)
    log = prepare(given)
    try:
        session = fetch(given["SESSION"], given["TICKET"])
    except OSError as exc:
        print(f"remote.py: the hub did not hand out this session: {exc}", flush=True)
        send_log(given, log)
        return 1
    path = write_session(given["ROOT"], session)
    wrapper = os.path.join(given["PROGRAMS"], "singleuser.py")
    child = subprocess.Popen([given["PYTHON"], wrapper, "--session", path])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _frame: child.send_signal(number))
    over = threading.Event()
    sender = threading.Thread(target=send_logs, args=(given, log, over), name="log", daemon=True)
    sender.start()
    status = child.wait()
    over.set()
    sender.join(20)
    return status if status >= 0 else 128 - status


def prepare(given: dict[str, str]) -> str:
    """Make the user's directories, go to the working one, write to the log from here on; its path."""
    log_dir, workspace = (os.path.join(given["ROOT"], given[name]) for name in ("LOG_DIR", "WORKSPACE_DIR"))
    for path in (log_dir, workspace, os.path.join(given["ROOT"], ".backendai")):
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
        except OSError as exc:
            refuse(given, f"remote.py: the directory {path} cannot be made: {exc.strerror}")
    log = os.path.join(log_dir, os.environ["SLURM_JOB_ID"] + ".log")
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.chdir(workspace)
    except OSError as exc:
        refuse(given, f"remote.py: {exc.filename}: {exc.strerror}")
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    return log


def refuse(given: dict[str, str], words: str) -> None:
    """End before there is a log; the hub is told why all the same."""
    post(given["SESSION"] + "/log", given["TICKET"], words)
    sys.exit(73)


def fetch(url: str, ticket: str) -> dict[str, Any]:
    """What the session must know. Tries until the hub answers, which may be restarting; OSError when it says no."""
    asker = secrets.token_hex(16)
    deadline, pause = time.monotonic() + GIVE_UP_S, 0.2
    while True:
        try:
            session = json.loads(ask(url + "/ticket", {"ticket": ticket, "asker": asker}))
            if not isinstance(session, dict):
                raise ValueError("no object")  # noqa: TRY004 - told like text that is no JSON at all
            return session
        except urllib.error.HTTPError as exc:
            if exc.code in FINAL or time.monotonic() > deadline:
                raise
        except (OSError, ValueError):
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 15)


def write_session(root: str, session: dict[str, Any]) -> str:
    """The session file, for the wrapper to read and remove."""
    path = os.path.join(root, ".backendai", str(session["session_id"]) + ".json")
    if session.get("links"):
        session["links"]["records"] = os.path.join(root, ".backendai", "links")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as file:
        json.dump(session, file)
    return path


def send_logs(given: dict[str, str], log: str, over: threading.Event) -> None:
    """Hand the end of the log to the hub whenever it has changed, and once more when the session is over."""
    sent, pause = -1, FIRST_LOG_S
    while True:
        is_over = over.wait(pause)
        try:
            size = os.stat(log).st_size
        except OSError:
            size = sent
        if size != sent and send_log(given, log):
            sent = size
        if is_over:
            return
        pause = min(pause * 2, LOG_S)


def send_log(given: dict[str, str], log: str) -> bool:
    """The end of the log, once; whether the hub took it."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    return post(given["SESSION"] + "/log", given["TICKET"], text)


def post(url: str, ticket: str, text: str) -> bool:
    try:
        ask(url, {"key": hashlib.sha256(b"log:" + ticket.encode()).hexdigest(), "log": text})
    except (OSError, ValueError):
        return False
    return True


def ask(url: str, body: dict[str, str]) -> bytes:
    """One request to the hub, past any proxy of the site's."""
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=15) as response:
        answer: bytes = response.read()
    return answer


if __name__ == "__main__":
    sys.exit(main())
