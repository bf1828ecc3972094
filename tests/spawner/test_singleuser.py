"""The program that runs a session's server, alone."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jupyterhub_backendai.spawner import singleuser


@pytest.fixture
def hub():
    """A stand-in for the hub's port handler that answers with one status after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.seen.append((self.path, self.headers["Authorization"], body))
            self.send_response(server.answers.pop(0))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.answers = [], [201]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def environment(hub) -> dict:
    return {
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/user/kim01/",
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{hub.server_port}/hub/api",
        "JUPYTERHUB_API_TOKEN": "t",
    }


def test_the_port_is_reported_until_the_hub_has_it(hub):
    hub.answers = [503, 502, 500, 201]
    with singleuser.listen(environment(hub)) as listening:
        port = listening.getsockname()[1]
        singleuser.report(environment(hub), listening)
    assert hub.seen == [("/hub/api/batchspawner", "token t", {"port": port})] * 4


@pytest.mark.parametrize("status", sorted(singleuser.FINAL))
def test_a_session_that_the_hub_does_not_want_ends(hub, status, tmp_path):
    hub.answers = [status]
    program = "import sys, json, time; sys.path.insert(0, sys.argv[1]); import singleuser as s\n"
    program += "e = json.loads(sys.argv[2]); s.report(e, s.listen(e)); time.sleep(60)"
    directory = singleuser.__file__.rpartition("/")[0]
    found = subprocess.run(
        [sys.executable, "-c", program, directory, json.dumps(environment(hub))], check=False, capture_output=True, text=True, timeout=30
    )
    assert found.returncode == -15
    assert f"it answered {status}" in found.stderr
    assert len(hub.seen) == 1


def test_the_socket_listens_before_the_port_is_known_and_nobody_else_gets_it(hub):
    with singleuser.listen(environment(hub)) as listening, socket.socket() as thief:
        address = listening.getsockname()
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            thief.setsockopt(socket.SOL_SOCKET, option, 1)
            with pytest.raises(OSError, match="Address already in use"):
                thief.bind(address)
        with socket.create_connection(address):
            pass  # accepted by the kernel already
        assert not listening.get_inheritable()


def test_a_session_file_that_is_a_link_is_not_read(tmp_path):
    (tmp_path / "real").write_text('{"environment": {}}')
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="symbolic links"):
        singleuser.read_session(str(tmp_path / "link"))
    (tmp_path / "real").write_text("[]")
    with pytest.raises(SystemExit):
        singleuser.read_session(str(tmp_path / "real"))


def test_it_goes_on_in_the_environments_own_interpreter_once(tmp_path):
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/seen"\n')
    (tmp_path / "python").chmod(0o755)
    session = tmp_path / "session.json"
    session.write_text(json.dumps({"environment": {}, "command": [str(tmp_path / "python"), "-E"]}))
    subprocess.run([sys.executable, singleuser.__file__, "--session", str(session)], check=True, timeout=30)
    assert (tmp_path / "seen").read_text().split() == ["-E", singleuser.__file__, "--session", str(session), singleuser.ENTERED]
    assert session.exists()  # the next one reads it again, and removes it


def test_it_is_python_3_9():
    import ast
    from pathlib import Path

    ast.parse(Path(singleuser.__file__).read_text(), feature_version=(3, 9))


async def test_it_serves_on_that_very_socket(hub):
    from jupyter_server.serverapp import ServerApp
    from tornado import httpserver, web

    find, bind = ServerApp._find_http_port, ServerApp._bind_http_server_tcp
    listening = singleuser.listen(environment(hub))
    try:
        singleuser.adopt_socket(listening)
        app = ServerApp()
        app._http_server = httpserver.HTTPServer(web.Application([]))
        app._find_http_port()
        assert app.port == listening.getsockname()[1]
        assert app._bind_http_server_tcp()
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.close()
        app._http_server.stop()
    finally:
        ServerApp._find_http_port, ServerApp._bind_http_server_tcp = find, bind
