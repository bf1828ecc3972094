"""A table as a CSV file: the rows that the page's search and filters find, with every field."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tornado.iostream import StreamClosedError

from ...core.nouns import Kind, Noun, Record, parse_query
from ..auth import administrative
from .lists import ListHandler

PAGE_SIZE = 500
# What a spreadsheet would take for a formula when a cell begins with it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class FileHandler(ListHandler):
    """The whole list, page by page, so that its length costs no memory."""

    @administrative
    async def get(self, name: str) -> None:
        records = self.find_records(name)
        noun = records.noun
        query = replace(parse_query(noun, self.read_arguments()), page=1, page_size=PAGE_SIZE)
        page = await self.db.run(records.list_page, self.actor, query)
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{noun.name}.csv"')
        names = [item.name for item in noun.fields if item.kind is not Kind.SECRET]
        # The mark at the beginning tells spreadsheets that this is UTF-8.
        self.write("\ufeff" + write_rows([names]))
        for number in range(1, page.page_count + 1):
            if number > 1:
                page = await self.db.run(records.list_page, self.actor, replace(query, page=number))
            self.write(await asyncio.to_thread(write_records, noun, names, page.records))
            try:
                await self.flush()
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


default_handlers = [(r"admin/([a-z_]+)\.csv", FileHandler)]
