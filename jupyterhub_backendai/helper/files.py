"""A worker of the account that starts it, where there is no helper.

    python -I -m jupyterhub_backendai.helper.files --socket 3 --host local:folders --path /var/lib/folders

``--socket`` is the number of an inherited descriptor: one end of a SOCK_SEQPACKET pair.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import socket
import sys
from pathlib import Path

from .worker import Worker, settle


def main() -> int:
    parser = argparse.ArgumentParser(prog="jupyterhub-backendai-files", description="Does what is asked with files, as its own account.")
    parser.add_argument("--socket", type=int, required=True, help="descriptor to be asked through")
    parser.add_argument("--host", required=True, help="name of the storage host")
    parser.add_argument("--path", required=True, help="directory of the storage host")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s files %(levelname)s] %(message)s")
    connection = socket.socket(fileno=arguments.socket)
    connection.set_inheritable(False)
    Path(arguments.path).mkdir(0o711, parents=True, exist_ok=True)
    directory = os.open(arguments.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.environ.clear()
    os.chdir("/")
    settle()
    gc.freeze()
    Worker(connection, arguments.host, directory).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
