"""Accounts that people make themselves: what they type, what is wrong with it, and which names are nobody's to take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ..errors import N_, Violation
from .names import fold_name, is_email, is_name
from .nouns.users import check_password
from .throttle import Allowance

MAX_EMAIL = 64
MAX_DISPLAY_NAME = 64
MAX_PASSWORD = 1024
# What a mail is about: a link that shows whose the address is, one for a new password, or that there is an account already.
VERIFY, RESET, EXISTS = "verify", "reset", "exists"
LINK_LIFE = {VERIFY: timedelta(hours=24), RESET: timedelta(hours=1), EXISTS: timedelta(hours=1)}
# An account whose address nobody confirmed gives its name back then.
ABANDONED_AFTER = timedelta(days=2)
# Mails of one kind to one person: a stranger who asks again and again fills no mailbox.
MAILS_AN_HOUR = 5
# A whole class may sign up from behind one address.
SIGN_UPS = Allowance(free=60, decay_s=10.0)
FORGOTTEN = Allowance(free=20, decay_s=20.0)
# Who guesses words of invitations or links.
GUESSES = Allowance(free=10, decay_s=30.0)
# Names that the platform or people would take for somebody else's.
RESERVED = frozenset(
    {"admin", "administrator", "backendai", "jupyterhub", "root", "security", "support", "system", "postmaster", "webmaster"}
)

TAKEN = N_("This name is taken. Choose another one.")
REGISTERED = N_("This address has already been registered.")
BAD_INVITATION = N_("This invitation is not known, used up or too old.")


@dataclass(frozen=True, slots=True)
class SignUp:
    """What somebody typed who wants an account. Names and addresses as they are kept: folded."""

    name: str
    email: str
    display_name: str
    password: str = field(repr=False)
    again: str = field(repr=False)
    invitation: str = field(default="", repr=False)
    agrees: bool = False


def read_sign_up(fields: Mapping[str, str]) -> SignUp:
    """What was typed, in its one spelling."""
    return SignUp(
        name=fold_name(fields.get("username", "")),
        email=fold_email(fields.get("email", "")),
        display_name=" ".join(fields.get("display_name", "").split()),
        password=fields.get("password", ""),
        again=fields.get("again", ""),
        invitation=fold_invitation(fields.get("invitation", "")),
        agrees=bool(fields.get("agrees")),
    )


def fold_email(typed: str) -> str:
    """The one spelling of an address; servers that tell capitals apart are gone."""
    return typed.strip(" \u3000").casefold()


def fold_invitation(typed: str) -> str:
    """The word of an invitation without the blanks and dashes that make it readable."""
    return "".join(letter for letter in typed.upper() if letter.isalnum())


def check_sign_up(form: SignUp, *, asks_agreement: bool, asks_invitation: bool, reserved: Collection[str] = ()) -> list[Violation]:
    """Everything that is wrong, by field of the form, before anybody is asked whether name and address are free."""
    found = []
    if not is_name(form.name):
        message = N_("A user name begins with a letter or digit and has letters, digits and . _ - @ + ' only.")
        found.append(Violation(message, {}, "username", "invalid"))
    elif form.name in RESERVED or form.name in reserved:
        found.append(Violation(TAKEN, {}, "username", "taken"))
    if len(form.email) > MAX_EMAIL or not is_email(form.email):
        found.append(Violation(N_("Type a mail address of at most %(most)s characters."), {"most": MAX_EMAIL}, "email", "invalid"))
    if len(form.display_name) > MAX_DISPLAY_NAME or not form.display_name.isprintable():
        found.append(Violation(N_("A name has at most %(most)s characters."), {"most": MAX_DISPLAY_NAME}, "display_name", "invalid"))
    found += check_new_password(form.password, form.again)
    if asks_invitation and not form.invitation:
        found.append(Violation(N_("Type the word of your invitation."), {}, "invitation", "required"))
    if asks_agreement and not form.agrees:
        found.append(Violation(N_("Without your agreement there is no account."), {}, "agrees", "required"))
    return found


def check_new_password(password: str, again: str) -> list[Violation]:
    """What is wrong with a new password that was typed twice."""
    if len(password) > MAX_PASSWORD:
        return [Violation(N_("The new password is too long."), {}, "password", "too-long")]
    found = check_password(password)
    if password != again:
        found.append(Violation(N_("The two passwords are not the same."), {}, "again", "different"))
    return found


def hash_word(word: str) -> str:
    """What is kept of the word of an invitation or a link."""
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()


def hash_terms(*texts: Mapping[str, str]) -> str:
    """Which texts somebody agreed to: a digest of all of them in all languages, "" when there are none."""
    if not any(texts):
        return ""
    return hashlib.sha256(json.dumps([dict(text) for text in texts], sort_keys=True, ensure_ascii=False).encode()).hexdigest()
