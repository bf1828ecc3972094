"""A table as a CSV file: the rows that the page's search and filters find, with every field."""

from __future__ import annotations

from ...core.nouns import parse_query
from .. import csv_files
from ..auth import administrative
from .lists import ListHandler

# It tells spreadsheets that what follows is UTF-8.
MARK = "\ufeff"


class FileHandler(ListHandler):
    """The whole list of a noun."""

    @administrative
    async def get(self, name: str) -> None:
        records = self.find_records(name)
        await csv_files.stream(self, self.actor, records, parse_query(records.noun, self.read_arguments()), mark=MARK)


default_handlers = [(r"admin/([a-z_]+)\.csv", FileHandler)]
