"""Many things at once from a CSV file: looked at first, then made so, all of it or nothing."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ... import i18n
from ...core.identity import Actor
from ...core.nouns import Change, Field, Kind, Noun
from ...core.slots import SlotKind
from ...errors import N_, BackendAIError, InvalidParameters, NotFound, Violation
from ...store.records import Records, list_slot_kinds
from ..auth import administrative
from ..csv_files import FORMULA
from .base import NOUN_PATH, can_import
from .forms import RecordPage
from .settings import HIDDEN
from .show import show

MAX_ROWS = 2000
MAX_SIZE = 900_000
_JSON = frozenset({Kind.SLOTS, Kind.HOSTS, Kind.LABELS, Kind.OPTIONS})
_LISTS = frozenset({Kind.CHOICES, Kind.REFERENCES, Kind.WORDS})


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


class _Undone(Exception):
    """Carries the answer out of a transaction that is rolled back."""

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.steps = steps


def read_rows(noun: Noun, text: str) -> list[Row]:
    """The lines of a file whose first line names the fields. Fields that are only shown may be there: they are passed over.

    Raises InvalidParameters for what is no such file, and for a column that nothing is known of.
    """
    first = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=delimiter, strict=True))
    except csv.Error as exc:
        raise _refuse(N_("This is no CSV file: %(problem)s."), problem=str(exc)) from exc
    head = [name.strip() for name in lines[0]] if lines else []
    unknown = [name for name in head if name not in noun.field_names]
    if unknown:
        raise _refuse(N_("There is no field %(field)s here."), field=unknown[0][:64])
    if noun.key not in head or len(set(head)) < len(head):
        raise _refuse(N_("The first line names the columns, each once; one of them is %(name)s."), name=noun.key)
    rows = [Row(number, _read_line(noun, head, cells)) for number, cells in enumerate(lines[1:], 2) if any(cell.strip() for cell in cells)]
    if not rows or len(rows) > MAX_ROWS:
        raise _refuse(N_("Give 1 to %(most)s lines beneath the names of the columns."), most=MAX_ROWS)
    return rows


def _read_line(noun: Noun, head: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    found = {name: _read_cell(noun.field(name), cell.strip()) for name, cell in zip(head, cells, strict=False) if cell.strip()}
    return {name: value for name, value in found.items() if not noun.field(name).is_computed}


def _read_cell(item: Field, text: str) -> Any:
    if text.startswith("'") and text[1:].startswith(FORMULA):
        text = text[1:]  # as our own files write what a spreadsheet would run
    if item.kind in _LISTS:
        return [part.strip() for part in text.split(",")]
    if item.kind in _JSON:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _refuse(message: str, **params: Any) -> InvalidParameters:
    return InvalidParameters(violations=[Violation(message, params, "document", "invalid")])


def make(db: Session, records: Records, actor: Actor, rows: Sequence[Row], *, is_applied: bool) -> list[Step]:
    """Do what the lines say. Raises with the steps, so that nothing stays, when it is only looked at or when a line is wrong."""
    kinds = list_slot_kinds(db)
    steps, seen = [], set()
    for row in rows:
        key = str(row.data.get(records.noun.key, ""))
        if key in seen:
            steps.append(Step(row.line, key, errors=[Violation(N_("%(name)s comes twice."), {"name": key}, records.noun.key, "twice")]))
            continue
        seen.add(key)
        steps.append(_make_one(db, records, actor, row, key, kinds))
    if not is_applied or any(step.errors for step in steps):
        raise _Undone(steps)
    return steps


def _make_one(db: Session, records: Records, actor: Actor, row: Row, key: str, kinds: Mapping[str, SlotKind]) -> Step:
    noun = records.noun
    try:
        with db.begin_nested():
            try:
                record = records.find(db, actor, key)
            except NotFound:
                change: Change = records.add(db, actor, row.data)
                return Step(row.line, key, "create", None, _pick(noun, change.after.values if change.after else {}, row.data))
            data = {name: value for name, value in row.data.items() if not noun.field(name).is_fixed and name != noun.key}
            values = noun.parse(data, is_new=False, slot_kinds=kinds)
            data = {name: data[name] for name in values if values[name] != record.values.get(name)}
            if not data:
                return Step(row.line, key)
            change = records.update(db, actor, key, data)
            after = change.after.values if change.after else {}
            return Step(row.line, key, "update", _pick(noun, record.values, data), _pick(noun, after, data))
    except BackendAIError as exc:
        return Step(row.line, key, errors=exc.violations or [Violation(exc.message, exc.params)])


def _pick(noun: Noun, values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields that a line names."""
    return {name: values.get(name) for name in names if name != noun.key}


