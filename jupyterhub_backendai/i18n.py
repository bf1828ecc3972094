"""Languages: which one a reader gets, and a message in it.

The catalogues are the ``.po`` files of ``locale/``, read once; there is no compile step to forget.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from .core.nouns import NOUNS
from .errors import N_, BackendAIError, Violation

LANGUAGES = {"en": "English", "ko": "한국어"}
DEFAULT_LANGUAGE = "en"
COOKIE = "backendai-language"
_NOUNS = {noun.singular.replace("_", " "): noun for noun in NOUNS.values()}
_LOCALE = Path(__file__).parent / "locale"


@functools.cache
def translations(language: str) -> Translations:
    """The catalogue of a language (English, and whatever has none, is the messages themselves)."""
    path = _LOCALE / language / "LC_MESSAGES" / "backendai.po"
    if language not in LANGUAGES or not path.is_file():
        return Translations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def translate(language: str, message: str, params: Mapping[str, Any] | None = None) -> str:
    """A message of ours in a language, its named places filled in."""
    text: str = translations(language).gettext(message) if message else ""
    return text % name_noun(language, params) if params else text


def name_noun(language: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters whose ``one`` is the kind of a thing in English (``resource group``), with that word in the reader's language."""
    noun = _NOUNS.get(str(params.get("one", "")))
    return {**params, "one": translate(language, noun.one)} if noun and language != DEFAULT_LANGUAGE else dict(params)


def explain(language: str, error: BackendAIError | Violation) -> str:
    """What an error or a violation says to a reader of that language."""
    return translate(language, error.message, error.params)


def choose_language(*, account: str = "", cookie: str = "", accept: str = "") -> str:
    """Account, then cookie, then the browser's ``Accept-Language``, then English."""
    for chosen in (account, cookie):
        if chosen in LANGUAGES:
            return chosen
    wanted = []
    for part in accept.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((float(quality or 1), tag))
        except ValueError:
            continue
    wanted.sort(key=lambda pair: -pair[0])
    return negotiate_locale([tag for _, tag in wanted], list(LANGUAGES), sep="-") or DEFAULT_LANGUAGE


def format_span(language: str, seconds: int) -> str:
    """A length of time in words: ``2 h 5 min``, ``2시간 5분``; at most two units, because more is noise."""
    units = ((86400, N_("%(n)s d")), (3600, N_("%(n)s h")), (60, N_("%(n)s min")), (1, N_("%(n)s s")))
    parts, rest = [], max(0, seconds)
    for size, message in units:
        count, rest = divmod(rest, size)
        if count:
            parts.append(translate(language, message, {"n": count}))
    return " ".join(parts[:2]) or translate(language, units[-1][1], {"n": 0})
