"""``jupyterhub-backendai``: the database, the configuration, people of the embedded directory, and everything administered.

No secret is ever an argument: other people of the machine can read arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import sys
from collections.abc import Sequence

from ..config import BackendAI
from ..errors import BackendAIError
from ..store.database import Database, current_revision, upgrade
from .batch import add_batch
from .bills import add_bills
from .check import list_problems
from .configuration import add_configuration, add_recalculation, add_settings
from .connection import list_complaints
from .explain import add_explain
from .folders import add_folders
from .images import add_images
from .nodes import add_nodes
from .nouns import add_local_verb, add_nouns, add_verb
from .own_sessions import add_own_sessions
from .people import add_people
from .quotas import add_quotas
from .reference import format_nouns, format_reference

TRY_AGAIN = os.EX_TEMPFAIL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 with the reason on standard error, 75 when the same may work later."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no Korean is no reason to fail
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read us (`| head`) has enough. Python would complain again while it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except BackendAIError as exc:
        for line in list_complaints(exc):
            print(f"jupyterhub-backendai: {line}", file=sys.stderr)
        return TRY_AGAIN if exc.transient else 1


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="jupyterhub-backendai", description="Manage the platform from the command line.")
    default = os.environ.get("BACKENDAI_CONFIG", "jupyterhub_config.py")
    parser.add_argument("--config", default=default, metavar="FILE", help="the hub's configuration file (default: %(default)s)")
    nouns = parser.add_subparsers(required=True, metavar="NOUN")

    database = nouns.add_parser("db", help="our own database").add_subparsers(required=True, metavar="VERB")
    add_local_verb(
        database, "upgrade", upgrade_database, "bring the tables to the revision that this program needs; SQLite is copied first"
    )
    add_local_verb(database, "check", check_database, "say whether the database can be used")

    config = nouns.add_parser("config", help="the configuration").add_subparsers(required=True, metavar="VERB")
    add_local_verb(config, "check", check_config, "list what is wrong in the configuration")
    add_verb(config, "reference", show_reference, "print every setting with its default, as Markdown")
    add_verb(config, "nouns", show_nouns, "print every field of everything that is administered, as Markdown")

    add_configuration(config)

    user = add_people(nouns)

    image = nouns.add_parser("image", help="images, and the registries that they come from").add_subparsers(required=True, metavar="VERB")
    add_images(image)

    session = nouns.add_parser("session", help="sessions: your own, and everybody's").add_subparsers(required=True, metavar="VERB")
    add_own_sessions(session)

    add_nouns(nouns, {"user": user, "image": image, "session": session})
    add_explain(nouns)
    add_nodes(nouns)
    add_bills(nouns)
    add_batch(nouns)
    add_folders(nouns)
    add_quotas(nouns)
    add_settings(nouns)
    add_recalculation(nouns)
    return parser


def upgrade_database(_options: argparse.Namespace, settings: BackendAI) -> int:
    """``db upgrade``."""
    before = current_revision(settings.database_url)
    copy = upgrade(settings.database_url)
    after = current_revision(settings.database_url)
    if copy:
        print(f"The database was copied to {copy}.")
    print(f"The database has revision {after}." if before == after else f"The database was upgraded from {before or 'nothing'} to {after}.")
    return 0


def check_database(_options: argparse.Namespace, settings: BackendAI) -> int:
    """``db check``."""
    trouble = asyncio.run(_check_database(settings))
    print(trouble or "The database can be used.", file=sys.stderr if trouble else sys.stdout)
    return 1 if trouble else 0


async def _check_database(settings: BackendAI) -> str:
    database = Database(settings.database_url, threads=1)
    try:
        return await database.check()
    finally:
        await database.close()


def check_config(_options: argparse.Namespace, settings: BackendAI) -> int:
    """``config check``: every problem at once, not the first only."""
    problems = list_problems(settings)
    if trouble := asyncio.run(_check_database(settings)):
        problems.append(trouble)
    for problem in problems:
        print(f"- {problem}", file=sys.stderr)
    print(f"{len(problems)} problems." if problems else "The configuration can be used.", file=sys.stderr if problems else sys.stdout)
    return 1 if problems else 0


def show_reference(_options: argparse.Namespace) -> int:
    """``config reference``."""
    print(format_reference(), end="")
    return 0


def show_nouns(_options: argparse.Namespace) -> int:
    """``config nouns``."""
    print(format_nouns(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
