"""``user add``, ``user remove`` and ``otp reset``: people of the embedded directory, on the machine itself."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.orm import Session

from ..config import BackendAI
from ..core.names import fold_name, is_name
from ..core.nouns.users import check_password
from ..errors import BackendAIError, InvalidParameters, NotFound, ServiceUnavailable
from ..identity.local import MAX_PASSWORD, hash_password
from ..store import active_logins, audit, models, otp, users
from ..store.database import Database
from .connection import connect, find_operator
from .nouns import Subparsers, add_local_verb

MIN_PASSWORD = 8


def add_people(parsers: Subparsers) -> Subparsers:
    """The commands ``user`` and ``otp``; returns the verbs of ``user``, of which the noun has more."""
    verbs = parsers.add_parser("user", help="people of the embedded directory").add_subparsers(required=True, metavar="VERB")
    add = add_local_verb(verbs, "add", add_user, "make somebody, or replace them; the password is read from standard input")
    add.add_argument("name")
    add.add_argument("--display-name", default="", help="name as people write it")
    add.add_argument("--email", default="")
    add.add_argument("--groups", default="", help="names with commas between")
    add.add_argument("--admin", action="store_true", help="put them into the first of c.BackendAI.admin_groups")
    add.add_argument("--password-file", type=Path, metavar="FILE", help="read the password from a file instead")
    add_local_verb(verbs, "remove", remove_user, "take somebody out of the embedded directory").add_argument("name")
    tokens = parsers.add_parser("otp", help="one-time passwords").add_subparsers(required=True, metavar="VERB")
    add_local_verb(tokens, "reset", reset_token, "take somebody's token away: the next login enrols a new one").add_argument("name")
    return verbs


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
        # The way in for an administrator must not hang on the service; what it would do beside comes when it is back.
        _run(settings, lambda db: _reset_here(db, name, what))
        print("The service does not answer: nobody is mailed, and logins end when it is back.", file=sys.stderr)
    else:
        _find(bool(answer.data["reset"]), what)
    print(f"{name} sets up a new one-time password at the next login.")
    return 0


def _reset_here(db: Session, name: str, what: str) -> None:
    _find(otp.reset(db, name, actor=_operator(), source="command line", at=models.now()), what)
    active_logins.end_other_logins(db, name)


def _find(was_there: bool, what: str) -> None:
    if not was_there:
        raise NotFound("There is no %(what)s.", what=what)


def _parse_name(text: str) -> str:
    name = fold_name(text)
    if not is_name(name):
        raise InvalidParameters("%(name)s cannot be a user's name.", name=repr(text))
    return name


def _change(settings: BackendAI, action: str, name: str, function: Callable[[Session], None]) -> None:
    """Change somebody's account in one transaction and keep who did it. Whoever is logged in, or about to be, is so no more."""

    def change(db: Session) -> None:
        function(db)
        active_logins.end_other_logins(db, name)
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
