"""What a session runs in the fault test instead of JupyterLab: it listens, reports its port as ours does, and answers in no time.

The session's environment names it as the interpreter: ``python3 bench_faults_stub.py <singleuser.py> --session <file> --entered``.
"""

import importlib.util
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

spec = importlib.util.spec_from_file_location("singleuser", sys.argv[1])
singleuser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(singleuser)

path = sys.argv[sys.argv.index("--session") + 1]
environment = singleuser.read_session(path)["environment"]
os.unlink(path)
listening = singleuser.listen(environment)
listening.setblocking(True)
threading.Thread(target=singleuser.report, args=(environment, listening), daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = environment["BACKENDAI_SESSION_ID"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Answer, bind_and_activate=False)
server.socket.close()
server.socket = listening
server.serve_forever()
