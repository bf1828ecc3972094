"""The words of the mails about credit that runs out, in the language of who reads them."""

from __future__ import annotations

from collections.abc import Sequence

from .. import i18n
from ..config import BackendAI
from ..core.ledger import CREDIT_USED_UP
from ..errors import N_
from ..identity.mail import Mail

WARNING, ENDED = "warning", "ended"
_WORDS = {
    WARNING: (
        N_("Your credit is nearly used up"),
        (
            N_("the credit that pays for these sessions is used up in %(span)s: %(sessions)s"),
            N_("They are ended then. Save your work, or ask for more credit before."),
        ),
    ),
    ENDED: (
        N_("A session was ended: its credit is used up"),
        (N_("this session was ended: %(sessions)s"), CREDIT_USED_UP),
    ),
}
_HELLO = N_("Hello %(name)s,")
_FOOT = N_("This mail was sent by %(site)s. Nobody reads answers to it.")


def write_mail(kind: str, language: str, settings: BackendAI, name: str, to: str, sessions: Sequence[str], left_s: int = 0) -> Mail:
    """A mail of this kind about somebody's sessions."""
    subject, paragraphs = _WORDS[kind]
    own = i18n.translate(language, N_("My session"))
    span = i18n.format_span(language, left_s)
    params = {"name": name, "site": settings.site_name, "span": span, "sessions": ", ".join(session or own for session in sessions)}
    texts = [i18n.translate(language, text, params) for text in (_HELLO, *paragraphs, _FOOT)]
    return Mail(to, f"{settings.site_name}: {i18n.translate(language, subject, params)}", "\n\n".join(texts) + "\n")
