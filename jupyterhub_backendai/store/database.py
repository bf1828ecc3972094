"""The one door to our own database: SQLAlchemy in a small thread pool, and Alembic's revisions.

Store functions are plain ``def verb(db: Session, …)`` and run in one transaction: ``await database.run(store.sessions.find, id)``.
They must touch nothing but the database, because a transaction that lost a race is run again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from ..errors import BackendAIError, BackendUnavailable

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

THREADS = 6
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 20
# A server that holds the connection and says nothing at all: no time limit of its own ends that.
ANSWER_TIMEOUT_S = 25
CHECK_TIMEOUT_S = 10
UPGRADE_COMMAND = "jupyterhub-backendai db upgrade"
_EXCLUSIVE = "backendai_exclusive"
# PostgreSQL: undefined table and undefined column, which is what a database of another revision answers.
_WRONG_SCHEMA = {"42P01", "42703"}


class Database:
    """Our database. Made once per process; nothing is connected before the first use, and it comes back after an outage."""

    def __init__(self, url: str, *, threads: int = THREADS, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.engine = make_engine(url, pool_size=threads, lock_timeout_s=lock_timeout_s)
        self._exclusive = self.engine.execution_options(**{_EXCLUSIVE: True})
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")
        #: what every transaction finds in ``Session.info``, such as the means to keep secrets (``store.safe``)
        self.info: dict[str, Any] = {}

    async def run(self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function(db, *args)`` in a thread and one transaction: committed when it returns, rolled back when it raises.

        Raises BackendUnavailable when the database does not answer.
        """
        return await self._in_thread(lambda: self._transact(False, lambda db: function(db, *args, **kwargs)))

    async def run_exclusive(self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like :meth:`run` for what must count exactly: on SQLite nobody else writes meanwhile (``BEGIN IMMEDIATE``).

        On PostgreSQL the function locks the rows that it counts.
        """
        return await self._in_thread(lambda: self._transact(True, lambda db: function(db, *args, **kwargs)))

    async def run_long(self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like :meth:`run_exclusive` for work whose answer nobody waits for: it may take minutes."""
        return await self._in_thread(lambda: self._transact(True, lambda db: function(db, *args, **kwargs)), None)

    async def check(self) -> str:
        """Why the database cannot be used, "" when it can: it does not answer, or has another revision than this program."""
        try:
            return await self._in_thread(self._check, CHECK_TIMEOUT_S)
        except BackendUnavailable:
            return "The database does not answer."

    async def close(self) -> None:
        """End the threads and the connections."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        self.engine.dispose()

    async def _in_thread(self, function: Callable[[], T], timeout_s: float | None = ANSWER_TIMEOUT_S) -> T:
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, function), timeout_s)
        except TimeoutError as exc:
            log.warning("The database says nothing")
            raise BackendUnavailable from exc

    def _transact(self, exclusive: bool, function: Callable[[Session], T]) -> T:
        try:
            try:
                return self._once(exclusive, function)
            except OperationalError as exc:
                # SQLite: a transaction that began by reading may not write once another one wrote. Start again as the writer.
                if exclusive or not is_busy(exc):
                    raise
                return self._once(True, function)
        except (OperationalError, InterfaceError, PoolTimeout) as exc:
            log.warning("The database does not answer: %s", _first_line(exc))
            raise BackendUnavailable from exc
        except DBAPIError as exc:
            if exc.connection_invalidated or getattr(exc.orig, "sqlstate", None) in _WRONG_SCHEMA:
                log.warning("The database cannot be used: %s", _first_line(exc))
                raise BackendUnavailable from exc
            raise

    def _once(self, exclusive: bool, function: Callable[[Session], T]) -> T:
        with Session(self._exclusive if exclusive else self.engine, expire_on_commit=False, info=self.info) as db, db.begin():
            return function(db)

    def _check(self) -> str:
        try:
            with self.engine.connect() as connection:
                revision = _revision(connection)
        except SQLAlchemyError as exc:
            # Everybody may read /health: the cause is said, not where the server is.
            return f"The database does not answer: {_first_line(exc).rpartition(': ')[2].strip()}"
        if revision == head_revision():
            return ""
        if revision is None:
            return f"The database has no tables yet. Run: {UPGRADE_COMMAND}"
        if revision not in _known_revisions():
            return f"The database has revision {revision}, which this program does not know: it is older than the database. Upgrade it."
        return f"The database has revision {revision}, this program needs {head_revision()}. Run: {UPGRADE_COMMAND}"


def is_busy(exc: OperationalError) -> bool:
    """Whether SQLite said that another connection is writing."""
    return isinstance(exc.orig, sqlite3.OperationalError) and "locked" in str(exc.orig)


def make_engine(url: str, *, pool_size: int = THREADS, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Engine:
    """The SQLAlchemy engine for a URL, with every time limit set: a database that hangs costs seconds, never for ever."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _make_sqlite(parsed, pool_size, lock_timeout_s)
    arguments: dict[str, Any] = {}
    if parsed.get_backend_name() == "postgresql":
        limits = {
            "statement_timeout": STATEMENT_TIMEOUT_S,
            "lock_timeout": lock_timeout_s,
            "idle_in_transaction_session_timeout": 3 * STATEMENT_TIMEOUT_S,
        }
        arguments = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "backendai",
            "options": " ".join(f"-c {name}={int(seconds * 1000)}" for name, seconds in limits.items()),
            # A server that vanished without a word (cable, power) is noticed too.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": STATEMENT_TIMEOUT_S * 1000,
        }
    return create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=LOCK_TIMEOUT_S,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args=arguments,
        hide_parameters=True,  # the log of a fault is no place for what people typed
    )


