"""One-time tickets: how a job that nobody could write a file for gets what its session must know, and how its log comes back.

A job that slurmrestd submits has nothing of a session's but a ticket. What the session must know (its token among it) lies here,
encrypted with that very ticket, which we do not keep: the files alone open nothing, neither do a used ticket and Slurm's records.
The hub gives the content out once, to one asker, and takes the end of the log from whoever holds the ticket's second key.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from ..errors import N_, Conflict, NotFound

AGAIN_S = 300.0  # an answer that was lost may be asked for again, by the same asker
KEEP_S = 30 * 24 * 3600.0
PRUNE_S = 3600.0
LOG_BYTES = 64 * 1024


class Tickets:
    """The files of one platform, one per session, beneath a directory that is its account's alone. Every method blocks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._pruned_at = 0.0

    def issue(self, session_id: str, user: str, content: Mapping[str, Any]) -> str:
        """A ticket for what a session must know; ``user`` is the Unix name of its owner.

        It takes the place of one that nobody has used: should that one's job be there after all, it opens nothing any more, so a session
        that is handed over twice does not run twice. Raises Conflict for a session that has begun or was ended.
        """
        ticket = Fernet.generate_key()
        record = {
            "user": user,
            "ticket": _digest(ticket.decode()),
            "key": _digest(log_key(ticket.decode())),
            "content": Fernet(ticket).encrypt(json.dumps(content).encode()).decode(),
        }
        with self._lock:
            self._prune()
            before = self._read(session_id)
            if before and ("used_at" in before or not before.get("content")):
                raise Conflict(N_("This session was handed to the scheduler already."))
            self._write(session_id, ".json", json.dumps(record).encode())
        return ticket.decode()

    def redeem(self, session_id: str, ticket: str, asker: str) -> dict[str, Any]:
        """What the session must know. Raises NotFound for a ticket that there is not, Conflict for one that another asker has used.

        ``asker`` is a number that the job has chosen for itself.
        """
        with self._lock:
            record = self._read(session_id)
            if not record or not hmac.compare_digest(str(record.get("ticket")), _digest(ticket)):
                raise NotFound(N_("There is no such ticket."))
            now = time.time()
            used_at = float(record.get("used_at", now))
            if record.get("asker", asker) != asker or now - used_at > AGAIN_S:
                raise Conflict(N_("This ticket was used."))
            try:
                content: dict[str, Any] = json.loads(Fernet(ticket.encode()).decrypt(str(record["content"]).encode()))
            except (InvalidToken, ValueError, KeyError) as exc:
                raise NotFound(N_("There is no such ticket.")) from exc
            self._write(session_id, ".json", json.dumps({**record, "asker": asker, "used_at": used_at}).encode())
        return content

    def withdraw(self, session_id: str) -> None:
        """The job will not come, or is over: its ticket opens nothing any more. The log stays, and may still grow by its last words."""
        with self._lock:
            if record := self._read(session_id):
                self._write(session_id, ".json", json.dumps({**record, "ticket": "", "content": ""}).encode())

    def forget(self, session_id: str) -> None:
        """There is no job: as if no ticket had been issued."""
        with self._lock, contextlib.suppress(OSError):
            self._path(session_id, ".json").unlink()

    def keep_log(self, session_id: str, key: str, text: str) -> None:
        """Keep the end of a session's log, at most 64 KiB. Raises NotFound for whoever does not hold the ticket's key."""
        with self._lock:
            record = self._read(session_id)
            if not record or not hmac.compare_digest(str(record.get("key")), _digest(key)):
                raise NotFound(N_("There is no such ticket."))
            self._write(session_id, ".log", text.encode(errors="replace")[-LOG_BYTES:])

    def read_log(self, session_id: str, user: str) -> str:
        """The end of the log of a session of a user's, "" when there is none, or when it is somebody else's."""
        record = self._read(session_id)
        if not record or record.get("user") != user:
            return ""
        try:
            return self._path(session_id, ".log").read_bytes().decode(errors="replace")
        except OSError:
            return ""

    def _path(self, session_id: str, suffix: str) -> Path:
        if len(session_id) != 32 or not session_id.isalnum():
            raise NotFound(N_("There is no such ticket."))
        return self._directory / f"{session_id}{suffix}"

    def _read(self, session_id: str) -> dict[str, Any]:
        try:
            record = json.loads(self._path(session_id, ".json").read_bytes())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write(self, session_id: str, suffix: str, content: bytes) -> None:
        """All or nothing, for nobody else to read."""
        path = self._path(session_id, suffix)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _prune(self) -> None:
        """Forget what is old, now and then."""
        now = time.time()
        if now - self._pruned_at < PRUNE_S or not self._directory.is_dir():
            return
        self._pruned_at = now
        for path in self._directory.iterdir():
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > KEEP_S:
                    path.unlink()


def log_key(ticket: str) -> str:
    """The key that the end of the log is handed back with; the ticket cannot be had from it."""
    return hashlib.sha256(b"log:" + ticket.encode()).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
