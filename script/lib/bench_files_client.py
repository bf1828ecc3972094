"""A client of the file benchmarks: a program of its own, which throws away what it gets and makes up what it sends.

    bench_files_client.py get|put|tus HOST PORT PATH TOKEN MIB CLIENTS
    bench_files_client.py ping HOST PORT PATH TOKEN SECONDS -

Prints one JSON object: ``s`` for everything; for ``ping`` the answers' times in ms.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time

MIB = 1024 * 1024
PIECE = 16 * MIB  # of a TUS upload


class Connection:
    def __init__(self, host: str, port: int, token: str) -> None:
        self.socket, self.host, self.token = socket.create_connection((host, port)), host, token
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_head(self, method: str, path: str, **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", f"Authorization: token {self.token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def read_head(self) -> tuple[int, dict[str, str], bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError(f"no answer: {data[:300]!r}")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(status.split()[1]), headers, rest

    def drain(self, size: int) -> None:
        """Discarded by the kernel: what is measured is the server."""
        while size > 0:
            size -= self.socket.recv_into(BUFFER, min(size, len(BUFFER)), socket.MSG_TRUNC) or fail()

    def answer(self, *expected: int) -> dict[str, str]:
        status, headers, rest = self.read_head()
        size = int(headers.get("content-length", 0))
        body = rest
        while len(body) < size:
            body += self.socket.recv(65536)
        if status not in expected:
            raise ConnectionError(f"{status}: {body[:300]!r}")
        return headers


BUFFER = bytearray(MIB)


def fail() -> int:
    raise ConnectionError("cut off")


def get(connection: Connection, path: str, _mib: int) -> None:
    connection.send_head("GET", path)
    status, headers, rest = connection.read_head()
    if status != 200:
        raise ConnectionError(f"{status}")
    connection.drain(int(headers["content-length"]) - len(rest))


def put(connection: Connection, path: str, mib: int) -> None:
    connection.send_head("PUT", path, Content_Length=str(mib * MIB))
    send(connection, mib * MIB)
    connection.answer(201, 204)


def tus(connection: Connection, path: str, mib: int) -> None:
    metadata = f"filename {base64.b64encode(os.urandom(6).hex().encode()).decode()}"
    connection.send_head("POST", path, Tus_Resumable="1.0.0", Upload_Length=str(mib * MIB), Upload_Metadata=metadata, Content_Length="0")
    location, offset = connection.answer(201)["location"], 0
    while offset < mib * MIB:
        size = min(PIECE, mib * MIB - offset)
        connection.send_head(
            "PATCH",
            location,
            Tus_Resumable="1.0.0",
            Upload_Offset=str(offset),
            Content_Type="application/offset+octet-stream",
            Content_Length=str(size),
        )
        send(connection, size)
        offset = int(connection.answer(204)["upload-offset"])


def send(connection: Connection, size: int) -> None:
    view = memoryview(PATTERN)
    while size:
        size -= connection.socket.send(view[: min(size, MIB)])


PATTERN = os.urandom(MIB)


def ping(host: str, port: int, path: str, token: str, seconds: float) -> list[float]:
    connection, times, until = Connection(host, port, token), [], time.monotonic() + seconds
    while time.monotonic() < until:
        begin = time.perf_counter()
        connection.send_head("OPTIONS", path)
        connection.answer(204)
        times.append(1000 * (time.perf_counter() - begin))
        time.sleep(0.005)
    return times


def main() -> None:
    what, host, port, path, token, amount, clients = sys.argv[1:]
    if what == "ping":
        print(json.dumps(ping(host, int(port), path, token, float(amount))))
        return
    work = {"get": get, "put": put, "tus": tus}[what]
    connections = [Connection(host, int(port), token) for _ in range(int(clients))]
    errors: list[BaseException] = []

    def one(connection: Connection, number: int) -> None:
        try:
            work(connection, path.replace("%d", str(number)), int(amount))
        except BaseException as exc:
            errors.append(exc)

    begin = time.perf_counter()
    threads = [threading.Thread(target=one, args=(connection, number)) for number, connection in enumerate(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    print(json.dumps({"s": time.perf_counter() - begin}))


if __name__ == "__main__":
    main()
