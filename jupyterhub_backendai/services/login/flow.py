"""A login that is under way: what is known of it, from its first page to its last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...core.identity import PasswordCheck, Person
from .attempts import Keys, Known

Work = Callable[[Session, datetime], None]
"""What a step writes, in the transaction that uses its ticket up."""

_KEPT = ("name", "source", "next", "reason", "grace_left", "expires_in_s", "password", "done", "data", "challenge", "codes", "notes")


@dataclass(slots=True)
class Flow:
    """One login. Between two pages it is kept encrypted in its ticket; ``known`` is read anew for each.

    ``reason`` is what the directory has against the password: with a ``person`` it can be put right, without one this login cannot
    succeed any more and only goes on so that nobody learns which part was wrong. ``password`` is kept only for a factor that is
    sent it with the code. ``challenge`` is what that factor wants next: its ``message`` and ``state``.
    """

    name: str
    source: str
    next: str = ""
    person: Person | None = None
    reason: str = ""
    grace_left: int | None = None
    expires_in_s: int | None = None
    password: str = field(default="", repr=False)
    done: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    challenge: dict[str, str] = field(default_factory=dict, repr=False)
    codes: list[str] = field(default_factory=list, repr=False)
    notes: list[dict[str, Any]] = field(default_factory=list)
    known: Known = field(default_factory=Known, repr=False)
    step: str = ""
    ticket_id: str = ""

    @property
    def keys(self) -> Keys:
        """What failures are counted under."""
        return Keys(self.name, self.source)

    def take(self, checked: PasswordCheck) -> None:
        """Remember what the directory said."""
        self.person, self.reason = checked.person, checked.reason
        self.grace_left, self.expires_in_s = checked.grace_left, checked.expires_in_s

    def to_json(self) -> dict[str, Any]:
        """What the ticket holds. A rule may look at any attribute, so they are kept too."""
        person = None
        if self.person:
            attributes = {name: list(values) for name, values in self.person.attributes.items()}
            person = {**self.person.to_json(), "attributes": attributes}
        return {"person": person, **{name: getattr(self, name) for name in _KEPT}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Flow:
        """The inverse of :meth:`to_json`."""
        fields = {name: data[name] for name in _KEPT}
        person = None
        if found := data["person"]:
            attributes = {name: tuple(values) for name, values in found["attributes"].items()}
            person = Person.from_json({**found, "attributes": attributes})
        return cls(person=person, **fields)

    def find_person(self) -> Person:
        """The person of a step that only people reach whose password was right."""
        if self.person is None:
            raise RuntimeError("a step without a person")
        return self.person