class ImportHandler(RecordPage):
    """The page: a file or its text, what it would do, and the button that does it."""

    @administrative
    async def get(self, name: str) -> None:
        self._show(self._find(name), "")

    @administrative
    async def post(self, name: str) -> None:
        records = self._find(name)
        text, is_applied = self._read(), self.get_body_argument("act", "") == "apply"
        try:
            rows = await asyncio.to_thread(read_rows, records.noun, text)
            try:
                steps: Sequence[Step] = await self.db.run_exclusive(make, records, self.actor, rows, is_applied=is_applied)
            except _Undone as undone:
                steps, is_applied = undone.steps, False
        except BackendAIError as exc:
            if exc.status >= 500:
                raise
            self._show(records, text, self.explain_all(exc)[1], status=exc.status)
            return
        if is_applied:
            await self.forget(records.noun)
            self.redirect(self.url_of(name, notice="applied"), status=303)
            return
        self._show(records, text, steps=steps, status=400 if any(step.errors for step in steps) else 200)

    def _find(self, name: str) -> Records:
        records = self.find_records(name)
        if not can_import(records.noun, self.actor):
            raise NotFound
        return records

    def _read(self) -> str:
        files = self.request.files.get("file") or []
        data = files[0].body if files and files[0].body else (self.request.body_arguments.get("document") or [b""])[-1]
        for encoding in ("utf-8-sig", "cp949"):  # what spreadsheets of Korean desktops write
            try:
                return data[:MAX_SIZE].decode(encoding).replace("\r\n", "\n").replace("\0", "")
            except UnicodeError:
                continue
        return ""

    def _show(
        self, records: Records, text: str, summary: Sequence[tuple[str, str]] = (), *, status: int = 200, steps: Sequence[Step] = ()
    ) -> None:
        noun = records.noun
        lines = [self._describe(noun, step) for step in steps]
        fields = [item for item in noun.fields if not item.is_computed]
        counts = {verb: sum(step.verb == verb and not step.errors for step in steps) for verb in ("create", "update", "")}
        page = {"document": text, "summary": summary, "lines": lines, "fields": fields, "counts": counts, "noun": noun}
        self.render_admin("admin/import.html", noun.name, status=status, wrong=sum(bool(step.errors) for step in steps), **page)

    def _describe(self, noun: Noun, step: Step) -> dict[str, Any]:
        """A step in the reader's words."""
        labels = {item.name: i18n.translate(self.language, item.label) for item in noun.fields}
        errors = [f"{labels.get(item.field, item.field)}: {i18n.explain(self.language, item)}" for item in step.errors]
        changes = [
            (labels[name], self._tell(noun.field(name), (step.before or {}).get(name)), self._tell(noun.field(name), value))
            for name, value in (step.after or {}).items()
        ]
        return {"line": step.line, "key": step.key, "verb": step.verb, "errors": errors, "changes": changes}

    def _tell(self, item: Field, value: Any) -> str:
        """A value in words; of a secret only that there is one."""
        return HIDDEN if item.kind is Kind.SECRET else show(self.language, item, value).text


default_handlers = [(rf"admin/{NOUN_PATH}/import", ImportHandler)]
