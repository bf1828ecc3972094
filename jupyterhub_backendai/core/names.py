"""Names of people: one spelling for each, whatever was typed."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 64
# letters and digits of any script, and the marks that directories use in names; nothing that means something in an address or a path
_NAME = re.compile(r"[^\W_][\w.@+'-]*\Z")


def fold_name(typed: str) -> str:
    """The one spelling of a typed name: full-width letters, capitals and blanks around it do not make another person."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed.strip(" \u3000")).casefold())


def is_name(name: str) -> bool:
    """Whether a folded name can be somebody's: no blanks, no control characters, nothing that an address would read otherwise."""
    return len(name) <= MAX_LENGTH and name == fold_name(name) and bool(_NAME.match(name))
