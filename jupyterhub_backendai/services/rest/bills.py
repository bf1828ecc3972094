"""``bills``: the credit that pays for one's sessions, statements, and giving credit. Amounts are texts of plain numbers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from ...core.identity import Actor
from ...core.statements import Line, Statement
from ...store import audit, ledger, statements
from ..admin.bills import give, read_credit
from ..auth import authenticated
from ..base import ApiHandler, JSONHandler
from ..bills import Asked, describe_balance, find_edges, load, read_arguments, read_asked, write_csv
from .admin import AdminHandler, PrivateAdminHandler, require_superadmin

MOST_ACCOUNTS = 10_000


def describe(statement: Statement) -> dict[str, Any]:
    """A statement as JSON. ``opening`` and ``closing`` are null for one who does not pay here."""
    amounts = {name: getattr(statement, name) for name in ("charged", "refunded", "total", "opening", "closing")}
    return {
        "scope": statement.subject.scope,
        "name": statement.subject.key,
        "from": statement.first.isoformat(),
        "until": statement.until.isoformat(),
        **{name: None if amount is None else format(amount, "f") for name, amount in amounts.items()},
        "credit": [
            {"at": item.at.isoformat(), "amount": format(item.amount, "f"), "by": item.actor, "note": item.note}
            for item in statement.movements
        ],
        "lines": [describe_line(line) for line in statement.lines],
    }


def describe_line(line: Line) -> dict[str, Any]:
    """What one session came to; ``source`` is ``accounting``, or ``records`` for the platform's own."""
    return {
        "session": line.session_id,
        "name": line.name,
        "charged_at": line.at.isoformat(),
        "user": line.user,
        "domain": line.domain,
        "project": line.project,
        "queue": line.queue,
        "seconds": line.seconds,
        "slots": line.slots.to_json(),
        "source": line.source,
        **{name: format(getattr(line, name), "f") for name in ("charged", "refunded", "amount")},
    }


class BalanceHandler(ApiHandler):
    """``GET bills``: the accounts that pay for the caller's sessions."""

    @authenticated
    async def get(self) -> None:
        billing = self.config.make_billing()
        found = await self.db.run(statements.list_payers, self.identity.name)
        accounts = [describe_balance(subject, balance, billing.currency) for subject, balance in found]
        self.answer({"payer": billing.payer, "limit": billing.limit, "accounts": accounts})


class StatementHandler(ApiHandler):
    """``GET bills/statement``: of a month; ``scope``, ``name``, ``month``, and ``format=csv``."""

    @authenticated
    async def get(self) -> None:
        asked = read_asked(read_arguments(self), self.identity.name, datetime.now(UTC).astimezone())
        await answer_statement(self, await load(self, asked))


async def answer_statement(handler: JSONHandler, statement: Statement) -> None:
    """As JSON, or as the CSV file of the page; written beside the loop, for a domain's month may be long."""
    if handler.get_query_argument("format", "") == "csv":
        handler.set_header("Content-Type", "text/csv; charset=utf-8")
        handler.finish(await asyncio.to_thread(write_csv, statement))
        return
    handler.answer(await asyncio.to_thread(describe, statement))


class AdminVerbs(JSONHandler):
    """What the handlers for administrators share."""

    actor: Actor


class AccountsHandler(AdminVerbs):
    """``GET admin/bills``: who pays, with their balances; ``q`` searches by name."""

    async def get(self) -> None:
        billing = self.config.make_billing()
        found = await self.db.run(statements.list_accounts, self.actor, self.get_query_argument("q", "")[:256], MOST_ACCOUNTS)
        items = [describe_balance(subject, balance, billing.currency) for subject, balance in found]
        self.answer({"items": items, "total": len(items)})


class CreditHandler(AdminVerbs):
    """``POST admin/bills/credit {"scope", "name", "amount", "note", "reference"}``: the same reference twice is done once."""

    async def post(self) -> None:
        require_superadmin(self.actor)
        billing = self.config.make_billing()
        credit = read_credit({"scope": billing.payer, **self.read_body()})
        subject, balance = await self.db.run_exclusive(give, self.actor, credit, datetime.now(UTC))
        self.answer(describe_balance(subject, balance, billing.currency))


class CheckHandler(AdminVerbs):
    """``POST admin/bills/check``: balances that are not what their entries come to; ``{"mend": true}`` puts them right.

    ``{"again": true}`` has sessions that were charged from our own records charged from accounting within a minute, if it knows them.
    """

    async def post(self) -> None:
        require_superadmin(self.actor)
        body = self.read_body()
        is_mending = body.get("mend") is True
        again = await self.db.run_exclusive(ledger.reopen_records) if body.get("again") is True else 0
        wrong = await self.db.run_exclusive(ledger.compare, is_mending=is_mending)
        found = [
            {"account": account, "noted": format(noted.total, "f"), "counted": format(counted.total, "f")}
            for account, noted, counted in wrong
        ]
        if (is_mending and found) or again:
            who = {"actor": self.actor.name, "source": self.actor.source}
            await self.db.run(audit.record, action="ledger.mend", details={"accounts": found if is_mending else [], "again": again}, **who)
        self.answer({"wrong": found, "mended": is_mending, "again": again})


class AdminStatementHandler(AdminVerbs):
    """``GET admin/bills/statement``: the same statement for whoever administers, also on the machine itself."""

    async def get(self) -> None:
        arguments = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        asked: Asked = read_asked(arguments, "", datetime.now(UTC).astimezone())
        subject = await self.db.run(statements.find_subject, self.actor, asked.scope, asked.name)
        await answer_statement(self, await self.db.run(statements.load_statement, subject, *find_edges(asked.year, asked.month)))


class PublicAccountsHandler(AccountsHandler, AdminHandler):
    """Over HTTP."""


class PublicCreditHandler(CreditHandler, AdminHandler):
    """Over HTTP."""


class PublicCheckHandler(CheckHandler, AdminHandler):
    """Over HTTP."""


class PublicAdminStatementHandler(AdminStatementHandler, AdminHandler):
    """Over HTTP."""


class PrivateAccountsHandler(AccountsHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateCreditHandler(CreditHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateCheckHandler(CheckHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateAdminStatementHandler(AdminStatementHandler, PrivateAdminHandler):
    """On the private listener."""


_PATH = "rest/v1/admin/bills"
default_handlers = [
    (r"rest/v1/bills", BalanceHandler),
    (r"rest/v1/bills/statement", StatementHandler),
    (_PATH, PublicAccountsHandler),
    (f"{_PATH}/credit", PublicCreditHandler),
    (f"{_PATH}/check", PublicCheckHandler),
    (f"{_PATH}/statement", PublicAdminStatementHandler),
]
private_handlers = [
    (f"/private/{_PATH}", PrivateAccountsHandler),
    (f"/private/{_PATH}/credit", PrivateCreditHandler),
    (f"/private/{_PATH}/check", PrivateCheckHandler),
    (f"/private/{_PATH}/statement", PrivateAdminStatementHandler),
]
