"""Who pays here, with their balances; superadministrators give credit, or take it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from ...core.ledger import Balance
from ...core.statements import Subject
from ...errors import N_, BackendAIError, InvalidParameters, Violation
from ...store import ledger, statements
from ...store.models import new_id
from ..auth import administrative
from ..bills import SCOPE_WORDS
from .base import AdminHandler

SHOWN = 100
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)
MAX_NOTE = 200


@dataclass(frozen=True, slots=True)
class Credit:
    """What somebody is to be given; below zero, what is to be taken. ``reference`` makes doing it twice harmless."""

    scope: str
    name: str
    amount: Decimal
    note: str
    reference: str


def read_credit(data: Mapping[str, Any]) -> Credit:
    """An act of credit from a form or a program. Raises InvalidParameters with everything that is wrong."""
    texts = {name: str(data.get(name) or "").strip() for name in ("scope", "name", "amount", "note", "reference")}
    found: list[Violation] = []
    amount = Decimal(0)
    try:
        amount = Decimal(texts["amount"]) if _AMOUNT.fullmatch(texts["amount"]) else amount
    except InvalidOperation:
        amount = Decimal(0)
    if not amount:
        found.append(Violation(N_("Give an amount, such as 10000; with - in front it is taken away."), {}, "amount", "invalid"))
    if len(texts["note"]) > MAX_NOTE or not texts["note"].isprintable():
        found.append(Violation(N_("At most %(most)s characters."), {"most": MAX_NOTE}, "note", "invalid"))
    if not _REFERENCE.fullmatch(texts["reference"]) or len(texts["name"]) > 256 or not texts["name"].isprintable():
        raise InvalidParameters(N_("The request could not be read."))
    if found:
        raise InvalidParameters(violations=found)
    return Credit(texts["scope"], texts["name"], amount, texts["note"], texts["reference"])


def give(db: Any, actor: Any, credit: Credit, at: datetime) -> tuple[Subject, Balance]:
    """Find whose account it is, and do it, in one transaction (use it exclusively). Raises NotFound, InvalidParameters."""
    subject = statements.find_subject(db, actor, credit.scope, credit.name)
    return subject, ledger.give_credit(db, actor, subject.account, credit.amount, credit.note, at, credit.reference)


class BillsHandler(AdminHandler):
    """GET lists the accounts of who pays here."""

    @administrative
    async def get(self) -> None:
        await self.show()

    async def show(self, error: BackendAIError | None = None, typed: Mapping[str, str] | None = None) -> None:
        """The page; after a refusal with what was typed."""
        search = self.get_query_argument("q", "")[:256].replace("\0", "").strip()
        found = await self.db.run(statements.list_accounts, self.actor, search, SHOWN + 1)
        errors, summary = self.explain_all(error) if error else ({}, [])
        billing = self.config.make_billing()
        self.render_admin(
            "admin/bills.html",
            "bills",
            status=error.status if error else 200,
            accounts=found[:SHOWN],
            more=len(found) > SHOWN,
            search=search,
            errors=errors,
            summary=summary,
            typed=dict(typed or {}),
            billing=billing,
            money=billing.currency.format,
            scope=SCOPE_WORDS[billing.payer],
            scope_words=SCOPE_WORDS,
            reference=new_id(),
            bills_url=lambda subject: f"{self.hub_auth.base_url}bills?{urlencode({'scope': subject.scope, 'name': subject.key})}",
        )


class CreditHandler(BillsHandler):
    """POST gives credit; superadministrators only."""

    @administrative
    async def post(self) -> None:
        self.require_superadmin()
        names = ("name", "amount", "note", "reference")
        typed = {name: self.get_body_argument(name, "")[:1000] for name in names}
        try:
            credit = read_credit({**typed, "scope": self.config.make_billing().payer})
            await self.db.run_exclusive(give, self.actor, credit, datetime.now(UTC))
        except BackendAIError as exc:
            await self.show(exc, typed)
            return
        self.redirect(f"{self.base}bills?{urlencode({'q': credit.name.rpartition('/')[2], 'notice': 'credited'})}", status=303)

    @administrative
    async def get(self) -> None:
        self.redirect(f"{self.base}bills")


default_handlers = [(r"admin/bills", BillsHandler), (r"admin/bills/credit", CreditHandler)]
