"""``admin/<noun>``: everything that is administered, for programs. One set of handlers serves every noun.

The same handlers stand on the private listener beneath ``/private/``, where the command line of the machine itself speaks as
a superadmin; the audit log then has the Unix account that ran it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ...core.identity import Actor, Role
from ...core.nouns import NOUNS, Change, Kind, Noun, Query, Record, parse_query
from ...core.nouns.values import parse_value
from ...errors import N_, InvalidParameters, NotFound, Violation
from ...store.records import RECORDS, Records
from .. import csv_files
from ..active_logins import look_anew
from ..auth import administrative
from ..base import ApiHandler, JSONHandler, PrivateHandler, WrongMethod
from ..termination import end_session

OPERATOR = "X-BackendAI-Operator"
PEOPLE = "X-BackendAI-People"
SESSIONS = "sessions"
MAX_ROWS = 100_000
FORMATS = ("json", "csv")
_OPERATOR = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@$-]{0,63}", re.ASCII)
_PARAMETERS = frozenset({"q", "sort", "page", "page_size", "format"})
# What is decided from a copy in memory: queues and images every few seconds, who somebody is for half a minute.
_GROUPS = frozenset({"resource_groups", "images", "domains", "projects", "keypairs"})
_PEOPLE = frozenset({"users", "domains", "projects"})


class AdminHandler(ApiHandler):
    """For administrators; to everybody else these addresses do not exist."""

    async def prepare(self) -> None:
        await super().prepare()
        await self._enter()

    @administrative
    async def _enter(self) -> None:
        """Who acts is known when the decorator has run."""


class PrivateAdminHandler(PrivateHandler):
    """For the command line on the machine: who has the secret may do everything."""

    actor: Actor

    async def prepare(self) -> None:
        await super().prepare()
        operator = self.request.headers.get(OPERATOR, "")
        name = f"system:{operator}" if _OPERATOR.fullmatch(operator) else "system"
        self.actor = Actor(name, Role.SUPERADMIN, source="command line")


class RecordVerbs(JSONHandler):
    """What the handlers of a noun share."""

    actor: Actor
    _etag = ""

    def find_records(self, name: str, key: str = "") -> tuple[Noun, Records]:
        """The noun of an address. Raises NotFound, also for one that this person has nothing to do with."""
        name = name.replace("-", "_")
        if name not in NOUNS or name not in RECORDS or not NOUNS[name].may(self.actor, "list") or not is_plain(key):
            raise NotFound
        return NOUNS[name], RECORDS[name]

    def read_body(self) -> dict[str, Any]:
        body = super().read_body()
        if not is_storable(body):
            raise InvalidParameters(N_("This has characters that are not allowed."))
        return body

    def compute_etag(self) -> str | None:
        return f'"{self._etag}"' if self._etag else super().compute_etag()

    def answer_record(self, noun: Noun, record: Record, status: int = 200, extras: Mapping[str, Any] | None = None) -> None:
        """One record, with its version in the ``ETag``; ``extras`` are told once, such as a new secret key."""
        shown = json.dumps(noun.to_json(record.values), sort_keys=True, default=str)
        # The second part changes with what is only shown, so that nobody is told 304 of it; If-Match looks at the first.
        self._etag = f"{record.etag(noun)}.{hashlib.sha256(shown.encode()).hexdigest()[:16]}"
        if self.request.method != "GET":  # there tornado sets it, and answers 304 when it is known already
            self.set_header("ETag", f'"{self._etag}"')
        self.answer({**noun.to_json(record.values), **(extras or {})}, status)

    async def change(self, noun: Noun, verb: str, *arguments: Any) -> Change:
        """One change in one transaction; what is kept in memory is read anew."""
        if verb not in noun.verbs:
            raise WrongMethod
        records = RECORDS[noun.name]
        function: Any = {"create": records.add, "update": records.update, "delete": records.remove}[verb]
        change: Change = await self.db.run_exclusive(function, self.actor, *arguments)
        await forget(self.application.settings, noun)
        return change


class ListHandler(RecordVerbs):
    """``GET`` a page of records (or all of them as CSV), ``POST`` a new one."""

    async def get(self, name: str) -> None:
        noun, records = self.find_records(name)
        arguments = {key: self.get_query_argument(key) for key in self.request.query_arguments}
        query = read_query(noun, arguments)
        if arguments.get("format") == "csv":
            await csv_files.stream(self, self.actor, records, query, most=MAX_ROWS)
            return
        page = await self.db.run(records.list_page, self.actor, query)
        items = [noun.to_json(record.values) for record in page.records]
        self.answer({"items": items, "total": page.total, "page": query.page, "page_size": query.page_size, "page_count": page.page_count})

    async def post(self, name: str) -> None:
        noun, _ = self.find_records(name)
        change = await self.change(noun, "create", self.read_body())
        record = change.after or Record("", {})
        self.set_header("Location", f"{self.request.path.rstrip('/')}/{quote(record.key, safe='')}")
        self.answer_record(noun, record, 201, change.extras)


class RecordHandler(RecordVerbs):
    """``GET``, ``PATCH`` and ``DELETE`` one record."""

    async def get(self, name: str, key: str) -> None:
        noun, records = self.find_records(name, key)
        self.answer_record(noun, await self.db.run(records.find, self.actor, key))

    async def patch(self, name: str, key: str) -> None:
        noun, _ = self.find_records(name, key)
        change = await self.change(noun, "update", key, self.read_body(), read_etag(self.request.headers.get("If-Match", "")))
        self.set_header(PEOPLE, str(change.people))
        self.answer_record(noun, change.after or Record(key, {}), extras=change.extras)

    async def delete(self, name: str, key: str) -> None:
        if name == SESSIONS:
            await end_session(self, self.actor, key)
        else:
            noun, _ = self.find_records(name, key)
            await self.change(noun, "delete", key)
        self.clear_header("Content-Type")
        self.set_status(204)
        self.finish()


class HitsHandler(RecordVerbs):
    """``GET <key>/hits``: how many people a change of this touches."""

    async def get(self, name: str, key: str) -> None:
        _, records = self.find_records(name, key)
        self.answer({"people": await self.db.run(records.count_hit, self.actor, key)})


def read_query(noun: Noun, arguments: Mapping[str, str]) -> Query:
    """A query from an address. Raises InvalidParameters with everything that is wrong.

    A parameter that is nothing is refused: with a mistyped filter a program would take the whole list for what it asked for.
    """
    known = _PARAMETERS | set(noun.filters)
    message = N_("There is no parameter %(name)s here. Known are: %(names)s.")
    found = [
        Violation(message, {"name": name[:64], "names": ", ".join(sorted(known))}, name[:64], "unknown-parameter")
        for name in arguments
        if name not in known
    ]
    for name, text in arguments.items():
        if name in noun.filters and noun.field(name).kind in (Kind.BOOLEAN, Kind.CHOICE, Kind.MOMENT) and text:
            found += list_violations(parse_value, noun.field(name), text)
    if arguments.get("format", "json") not in FORMATS:
        found.append(Violation(N_("Choose one of: %(choices)s."), {"choices": ", ".join(FORMATS)}, "format"))
    found += list_violations(parse_query, noun, arguments)
    if found:
        raise InvalidParameters(violations=found)
    return parse_query(noun, arguments)


def list_violations(function: Any, *arguments: Any) -> list[Violation]:
    """What a function that raises InvalidParameters has against its arguments."""
    try:
        function(*arguments)
    except InvalidParameters as exc:
        return list(exc.violations)
    return []


def read_etag(text: str) -> str:
    """The version of an ``If-Match``; "" when any will do. A proxy that compresses answers makes versions weak (``W/``)."""
    text = text.strip().removeprefix("W/").strip('"')
    return "" if text == "*" else text.partition(".")[0]


def require_superadmin(actor: Actor) -> None:
    """Raises NotFound for a domain's administrator."""
    if not actor.is_superadmin:
        raise NotFound


