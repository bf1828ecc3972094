"""Run by Alembic: every migration in its own transaction, one deployer at a time."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.types import TypeDecorator

from jupyterhub_backendai.store.models import Base

_LOCK = 0x6261636B656E6461  # "backenda": any number that nobody else uses in this database


def _render(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """A generated migration names a column's plain type: it must go on working when our own types change."""
    return f"sa.{thing.impl!r}" if kind == "type" and isinstance(thing, TypeDecorator) else False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
        compare_type=True,
        render_item=_render,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        # Altering a table makes it anew: with the constraints on, dropping the old one would delete what refers to it.
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        _migrate(connection)
        return
    # Two deployers at once: the second waits here, then finds nothing to do. A migration that waits for a busy table gives up
    # before the site notices, and one may take longer than a request.
    connection.execute(text("SET statement_timeout = '10min'"))
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
    try:
        _migrate(connection)
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


_run(context.config.attributes["connection"])
