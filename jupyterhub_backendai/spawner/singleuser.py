"""Runs a session's Jupyter server: ``<interpreter> singleuser.py --session <file>``.

The server's port cannot be stolen by a neighbour on the node: this program opens the *listening* socket, tells the hub its port, and
hands that very socket to the server inside the same process. Everything the server must know, its token among it, comes in a file
that only the user can read and that is gone once it is read; nothing of it is in the arguments or in the environment of the job.
(The server itself needs the token in ``os.environ``, so kernels and terminals that it starts inherit it, as with any JupyterHub.)

Runs in the session's own environment: Python 3.9 or later, standard library only until the server takes over.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit, urlunsplit

GIVE_UP_S = 30 * 60
FINAL = frozenset({400, 403, 404, 409})
ENTERED = "--entered"


def main(argv: list[str]) -> None:
    """Read the session, change into its interpreter if this is another, listen, report, serve."""
    if len(argv) < 2 or argv[0] != "--session":
        sys.exit("usage: singleuser.py --session FILE")
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]  # our modules must not shadow the session's
    path, entered = argv[1], ENTERED in argv[2:]
    session = read_session(path)
    command = list(session.get("command") or [])
    if command and not entered and command != [sys.executable]:
        enter(command, path)
    os.unlink(path)
    if session.get("lines"):
        run_lines(str(session["lines"]), session["environment"])
    server_socket = listen(session["environment"])
    apply_environment(session["environment"], server_socket)
    threading.Thread(target=report, args=(dict(os.environ), server_socket), name="report", daemon=True).start()
    serve(server_socket)


def read_session(path: str) -> dict[str, Any]:
    """The session file, a regular file of ours and not a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="utf-8") as source:
        session = json.load(source)
    if not isinstance(session, dict) or not isinstance(session.get("environment"), dict):
        sys.exit("singleuser.py: the session file has no environment")
    return session


def enter(command: list[str], path: str) -> None:
    """Go on in the interpreter that the session's environment names; it reads the file again, and it removes it."""
    try:
        os.execvp(command[0], [*command, os.path.abspath(__file__), "--session", path, ENTERED])
    except OSError as exc:
        sys.exit(f"singleuser.py: cannot run {command[0]}: {exc.strerror}")


def run_lines(text: str, environment: dict[str, str]) -> None:
    """A batch session: become a shell that runs its lines, so that the shell's end is the job's.

    The lines are handed over as an open file: arguments could be read by everybody on the node.
    """
    os.environ.update({str(name): str(value) for name, value in environment.items()})
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)
    lines = os.memfd_create("batch")
    with open(lines, "wb", closefd=False) as file:
        file.write(text.encode() + b"\n")
    os.set_inheritable(lines, True)
    shell = next((name for name in ("/bin/bash", "/usr/bin/bash") if os.access(name, os.X_OK)), "/bin/sh")
    os.execv(shell, [shell, f"/proc/self/fd/{lines}"])


def listen(environment: dict[str, str]) -> socket.socket:
    """A socket that already listens, at the address that the hub chose and a port that the kernel chooses."""
    url = urlsplit(environment["JUPYTERHUB_SERVICE_URL"])
    host = url.hostname or "0.0.0.0"
    server_socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    server_socket.bind((host, url.port or 0))
    server_socket.listen(128)
    server_socket.setblocking(False)
    return server_socket


def apply_environment(environment: dict[str, str], server_socket: socket.socket) -> None:
    """Set the server's variables in this process; programs it starts find this interpreter's directory first."""
    url = urlsplit(environment["JUPYTERHUB_SERVICE_URL"])
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else (url.hostname or "")
    os.environ.update({str(name): str(value) for name, value in environment.items()})
    os.environ["JUPYTERHUB_SERVICE_URL"] = urlunsplit(url._replace(netloc=f"{host}:{server_socket.getsockname()[1]}"))
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)


def report(environment: dict[str, str], server_socket: socket.socket) -> None:
    """Tell the hub the port until it has it: the hub may be restarting. When it refuses for good, this session is not wanted."""
    request = urllib.request.Request(
        environment["JUPYTERHUB_API_URL"].rstrip("/") + "/batchspawner",
        data=json.dumps({"port": server_socket.getsockname()[1]}).encode(),
        headers={"Authorization": "token " + environment["JUPYTERHUB_API_TOKEN"], "Content-Type": "application/json"},
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline, pause, problem = time.monotonic() + GIVE_UP_S, 0.2, ""
    while time.monotonic() < deadline:
        try:
            with opener.open(request, timeout=20):
                return
        except urllib.error.HTTPError as exc:
            problem = f"it answered {exc.code}"
            if exc.code in FINAL:
                break
        except OSError as exc:
            problem = str(exc)
        time.sleep(pause)
        pause = min(pause * 2, 15)
    print(f"singleuser.py: the hub did not take the port: {problem}", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def adopt_socket(server_socket: socket.socket) -> None:
    """Make Jupyter Server serve on our socket instead of opening one of its own."""
    from jupyter_server.serverapp import ServerApp

    if not all(hasattr(ServerApp, name) for name in ("_find_http_port", "_bind_http_server_tcp")):
        sys.exit("singleuser.py: this environment's jupyter_server cannot take over a socket; install jupyter_server 2")

    def find_port(app: ServerApp) -> None:
        app.port = server_socket.getsockname()[1]

    def bind(app: ServerApp) -> bool:
        app.http_server.add_sockets([server_socket])
        return True

    ServerApp._find_http_port = find_port
    ServerApp._bind_http_server_tcp = bind


def serve(server_socket: socket.socket) -> None:
    """Become ``jupyterhub-singleuser``."""
    os.environ.setdefault("JUPYTERHUB_SINGLEUSER_EXTENSION", "1")
    try:
        adopt_socket(server_socket)
        from jupyterhub.singleuser import main as singleuser
    except ImportError as exc:
        sys.exit(f"singleuser.py: this environment cannot run a notebook server: {exc}; install jupyterhub and jupyterlab in it")
    sys.argv = ["jupyterhub-singleuser"]
    singleuser()


if __name__ == "__main__":
    main(sys.argv[1:])
