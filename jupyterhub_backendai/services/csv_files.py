"""Lists as CSV files, for pages and programs: every field of the rows that are found, in cells that no spreadsheet runs."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tornado.iostream import StreamClosedError

from ..core.identity import Actor
from ..core.nouns import Kind, Noun, Page, Query, Record
from ..errors import N_, InvalidParameters
from ..store.records import Records
from .base import BaseHandler

PAGE_SIZE = 500
# What a spreadsheet would take for a formula when a cell begins with it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def stream(handler: BaseHandler, actor: Actor, records: Records, query: Query, *, mark: str = "", most: int | None = None) -> None:
    """Answer with every row that is found, page by page, so that a long list costs no memory.

    ``mark`` stands before everything. Raises InvalidParameters when there are more than ``most`` rows.
    """
    noun, query = records.noun, replace(query, page=1, page_size=PAGE_SIZE)
    page: Page = await handler.db.run(records.list_page, actor, query)
    if most is not None and page.total > most:
        message = N_("These are %(total)s rows; at most %(most)s are written. Filter them.")
        raise InvalidParameters(message, total=page.total, most=most)
    handler.set_header("Content-Type", "text/csv; charset=utf-8")
    handler.set_header("Content-Disposition", f'attachment; filename="{noun.name}.csv"')
    names = [item.name for item in noun.fields if item.kind is not Kind.SECRET]
    handler.write(mark + write_rows([names]))
    for number in range(1, page.page_count + 1):
        if number > 1:
            page = await handler.db.run(records.list_page, actor, replace(query, page=number))
        handler.write(await asyncio.to_thread(write_records, noun, names, page.records))
        try:
            await handler.flush()
        except StreamClosedError:
            return


def write_records(noun: Noun, names: Sequence[str], records: Sequence[Record]) -> str:
    """Records as lines of a CSV file."""
    return write_rows([[write_cell(values.get(name)) for name in names] for values in (noun.to_json(record.values) for record in records)])


def write_rows(rows: Sequence[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerows(rows)
    return file.getvalue()


def write_cell(value: Any) -> str:
    """A value of JSON as a cell that no spreadsheet runs."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, Mapping):
        text = json.dumps(value, ensure_ascii=False, default=str) if value else ""
    else:
        text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