def is_plain(text: str) -> bool:
    """Whether a text of an address can be looked for at all."""
    return all(ord(char) >= 32 and not 0xD800 <= ord(char) < 0xE000 for char in text)


def is_storable(data: Any) -> bool:
    """Whether every text in JSON can be kept: PostgreSQL takes no NUL, and half a character of UTF-16 is none."""
    if isinstance(data, str):
        return "\0" not in data and not any(0xD800 <= ord(char) < 0xE000 for char in data)
    if isinstance(data, dict):
        return all(is_storable(name) and is_storable(part) for name, part in data.items())
    return all(map(is_storable, data)) if isinstance(data, list) else True


async def forget(settings: dict[str, Any], noun: Noun) -> None:
    """Read anew what is kept in memory and depends on this noun."""
    if noun.name in _PEOPLE:
        settings.get("identities", {}).clear()
        settings["folder_access"].wake()
        await look_anew(settings)
    if noun.name in _GROUPS:
        await settings["groups"].refresh()


async def forget_all(settings: dict[str, Any]) -> None:
    """Read everything anew that is kept in memory."""
    settings.get("identities", {}).clear()
    settings["folder_access"].wake()
    await look_anew(settings)
    await settings["groups"].refresh()


class PublicListHandler(ListHandler, AdminHandler):
    """Over HTTP."""


class PublicRecordHandler(RecordHandler, AdminHandler):
    """Over HTTP."""


class PublicHitsHandler(HitsHandler, AdminHandler):
    """Over HTTP."""


class PrivateListHandler(ListHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateRecordHandler(RecordHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateHitsHandler(HitsHandler, PrivateAdminHandler):
    """On the private listener."""


# By name: other addresses beneath admin/ are those of other modules. Words may be parted by dashes too.
_NOUN, _KEY = f"rest/v1/admin/({'|'.join(sorted({*RECORDS, SESSIONS})).replace('_', '[_-]')})", r"([^/]+)"
default_handlers = [
    (_NOUN, PublicListHandler),
    (f"{_NOUN}/{_KEY}", PublicRecordHandler),
    (f"{_NOUN}/{_KEY}/hits", PublicHitsHandler),
]
private_handlers = [
    (f"/private/{_NOUN}", PrivateListHandler),
    (f"/private/{_NOUN}/{_KEY}", PrivateRecordHandler),
    (f"/private/{_NOUN}/{_KEY}/hits", PrivateHitsHandler),
]
