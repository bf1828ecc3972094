"""Many things at once from a CSV file: looked at first, then made so, all of it or nothing."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from ... import i18n
from ...core.nouns import Field, Kind, Noun
from ...errors import N_, BackendAIError, InvalidParameters, NotFound, Violation
from ...store import bulk_imports
from ...store.bulk_rows import Row, Step, Undone, make
from ...store.records import Records
from ..auth import administrative
from ..bulk_imports import count_passwords, write
from ..csv_files import FORMULA
from .base import NOUN_PATH, can_import
from .forms import RecordPage
from .settings import HIDDEN
from .show import show

MAX_ROWS = 10_000
MAX_SIZE = 3_000_000
# Files of more lines, or with more passwords, are worked on in the background.
FEW_ROWS, FEW_PASSWORDS = 300, 20
# So many lines are shown, and of those that are wrong.
SHOWN = 300
_JSON = frozenset({Kind.SLOTS, Kind.HOSTS, Kind.LABELS, Kind.OPTIONS})
_LISTS = frozenset({Kind.CHOICES, Kind.REFERENCES, Kind.WORDS})


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
            if len(rows) > FEW_ROWS or count_passwords(records.noun, rows) > FEW_PASSWORDS:
                import_id = await self.importer.look(records, self.actor, rows)
                self.redirect(self.url_of(name, "import", import_id), status=303)
                return
            try:
                steps = await self._make(records, rows, is_applied=is_applied)
            except Undone as undone:
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

    async def _make(self, records: Records, rows: Sequence[Row], *, is_applied: bool) -> Sequence[Step]:
        if not is_applied:
            return await self.db.run_exclusive(make, records, self.actor, rows, is_applied=False)
        hashes = await self.importer.hash(records, rows)
        return await self.db.run_exclusive(write, records, self.actor, rows, hashes)

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
        lines = [self._describe(noun, step) for step in choose_shown(steps)]
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


class ImportProgressHandler(ImportHandler):
    """The page of a large file: how far it is, what it would do, and the button that does it."""

    @administrative
    async def get(self, name: str, import_id: str = "") -> None:
        records = self._find(name)
        progress, steps = await self.importer.find(import_id, records.noun, self.actor)
        result = progress.result
        lines = [self._describe(records.noun, step) for step in choose_shown(steps)]
        message = i18n.translate(self.language, str(result.get("message", "")), result.get("params") or {}) if result.get("message") else ""
        percent = round(100 * progress.done / progress.total) if progress.total else 0
        page: dict[str, Any] = {"noun": records.noun, "progress": progress, "lines": lines, "message": message, "percent": percent}
        self.render_admin("admin/import_progress.html", records.noun.name, rest=len(steps) - len(lines), words=STATES, **page)

    @administrative
    async def post(self, name: str, import_id: str = "") -> None:
        records = self._find(name)
        await self.importer.apply(import_id, records, self.actor, lambda: self.forget(records.noun))
        self.redirect(self.url_of(name, "import", import_id), status=303)


def choose_shown(steps: Sequence[Step]) -> list[Step]:
    """The lines that a page has room for: those that are wrong before all others, in their order."""
    if len(steps) <= SHOWN:
        return list(steps)
    wrong = [step for step in steps if step.errors][:SHOWN]
    others = [step for step in steps if not step.errors][: SHOWN - len(wrong)]
    return sorted([*wrong, *others], key=lambda step: step.line)


STATES = {
    bulk_imports.LOOKING: N_("Looking at what would change"),
    bulk_imports.LOOKED: N_("What the file would do"),
    bulk_imports.HASHING: N_("Preparing the passwords"),
    bulk_imports.WRITING: N_("Writing"),
    bulk_imports.DONE: N_("Everything was made so"),
    bulk_imports.FAILED: N_("Nothing was changed."),
}

default_handlers = [
    (rf"admin/{NOUN_PATH}/import", ImportHandler),
    (rf"admin/{NOUN_PATH}/import/([0-9a-f]{{32}})", ImportProgressHandler),
]
