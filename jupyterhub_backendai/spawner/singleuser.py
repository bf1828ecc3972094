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
import re
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
REACH_S = 10.0
# What a link to a virtual folder leads to: <host>/<quota scope>/<folder>/data
FOLDER = re.compile(r"/(?:user|project)-[0-9a-f]{32}/[0-9a-f]{32}/data(?:/|$)")


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
    arrange_folders(session.get("links") or {}, session["environment"])
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


def arrange_folders(given: dict[str, Any], environment: dict[str, str]) -> None:
    """Show the session's folders: links in its directory, hidden ones in the home directory. Nothing real is ever replaced or removed.

    All sessions of a person share these places, so each writes down its links, and removes those of sessions that are over. Whatever
    goes wrong is said in the log; the session starts.
    """
    if not given.get("session_id"):
        return
    wanted = {find_place(item["target"]): item for item in check_folders(given["items"])}
    try:
        kept = remove_old_links(given, {path: item["source"] for path, item in wanted.items()})
    except (OSError, ValueError) as exc:
        print(f"singleuser.py: links to folders of earlier sessions stay: {exc}", flush=True)
        kept = {}
    made: dict[str, str] = {}
    for path, item in wanted.items():
        if found := place_folder(path, item, kept, environment):
            made[found] = item["source"]
    keep_links(given, made)


def find_place(target: str) -> str:
    """Where a folder is shown: hidden ones are settings and programs, which are looked for in the home directory."""
    return os.path.join(os.path.expanduser("~") if target.startswith(".") else os.getcwd(), target)


def remove_old_links(given: dict[str, Any], wanted: dict[str, str]) -> dict[str, str]:
    """Remove the links of sessions that are over; the links (path to folder) of those that live, or were admitted after this one."""
    if not os.path.isdir(given["records"]):
        return {}
    kept: dict[str, str] = {}
    old: dict[str, dict[str, str]] = {}
    for name in os.listdir(given["records"]):
        session_id, record = name[: -len(".json")], os.path.join(given["records"], name)
        with open(record, encoding="utf-8") as source:
            content = json.load(source)
        if session_id == given["session_id"]:
            continue
        if session_id in given["live"] or content["admitted_at"] >= given["admitted_at"]:
            kept.update(content["links"])
        else:
            old[record] = content["links"]
    for record, links in old.items():
        for path, folder in links.items():
            if folder not in (kept.get(path), wanted.get(path)) and read_link(path) == folder:
                os.unlink(path)
        os.unlink(record)
    return kept


def place_folder(path: str, item: dict[str, Any], kept: dict[str, str], environment: dict[str, str]) -> str:
    """Make the link to one folder, and say where it is when its own place is taken; the link's path, "" without one."""
    target, folder = item["target"], item["source"]
    try:
        if make_link(path, folder, kept):
            return path
        if target == ".local":
            environment["PYTHONUSERBASE"] = folder
            print(f"{path} is your own already: pip install --user puts packages into the folder .local at {folder}", flush=True)
        elif target.startswith("."):
            print(f"{path} is your own already: the folder {target} is at {folder}", flush=True)
        elif make_link(path + "-folder", folder, kept):
            print(f"{path} is your own already: the folder is at {path}-folder", flush=True)
            return path + "-folder"
        else:
            print(f"{path} and {path}-folder are your own already: the folder is at {folder}", flush=True)
    except OSError as exc:
        print(f"The folder {folder} is not at {path}: {exc.strerror}", flush=True)
    return ""


def make_link(path: str, folder: str, kept: dict[str, str]) -> bool:
    """Whether a link to the folder is there now. What is no link to a folder stays, and so does one that another session needs."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.symlink(folder, path)
    except FileExistsError:
        there = read_link(path)
        if there == folder:
            return True
        if not FOLDER.search(there) or kept.get(path, folder) != folder:
            return False
        new = f"{path}.{os.getpid()}"
        os.symlink(folder, new)
        os.replace(new, path)  # at once: nobody meets a moment without
    return True


def read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def keep_links(given: dict[str, Any], made: dict[str, str]) -> None:
    """Write down this session's links, for a later one to remove."""
    if not made:
        return
    try:
        os.makedirs(given["records"], mode=0o700, exist_ok=True)
        with open(os.path.join(given["records"], given["session_id"] + ".json"), "w", encoding="utf-8") as record:
            json.dump({"admitted_at": given["admitted_at"], "links": made}, record)
    except OSError as exc:
        print(f"singleuser.py: the links to this session's folders stay when it is over: {exc}", flush=True)


def check_folders(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Look at the folders, and make what is a person's own part of one; without a part that is not surely the person's own.

    In a child: a file server that hangs holds up nothing else.
    """
    child = os.fork() if items else 0
    if items and not child:
        status = 1
        try:
            status = 0 if look_at_folders(items) else 1
        finally:
            os._exit(status)
    deadline, are_own = time.monotonic() + REACH_S, not items
    while child:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            are_own = status == 0
            break
        if time.monotonic() > deadline:
            print("The file server of the session's folders does not answer.", flush=True)
            break
        time.sleep(0.01)
    return [item for item in items if are_own or not item["is_own_part"]]


def look_at_folders(items: list[dict[str, Any]]) -> bool:
    """Say which cannot be read; whether the parts that should be this person's alone are."""
    are_own = True
    for item in items:
        try:
            if item["is_own_part"]:
                os.makedirs(item["source"], mode=0o700, exist_ok=True)
                are_own = os.lstat(item["source"]).st_uid == os.geteuid()  # what it holds will be run
                os.chmod(item["source"], 0o700)
            os.scandir(item["source"]).close()
        except OSError as exc:
            are_own = are_own and not item["is_own_part"]
            print(f"The folder {item['target']} cannot be read here: {exc.strerror}", flush=True)
    return are_own


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
