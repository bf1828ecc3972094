"""The rows of what is administered: listed, found, made, changed and removed in one way, each act with an audit row.

Every function runs in one transaction and takes the :class:`Actor`: what somebody may not see is not found, and lists leave it out.
A noun that needs more than its columns (members, passwords, uses) subclasses :class:`Records`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Select, func, inspect, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ...core.identity import Actor
from ...core.nouns import Change, Kind, Noun, Page, Query, Record
from ...core.slots import KNOWN_SLOTS, SlotKind
from ...errors import N_, AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound, Violation
from .. import audit
from ..models import Base, ResourceSlotType
from .like import like
from .memory import remembered

Act = TypeVar("Act", bound=Callable[..., Change])


def in_order(act: Act) -> Act:
    """Two acts that meet: what only the database notices is a Conflict as any other, raised before the act is over.

    The transaction is broken then. Whoever goes on after it does each act in a savepoint.
    """

    @functools.wraps(act)
    def run(self: Records, db: Session, *args: Any, **kwargs: Any) -> Change:
        try:
            change = act(self, db, *args, **kwargs)
            db.flush()
        except IntegrityError as exc:
            raise Conflict(N_("Somebody else changed this meanwhile. Look at it again, then change it.")) from exc
        return change

    return run  # type: ignore[return-value]


class Records:
    """How one noun is kept. The defaults fit a table whose columns have the fields' names."""

    noun: ClassVar[Noun]
    model: ClassVar[type[Base]]
    #: the column that says whose domain a row is of, for domain administrators; None: not restricted by domain
    domain_column: ClassVar[str | None] = None

    # -- for subclasses

    def select(self, actor: Actor) -> Select[Any]:
        """All rows that this person may see."""
        query = select(self.model)
        if actor.is_superadmin:
            return query
        if not self.noun.may(actor, "list"):
            raise NotFound
        return query.where(getattr(self.model, self.domain_column) == actor.domain) if self.domain_column else query

    def column(self, name: str) -> Any:
        """What a field is searched, filtered and sorted by."""
        return getattr(self.model, name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """The values of many rows, in few queries however many they are."""
        names = [item.name for item in self.noun.fields if item.kind is not Kind.SECRET and hasattr(self.model, item.name)]
        return [{name: _plain(getattr(row, name)) for name in names} for row in rows]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        """What is wrong with these values beyond their form; ``row`` is None for a new one."""
        return []

    def build(self, db: Session, actor: Actor, values: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """A new row with these values, added."""
        row = self.model()
        self.assign(db, row, values)
        db.add(row)
        db.flush()
        return row

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put values into a row's columns."""
        for name, value in values.items():
            if hasattr(self.model, name):
                setattr(row, name, _stored(value))

    def link(self, db: Session, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:
        """Make what lives in other tables (members, groups) as the values say; after the row itself."""

    def list_extras(self, row: Any) -> Mapping[str, Any]:  # noqa: ARG002
        """What is told about a new row once and kept nowhere, such as its secret key."""
        return {}

    def count_people(self, db: Session, row: Any) -> int:  # noqa: ARG002
        """How many people a change of this touches."""
        return 0

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:
        """Raises Conflict, saying by what, when it is in use."""

    def delete(self, db: Session, row: Any) -> None:
        """Take it away. People are not deleted: their noun has no such verb."""
        db.delete(row)
        db.flush()

    # -- the verbs

    def list_page(self, db: Session, actor: Actor, query: Query) -> Page:
        """One page. Raises NotFound for somebody who may not list these."""
        found = self._filter(self.select(actor), query)
        total = db.scalar(found.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)) or 0
        return Page(self._records(db, self._read_page(db, found, query)), total, query)

    def find(self, db: Session, actor: Actor, key: str) -> Record:
        """One record. Raises NotFound, also for what this person may not see."""
        return self._record(db, self._find_row(db, actor, key))

    @in_order
    def add(self, db: Session, actor: Actor, data: Mapping[str, Any]) -> Change:
        """Make one from JSON-like data. Raises Forbidden, InvalidParameters with everything that is wrong, AlreadyExists."""
        row = self.make_row(db, actor, data)
        record = self._record(db, row)
        self._record_act(db, actor, "create", None, record)
        return Change(None, record, extras=self.list_extras(row))

    def record_new(self, db: Session, actor: Actor, rows: Sequence[Any]) -> None:
        """Keep in the audit log that these were made by :meth:`make_row`."""
        for record in self._records(db, rows):
            self._record_act(db, actor, "create", None, record)

    def make_row(self, db: Session, actor: Actor, data: Mapping[str, Any]) -> Any:
        """A new row with all that belongs to it; the audit log has nothing of it yet. Raises as :meth:`add`."""
        self._require(actor, "create")
        values = self.noun.parse(data, is_new=True, slot_kinds=list_slot_kinds(db))
        key = values.get(self.noun.key)
        if key and db.scalar(select(func.count()).select_from(self.model).where(self.column(self.noun.key) == key)):
            raise AlreadyExists(N_("There is already a %(one)s %(key)s."), one=self.noun.singular.replace("_", " "), key=key)
        if found := self.check(db, actor, values, None):
            raise InvalidParameters(violations=found)
        row = self.build(db, actor, values)
        self.link(db, actor, row, values)
        return row

    @in_order
    def update(self, db: Session, actor: Actor, key: str, data: Mapping[str, Any], etag: str = "") -> Change:
        """Change the fields that ``data`` names. Raises Conflict when ``etag`` is not that of the record as it is now."""
        self._require(actor, "update")
        row = self._find_row(db, actor, key, lock=True)
        before = self._record(db, row)
        if etag and etag != before.etag(self.noun):
            raise Conflict(N_("Somebody else changed this meanwhile. Look at it again, then change it."))
        values = self.noun.parse(data, is_new=False, slot_kinds=list_slot_kinds(db))
        if values.pop(self.noun.key, before.key) != before.key:
            raise InvalidParameters(violations=[Violation(N_("This cannot be changed any more."), {}, self.noun.key, "fixed")])
        if found := self.check(db, actor, values, row):
            raise InvalidParameters(violations=found)
        self.assign(db, row, values)
        db.flush()
        self.link(db, actor, row, values)
        after = self._record(db, row)
        if after.values != before.values or self._has_secrets(values):
            self._record_act(db, actor, "update", before, after)
        return Change(before, after, self.count_people(db, row))

    @in_order
    def remove(self, db: Session, actor: Actor, key: str) -> Change:
        """Take one away. Raises Conflict, saying by what, when it is in use."""
        self._require(actor, "delete")
        row = self._find_row(db, actor, key, lock=True)
        before = self._record(db, row)
        self.check_removal(db, actor, row)
        self.delete(db, row)
        self._record_act(db, actor, "delete", before, None)
        return Change(before, None)

    def count_hit(self, db: Session, actor: Actor, key: str) -> int:
        """How many people a change of this record would touch."""
        return self.count_people(db, self._find_row(db, actor, key))

    # -- inside

    def _read_page(self, db: Session, found: Select[Any], query: Query) -> Sequence[Any]:
        """The rows of one page. Which they are is decided by keys alone, so that rows of the pages before it are not read."""
        begin = (query.page - 1) * query.page_size
        if not begin:
            return db.scalars(self._sort(found, query).limit(query.page_size)).all()
        key = inspect(self.model).primary_key[0]
        keys = self._sort(found.with_only_columns(key, maintain_column_froms=True), query)
        wanted = db.scalars(keys.limit(query.page_size).offset(begin)).all()
        rows = {getattr(row, key.name): row for row in db.scalars(select(self.model).where(key.in_(wanted)))}
        return [rows[name] for name in wanted]

    def _require(self, actor: Actor, verb: str) -> None:
        if self.noun.may(actor, verb):
            return
        if self.noun.may(actor, "list"):
            raise Forbidden
        raise NotFound

    def _find_row(self, db: Session, actor: Actor, key: str, *, lock: bool = False) -> Any:
        query = self.select(actor).where(self.column(self.noun.key) == key)
        row = db.scalars(query.with_for_update(of=self.model) if lock else query).first()
        if row is None:
            raise NotFound(N_("There is no %(one)s %(key)s."), one=self.noun.singular.replace("_", " "), key=key)
        return row

    def _filter(self, found: Select[Any], query: Query) -> Select[Any]:
        if query.search:
            pattern = "%" + query.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            found = found.where(or_(*(self.search(name, pattern) for name in self.noun.search)))
        for name, text in query.filters.items():
            found = found.where(self.filter(name, text))
        return found

    def search(self, name: str, pattern: str) -> ColumnElement[bool]:
        r"""The condition of one field that is searched; ``\`` in the pattern takes a character as it is."""
        return like(self.column(name), pattern)

    def filter(self, name: str, text: str) -> ColumnElement[bool]:
        """The condition of one filter, from the text of an address."""
        column = self.column(name)
        if self.noun.field(name).kind is Kind.BOOLEAN:
            return column.is_(text.lower() in {"true", "1", "yes"})  # type: ignore[no-any-return]
        return column == text  # type: ignore[no-any-return]

    def _sort(self, found: Select[Any], query: Query) -> Select[Any]:
        name = query.sort or self.noun.sort or self.noun.key
        column, key = self.column(name.removeprefix("-")), self.column(self.noun.key)
        if name.startswith("-"):
            return found.order_by(column.desc(), key.desc())
        return found.order_by(column, key)

    def _records(self, db: Session, rows: Sequence[Any]) -> tuple[Record, ...]:
        return tuple(Record(str(values[self.noun.key]), values) for values in self.values_of(db, rows))

    def _record(self, db: Session, row: Any) -> Record:
        return self._records(db, [row])[0]

    def _has_secrets(self, values: Mapping[str, Any]) -> bool:
        return any(self.noun.field(name).kind is Kind.SECRET for name in values)

    def _record_act(self, db: Session, actor: Actor, verb: str, before: Record | None, after: Record | None) -> None:
        """One row of the audit log: of a change only the fields that differ."""
        old, new = (self.noun.to_json(record.values) if record else None for record in (before, after))
        if old is not None and new is not None:
            names = [name for name in new if old.get(name) != new[name]]
            old, new = {name: old.get(name) for name in names}, {name: new[name] for name in names}
        audit.record(
            db,
            actor=actor.name,
            action=f"{self.noun.singular}.{verb}",
            object=(after or before or Record("", {})).key,
            source=actor.source,
            details={"before": old, "after": new},
        )


def list_slot_kinds(db: Session) -> dict[str, SlotKind]:
    """Every slot that exists here, and how it is counted."""
    query = select(ResourceSlotType.name, ResourceSlotType.kind)
    own = remembered(db, "slot kinds", lambda: {name: SlotKind(kind) for name, kind in db.execute(query)})
    return {**KNOWN_SLOTS, **dict(sorted(own.items()))}


def _plain(value: Any) -> Any:
    """A column's value as a record has it."""
    if isinstance(value, list):
        return tuple(value)
    return getattr(value, "value", value) if type(value).__module__.endswith("identity") else value


def _stored(value: Any) -> Any:
    """A record's value as a JSON column takes it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {name: list(part) if isinstance(part, tuple) else part for name, part in value.items()}
    return value


def check_references(db: Session, field: str, names: Sequence[str], column: Any) -> list[Violation]:
    """A violation for every name that the column does not have."""
    known = set(db.scalars(select(column).where(column.in_(names)))) if names else set()
    message = N_("There is no %(name)s.")
    return [Violation(message, {"name": name}, field, "unknown") for name in names if name not in known]
