"""``jupyterhub-backendai``: the database, the configuration, people of the embedded directory, and everything administered.

No secret is ever an argument: other people of the machine can read arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.orm import Session

from ..config import BackendAI, load_settings
from ..core.names import fold_name, is_name
from ..core.nouns.users import check_password
from ..errors import BackendAIError, InvalidParameters, NotFound, ServiceUnavailable
from ..identity.local import MAX_PASSWORD, hash_password
from ..store import audit, models, otp, users
from ..store.database import Database, current_revision, upgrade
from .batch import add_batch
from .check import list_problems
from .configuration import add_configuration, add_recalculation, add_settings
from .connection import connect, find_operator, list_complaints
from .explain import add_explain
from .images import add_images
from .nodes import add_nodes
from .nouns import add_nouns
from .reference import format_nouns, format_reference

MIN_PASSWORD = 8
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
    _add(database, "upgrade", upgrade_database, "bring the tables to the revision that this program needs; SQLite is copied first")
    _add(database, "check", check_database, "say whether the database can be used")

    config = nouns.add_parser("config", help="the configuration").add_subparsers(required=True, metavar="VERB")
    _add(config, "check", check_config, "list what is wrong in the configuration")
    _add(config, "reference", show_reference, "print every setting with its default, as Markdown", needs_file=False)
    _add(config, "nouns", show_nouns, "print every field of everything that is administered, as Markdown", needs_file=False)

    add_configuration(config)

    user = nouns.add_parser("user", help="people of the embedded directory").add_subparsers(required=True, metavar="VERB")
    add = _add(user, "add", add_user, "make somebody, or replace them; the password is read from standard input")
    add.add_argument("name")
    add.add_argument("--display-name", default="", help="name as people write it")
    add.add_argument("--email", default="")
    add.add_argument("--groups", default="", help="names with commas between")
    add.add_argument("--admin", action="store_true", help="put them into the first of c.BackendAI.admin_groups")
    add.add_argument("--password-file", type=Path, metavar="FILE", help="read the password from a file instead")
    remove = _add(user, "remove", remove_user, "take somebody out of the embedded directory")
    remove.add_argument("name")

    token = nouns.add_parser("otp", help="one-time passwords").add_subparsers(required=True, metavar="VERB")
    reset = _add(token, "reset", reset_token, "take somebody's token away: the next login enrols a new one")
    reset.add_argument("name")

    image = nouns.add_parser("image", help="images, and the registries that they come from").add_subparsers(required=True, metavar="VERB")
    add_images(image)

    add_nouns(nouns, {"user": user, "image": image})
    add_explain(nouns)
    add_nodes(nouns)
    add_batch(nouns)
    add_settings(nouns)
    add_recalculation(nouns)
    return parser


def _add(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace, BackendAI], int],
    text: str,
    *,
    needs_file: bool = True,
) -> argparse.ArgumentParser:
    # Abbreviated, --password would be taken for --password-file and a password for its value.
    parser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=lambda options: function(options, load_settings(options.config) if needs_file else BackendAI()))
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


def show_reference(_options: argparse.Namespace, _settings: BackendAI) -> int:
    """``config reference``."""
    print(format_reference(), end="")
    return 0


def show_nouns(_options: argparse.Namespace, _settings: BackendAI) -> int:
    """``config nouns``."""
    print(format_nouns(), end="")
    return 0


def add_user(options: argparse.Namespace, settings: BackendAI) -> int:
    """``user add``."""
    name = _parse_name(options.name)
    groups = [group.strip() for group in options.groups.split(",") if group.strip()]
    if options.admin:
        if not settings.admin_groups:
            raise InvalidParameters("c.BackendAI.admin_groups is empty. Name a group there, or %(name)s in admin_users.", name=name)
        groups.append(settings.admin_groups[0])
    password_hash = hash_password(_read_password(options.password_file))
    columns = (options.display_name, options.email, sorted(set(groups)))
    _change(settings, "user.add", name, lambda db: users.set_local_account(db, name, password_hash, *columns))
    print(f"{name} can log in." if settings.directory == "local" else f"{name} is kept, but c.BackendAI.directory is {settings.directory}.")
    return 0


def remove_user(options: argparse.Namespace, settings: BackendAI) -> int:
    """``user remove``."""
    name = _parse_name(options.name)
    _change(settings, "user.remove", name, lambda db: _find(users.remove_local_account(db, name), name))
    print(f"{name} can log in no more.")
    return 0


def reset_token(options: argparse.Namespace, settings: BackendAI) -> int:
    """``otp reset``."""
    name = _parse_name(options.name)
    what = f"one-time password token of {name}"
    try:
        answer = connect(options.config).call("POST", f"admin/users/{quote(name, safe='')}/reset-otp", {})
    except ServiceUnavailable:
        # The way in for an administrator must not hang on the service; what it would do beside comes with the next login.
        _run(settings, lambda db: _find(otp.reset(db, name, actor=_operator(), source="command line", at=models.now()), what))
        print("The service does not answer: nobody is mailed, and who is logged in stays so.", file=sys.stderr)
    else:
        _find(bool(answer.data["reset"]), what)
    print(f"{name} sets up a new one-time password at the next login.")
    return 0


def _find(was_there: bool, what: str) -> None:
    if not was_there:
        raise NotFound("There is no %(what)s.", what=what)


def _parse_name(text: str) -> str:
    name = fold_name(text)
    if not is_name(name):
        raise InvalidParameters("%(name)s cannot be a user's name.", name=repr(text))
    return name


def _change(settings: BackendAI, action: str, name: str, function: Callable[[Session], None]) -> None:
    """Change the database in one transaction and keep who did it."""

    def change(db: Session) -> None:
        function(db)
        audit.record(db, actor=_operator(), action=action, object=name, source="command line")

    _run(settings, change)


def _operator() -> str:
    return f"system:{find_operator()}"


def _run(settings: BackendAI, change: Callable[[Session], None]) -> None:
    """One transaction in the database itself."""

    async def run() -> None:
        database = Database(settings.database_url, threads=1)
        try:
            if trouble := await database.check():
                raise BackendAIError(trouble.replace("%", "%%"))
            await database.run_exclusive(change)
        finally:
            await database.close()

    asyncio.run(run())


def _read_password(file: Path | None) -> str:
    try:
        if file:
            password = file.read_text().rstrip("\r\n")
        elif sys.stdin.isatty():
            password = getpass.getpass("Password: ")
            if getpass.getpass("Again: ") != password:
                raise InvalidParameters("The two passwords differ.")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidParameters("The password cannot be read: %(reason)s", reason=str(exc)) from exc
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidParameters("A password has %(least)s to %(most)s characters.", least=MIN_PASSWORD, most=MAX_PASSWORD)
    if found := check_password(password):
        raise InvalidParameters(violations=found)
    return password


if __name__ == "__main__":
    sys.exit(main())