def _make_sqlite(url: URL, pool_size: int, lock_timeout_s: float) -> Engine:
    _create_private(url)
    arguments = {"timeout": lock_timeout_s, "check_same_thread": False}
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own idea of when a transaction begins is switched off; _begin says it instead.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={int(lock_timeout_s * 1000)}"):
            connection.execute(f"PRAGMA {pragma}")

    if _is_file(url):
        _follow_file(engine, Path(str(url.database)))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        exclusive = connection.get_execution_options().get(_EXCLUSIVE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if exclusive else "BEGIN")

    return engine


def _is_file(url: URL) -> bool:
    return bool(url.database) and url.database != ":memory:" and not url.query.get("uri")


def _follow_file(engine: Engine, path: Path) -> None:
    """Use the file that is at the path now. One that was moved away stays open and takes what nobody will ever read again."""

    @event.listens_for(engine, "do_connect")
    def _refuse_missing(*_: Any) -> None:
        if not path.exists():  # SQLite would make an empty one
            raise sqlite3.OperationalError("unable to open database file")

    @event.listens_for(engine, "connect")
    def _remember(_connection: sqlite3.Connection, record: Any) -> None:
        record.info["file"] = _identify(path)

    @event.listens_for(engine, "checkout")
    def _compare(_connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
        if record.info.get("file") != _identify(path):
            raise DisconnectionError("the file is another one")


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _create_private(url: URL) -> None:
    """Make SQLite's file before SQLite does, so that only its owner can read it (its journals take its mode)."""
    if not _is_file(url):
        return
    try:
        os.close(os.open(str(url.database), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        # Whoever uses the database is told; making the engine never fails, so that the service can listen and say why.
        log.warning("The database %s cannot be made: %s", url.database, exc.strerror)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config


def head_revision() -> str | None:
    """The revision that this program works with."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def current_revision(url: str) -> str | None:
    """The revision that the database has, None before its first upgrade. Raises BackendUnavailable."""
    engine = make_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            return _revision(connection)
    except (OperationalError, InterfaceError) as exc:
        raise BackendUnavailable from exc
    finally:
        engine.dispose()


def upgrade(url: str, revision: str = "head") -> Path | None:
    """Bring the database to a revision, by default this program's.

    An SQLite file is copied first; the copy's path is returned (None when there was nothing to copy). Raises BackendUnavailable.
    """
    before = current_revision(url)
    if before is not None and before not in _known_revisions():
        raise BackendAIError("The database has revision %(revision)s, which this program does not know.", revision=before)
    copy = _copy_sqlite(make_url(url), before) if before and before != head_revision() else None
    engine = make_engine(url, pool_size=1)
    config = _config()
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, revision)
    except (OperationalError, InterfaceError) as exc:
        log.warning("The upgrade stopped: %s", _first_line(exc))
        raise BackendUnavailable from exc
    finally:
        engine.dispose()
    return copy


def _copy_sqlite(url: URL, revision: str) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    copy = Path(f"{url.database}.{revision}.{stamp}")
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    # SQLite's own backup: a plain copy of the file would miss what is still in the write-ahead log.
    with closing(sqlite3.connect(url.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def _first_line(exc: Exception) -> str:
    # SQLAlchemy adds the statement and its parameters below; those may be personal and are of no help here.
    return str(getattr(exc, "orig", None) or exc).strip().partition("\n")[0]
