"""The lines of a file of many things, and making them so: all of it or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..core.identity import Actor
from ..core.nouns import Change, Kind, Noun, Record
from ..core.slots import SlotKind
from ..errors import N_, BackendAIError, Conflict, NotFound, Violation
from .records import Records, list_slot_kinds
from .records.memory import remember_all
from .safe import KEY, Safe, get_safe

PIECE = 250


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a file: its number, and the data of the cells that are not empty."""

    line: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What a line does: ``create``, ``update`` or "" for nothing; or what is wrong with it."""

    line: int
    key: str
    verb: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    errors: Sequence[Violation] = ()


class Undone(Exception):
    """Carries the answer out of a transaction that is rolled back."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = steps


def make(db: Session, records: Records, actor: Actor, rows: Sequence[Row], *, is_applied: bool, seen: set[str] | None = None) -> list[Step]:
    """Do what the lines say. Raises Undone, so that nothing stays, when it is only looked at or when a line is wrong.

    ``seen`` are the keys of lines before these, and grows.
    """
    if not is_applied and (safe := get_safe(db)) and safe.hash_password:
        db.info[KEY] = Safe(safe.crypt, lambda _: "-")  # of what is undone, no password need be hashed
    kinds = list_slot_kinds(db)
    steps, seen = [], set() if seen is None else seen
    for row in rows:
        key = str(row.data.get(records.noun.key, ""))
        if key in seen:
            steps.append(Step(row.line, key, errors=[Violation(N_("%(name)s comes twice."), {"name": key}, records.noun.key, "twice")]))
            continue
        seen.add(key)
        steps.append(_make_one(db, records, actor, row, key, kinds))
    if not is_applied or any(step.errors for step in steps):
        raise Undone(steps)
    return steps


def make_known(db: Session, records: Records, actor: Actor, rows: Sequence[Row], steps: Sequence[Step]) -> None:
    """Do what was looked at before, as fast as can be: the first line that is wrong by now raises its error, and nothing stays."""
    remember_all(db)
    made: list[Any] = []
    try:
        for row, step in zip(rows, steps, strict=True):
            if step.verb == "create":
                made.append(records.make_row(db, actor, row.data))
            elif step.verb == "update":
                _update(db, records, actor, row, step.key, list_slot_kinds(db))
            if len(made) == PIECE:
                records.record_new(db, actor, made)
                made = []
        records.record_new(db, actor, made)
        db.flush()
    except IntegrityError as exc:
        raise Conflict(N_("Somebody else changed this meanwhile. Look at it again, then change it.")) from exc


def _update(db: Session, records: Records, actor: Actor, row: Row, key: str, kinds: Mapping[str, SlotKind]) -> tuple[Record, Change | None]:
    """Change what differs; the record before, and None where nothing does."""
    noun, record = records.noun, records.find(db, actor, key)
    data = {name: value for name, value in row.data.items() if not noun.field(name).is_fixed and name != noun.key}
    values = noun.parse(data, is_new=False, slot_kinds=kinds)
    data = {name: data[name] for name in values if values[name] != record.values.get(name)}
    return record, records.update(db, actor, key, data) if data else None


def _make_one(db: Session, records: Records, actor: Actor, row: Row, key: str, kinds: Mapping[str, SlotKind]) -> Step:
    noun = records.noun
    try:
        with db.begin_nested():
            try:
                before, change = _update(db, records, actor, row, key, kinds)
            except NotFound:
                made = records.add(db, actor, row.data)
                return Step(row.line, key, "create", None, _pick(noun, made.after.values if made.after else {}, row.data))
            if change is None:
                return Step(row.line, key)
            after = change.after.values if change.after else {}
            names = {name for name in row.data if before.values.get(name) != after.get(name) or noun.field(name).kind is Kind.SECRET}
            return Step(row.line, key, "update", _pick(noun, before.values, names), _pick(noun, after, names))
    except BackendAIError as exc:
        return Step(row.line, key, errors=exc.violations or [Violation(exc.message, exc.params)])


def _pick(noun: Noun, values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The values of the fields that a line names."""
    return {name: values.get(name) for name in names if name != noun.key}
