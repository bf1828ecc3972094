"""People: what a directory says of one, and what the platform makes of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


class Role(enum.Enum):
    """What a user may do on the platform (not on the hub). ``admin`` administers the own domain, ``superadmin`` everything."""

    USER = "user"
    ADMIN = "admin"
    SUPERADMIN = "superadmin"


class UserStatus(enum.Enum):
    """Whether somebody may work here. Nobody is ever deleted, so that what was used stays accounted for."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    BEFORE_VERIFICATION = "before-verification"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does an administrative act, and from where (``source``: an address, or ``command line``)."""

    name: str
    role: Role
    domain: str = ""
    source: str = ""

    @property
    def is_superadmin(self) -> bool:
        return self.role is Role.SUPERADMIN

    @property
    def is_admin(self) -> bool:
        """Whether there is anything that this person may administer."""
        return self.role is not Role.USER


@dataclass(frozen=True, slots=True)
class PosixAccount:
    """The Unix account that a person's jobs run under. Its name is never assumed to be the hub's."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Person:
    """What a directory (LDAP or the embedded one) knows of somebody whose password was right."""

    name: str
    display_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    posix: PosixAccount | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything, the attributes too: a login that waits for a step is mapped by them afterwards."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Person:
        posix = data.get("posix")
        attributes = {name: tuple(values) for name, values in data.get("attributes", {}).items()}
        account = PosixAccount(**posix) if posix else None
        return cls(**{**data, "groups": tuple(data["groups"]), "posix": account, "attributes": attributes})


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """What a directory answers to a name and a password.

    ``person`` is there only when the password was right. ``reason`` is "" or why this is no login all the same, for the audit log:
    ``unknown``, ``wrong-password``, ``locked``, ``closed``, ``expired``, ``ambiguous`` … With one of :data:`MUST_CHANGE` there may be
    both: a person whose password was right but has to be changed first. ``expires_in_s`` is the server's warning about a password
    that is still good; ``grace_left`` how often an expired one may still be used.
    """

    person: Person | None
    reason: str = ""
    expires_in_s: int | None = None
    grace_left: int | None = None


MUST_CHANGE = frozenset({"must-change", "grace", "expired"})
"""Reasons of a :class:`PasswordCheck` with a person that end when the password is changed."""


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """What a directory answers to a new password.

    ``reason`` is "" or why not: ``wrong-password`` (the old one), ``too-short``, ``too-long``, ``in-history``, ``too-young``,
    ``not-quality``, ``same``, ``empty``, ``not-allowed``, ``locked``, ``closed``, ``unknown``, ``refused``. ``message`` is what the
    server itself said, in its own language, or "".
    """

    ok: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a directory knows of a name without any password.

    ``state`` is "" for somebody who may work, or ``locked``, ``closed``, ``expired`` (the account, not the password) or ``removed``:
    only then there is no ``person``. ``entry`` is where it was found: a DN, or "" in the embedded directory. ``detail`` says why
    nothing was found: ``unknown``, ``ambiguous``, ``other-spelling``, "" when it was.
    """

    person: Person | None
    state: str = ""
    entry: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """Somebody in the embedded directory: the password's hash and what LDAP would have said.

    Who made the account themselves (``has_signed_up``) chose the name, so a Unix account of that name is not theirs.
    """

    name: str
    password_hash: str
    display_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    posix: PosixAccount | None = None
    is_active: bool = True
    must_change_password: bool = False
    has_signed_up: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who is known here: the row of the user with what the hub and the pages need."""

    name: str
    display_name: str
    email: str
    domain: str
    projects: tuple[str, ...]
    is_admin: bool
    is_active: bool
    access_key: str
    posix: PosixAccount | None = None
    language: str = ""
    role: Role = Role.USER

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "role": self.role.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Identity:
        posix, role = data.get("posix"), Role(data.get("role", Role.USER.value))
        return cls(**{**data, "projects": tuple(data["projects"]), "posix": PosixAccount(**posix) if posix else None, "role": role})
