"""Names of people: one spelling for each, whatever was typed."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 64
MAX_EMAIL_LENGTH = 254
# letters and digits of any script, and the marks that directories use in names; nothing that means something in an address or a path
# Letters of ASCII only: two addresses that look alike are one. A site's own host may have no dot.
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*", re.ASCII)
_NAME = re.compile(r"[^\W_][\w.@+'-]*\Z")


def fold_name(typed: str) -> str:
    """The one spelling of a typed name: full-width letters, capitals and blanks around it do not make another person."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed.strip(" \u3000")).casefold())


def is_name(name: str) -> bool:
    """Whether a folded name can be somebody's: no blanks, no control characters, nothing that an address would read otherwise."""
    return len(name) <= MAX_LENGTH and name == fold_name(name) and bool(_NAME.match(name))


def is_email(text: str) -> bool:
    """Whether mail can be sent there, and the text stands in a header of it as it is."""
    return len(text) <= MAX_EMAIL_LENGTH and bool(_EMAIL.fullmatch(text))
