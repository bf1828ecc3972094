"""Tickets of logins that wait for a step: the browser has a random word, the database its hash and the sealed rest."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta

from ...core.names import is_name
from ...store import logins
from ...store.crypt import Crypt
from .attempts import hash_text
from .flow import Flow

LIFE = timedelta(minutes=10)


def seal(crypt: Crypt, flow: Flow) -> tuple[str, logins.Ticket]:
    """A new ticket: what the browser gets, and the row."""
    browser = secrets.token_urlsafe(32)
    ticket_id = hash_text(browser)
    payload = crypt.encrypt(json.dumps(flow.to_json()), f"ticket:{ticket_id}")
    # What is no name is nobody's, and may be too long for a column, or hold what no column takes; the payload has it.
    name = flow.name if is_name(flow.name) else ""
    return browser, logins.Ticket(ticket_id, name, flow.step, "", payload)


def unseal(crypt: Crypt, ticket: logins.Ticket) -> Flow:
    """The inverse of :func:`seal`."""
    flow = Flow.from_json(json.loads(crypt.decrypt(ticket.payload, f"ticket:{ticket.id}")))
    flow.step, flow.ticket_id = ticket.step, ticket.id
    return flow
