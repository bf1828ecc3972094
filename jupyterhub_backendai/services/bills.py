"""Bills: the credit that pays for one's sessions, and a month's statement of a person, a project or a domain, as page and CSV file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

from .. import i18n
from ..core.identity import Actor, Identity, Role
from ..core.ledger import RECORDS, Balance
from ..core.prices import NODE, Currency
from ..core.slots import KNOWN_SLOTS
from ..core.statements import SCOPES, Line, Statement, Subject, list_cells, parse_month, step_month
from ..errors import N_, InvalidParameters, NotFound
from ..store import statements, users
from .admin.show import show_slots
from .auth import authenticated
from .base import HubUserHandler, PageHandler
from .csv_files import write_cell, write_rows

PAGE_SIZE = 100
SCOPE_WORDS = {"user": N_("User"), "project": N_("Project"), "domain": N_("Domain")}
PAYER_WORDS = {
    "user": N_("Your credit"),
    "project": N_("Credit of the project %(name)s"),
    "domain": N_("Credit of the domain %(name)s"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for."""

    scope: str
    name: str
    year: int
    month: int
    page: int = 1

    @property
    def month_text(self) -> str:
        return f"{self.year:04}-{self.month:02}"


def read_asked(arguments: Mapping[str, str], own_name: str, at: datetime) -> Asked:
    """What is asked for; one's own statement of this month without parameters. Raises InvalidParameters."""
    scope = arguments.get("scope", "") or "user"
    name = arguments.get("name", "") or (own_name if scope == "user" else "")
    year, month = parse_month(arguments.get("month", ""), at)
    page = arguments.get("page", "") or "1"
    if scope not in SCOPES or not (page.isascii() and page.isdigit() and 0 < int(page[:9]) < 10**6) or "\0" in name:
        raise InvalidParameters(N_("The request could not be read."))
    return Asked(scope, name[:256], year, month, int(page))


def find_edges(year: int, month: int) -> tuple[datetime, datetime]:
    """When a month begins and ends, by the machine's zone."""
    first, until = (year, month), step_month(year, month, 1)
    begin, end = (datetime(*edge, 1).astimezone(UTC) for edge in (first, until))
    return begin, end


async def find_viewer(handler: HubUserHandler) -> Actor:
    """Who reads. An administrator's role is read anew: one that was taken away is gone at once."""
    identity: Identity | None = handler.identity
    if identity and identity.role is not Role.USER:
        identity = await handler.db.run(users.get_identity, identity.name)
    if identity is None or not identity.is_active:
        raise NotFound
    return Actor(identity.name, identity.role, identity.domain, handler.request.remote_ip or "")


async def load(handler: HubUserHandler, asked: Asked) -> Statement:
    """A statement, if the caller may read it. Raises NotFound."""
    subject = await handler.db.run(statements.find_subject, await find_viewer(handler), asked.scope, asked.name)
    return await handler.db.run(statements.load_statement, subject, *find_edges(asked.year, asked.month))


def read_arguments(handler: HubUserHandler) -> dict[str, str]:
    return {name: handler.get_query_argument(name) for name in handler.request.query_arguments}


class BillsHandler(PageHandler):
    """GET only: whose and of which month is in the address."""

    @authenticated
    async def get(self) -> None:
        asked = read_asked(read_arguments(self), self.identity.name, datetime.now(UTC).astimezone())
        statement = await load(self, asked)
        pages = max(1, -(-len(statement.lines) // PAGE_SIZE))
        page = min(asked.page, pages)
        is_own = (asked.scope, asked.name) == ("user", self.identity.name)
        payers = await self.db.run(statements.list_payers, self.identity.name) if is_own else []
        billing = self.config.make_billing()
        self.render_page(
            "bills.html",
            asked=asked,
            statement=statement,
            is_own=is_own,
            payers=[(self._name_payer(subject), balance) for subject, balance in payers],
            lines=statement.lines[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
            page=page,
            pages=pages,
            queues={total.name: self._label(total.name) for total in statement.sum_by("queue")},
            money=billing.currency.format,
            limit=billing.limit,
            slots_of=self._show_slots,
            from_records=sum(line.source == RECORDS for line in statement.lines),
            scope_words=SCOPE_WORDS,
            url=lambda **changes: address(self.hub_auth.base_url, "bills", asked, **changes),
            csv_url=address(self.hub_auth.base_url, "bills.csv", asked),
            before=_month_text(step_month(asked.year, asked.month, -1)),
            after=_month_text(step_month(asked.year, asked.month, 1)),
            this_month=f"{datetime.now(UTC).astimezone():%Y-%m}",
        )

    def _name_payer(self, subject: Subject) -> str:
        return i18n.translate(self.language, PAYER_WORDS[subject.scope], {"name": subject.name})

    def _label(self, name: str) -> str:
        queue = self.groups.queues().get(name)
        return queue.label(self.language) if queue else name

    def _show_slots(self, line: Line) -> str:
        amounts = {name: amount for name, amount in line.slots.items() if amount and name != NODE}
        whole = i18n.translate(self.language, N_("whole node")) + " · " if NODE in line.slots else ""
        return whole + show_slots(self.language, amounts, KNOWN_SLOTS)


class FileHandler(HubUserHandler):
    """The same statement as a CSV file, every line of it."""

    @authenticated
    async def get(self) -> None:
        asked = read_asked(read_arguments(self), self.identity.name, datetime.now(UTC).astimezone())
        statement = await load(self, asked)
        name = f"bill-{statement.subject.scope}-{asked.month_text}.csv"
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        # The mark at the beginning tells spreadsheets that this is UTF-8.
        self.finish("\ufeff" + await asyncio.to_thread(write_csv, statement))  # a domain's month may be a hundred thousand lines


def write_csv(statement: Statement) -> str:
    """A statement as lines of a file; amounts are numbers, and nothing that people wrote is a formula."""
    return write_rows([[_cell(cell) for cell in row] for row in list_cells(statement)])


def _cell(value: object) -> str:
    if isinstance(value, Decimal | int):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return write_cell(value)


def address(base: str, page: str, asked: Asked, **changes: str) -> str:
    """An address of the same with other parameters."""
    values = {"scope": asked.scope, "name": asked.name, "month": asked.month_text, **changes}
    return f"{base}{page}?{urlencode({name: value for name, value in values.items() if value})}"


def describe_balance(subject: Subject, balance: Balance, currency: Currency) -> dict[str, str]:
    """A balance for programs: amounts are texts of plain numbers."""
    return {
        "scope": subject.scope,
        "name": subject.key,
        "available": format(balance.available, "f"),
        "held": format(balance.held, "f"),
        "balance": format(balance.total, "f"),
        "currency": currency.name,
    }


def _month_text(month: tuple[int, int]) -> str:
    return f"{month[0]:04}-{month[1]:02}"


default_handlers = [(r"bills", BillsHandler), (r"bills\.csv", FileHandler)]
