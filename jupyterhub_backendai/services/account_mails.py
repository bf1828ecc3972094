"""The words of the mails about accounts, in the language of who reads them."""

from __future__ import annotations

from collections.abc import Mapping

from .. import i18n
from ..core.accounts import EXISTS, RESET, VERIFY
from ..errors import N_
from ..identity.mail import Mail

APPROVAL, WELCOME, CHANGED, OTP_RESET, MOVED = "approval", "welcome", "changed", "otp-reset", "moved"
_GREETING = N_("Hello %(name)s,")
_FOOT = N_("This mail was sent by %(site)s. Nobody reads answers to it.")
_IGNORE = N_("If you did not ask for this, you need not do anything.")
_ASK = N_("If it was not you who did this, tell your centre's help desk at once.")

# kind → subject and paragraphs
_WORDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    VERIFY: (
        N_("Confirm your mail address"),
        (
            N_("open this link within a day to confirm that this mail address is yours, so that you can use your new account %(name)s:"),
            _IGNORE,
        ),
    ),
    RESET: (
        N_("Choose a new password"),
        (N_("open this link within an hour to choose a new password for your account %(name)s:"), _IGNORE),
    ),
    EXISTS: (
        N_("You have an account already"),
        (N_("somebody wanted to make a new account with this mail address. You have one already; its user name is %(name)s."), _IGNORE),
    ),
    APPROVAL: (
        N_("%(name)s waits for approval"),
        (N_("%(name)s made a new account and waits until an administrator makes it active."),),
    ),
    WELCOME: (
        N_("Your account is active"),
        (N_("your account %(name)s was made active. You can log in now:"),),
    ),
    CHANGED: (
        N_("Your password was changed"),
        (N_("the password of your account %(name)s was changed, and every login with the old one was ended."), _ASK),
    ),
    MOVED: (
        N_("Your mail address was changed"),
        (N_("the account %(name)s has another mail address from now on; this one gets no more mail about it."), _ASK),
    ),
    OTP_RESET: (
        N_("Your one-time password was reset"),
        (N_("an administrator took the one-time password of your account %(name)s away. You set up a new one when you log in."), _ASK),
    ),
}


def write_mail(kind: str, language: str, site: str, name: str, to: str, link: str = "") -> Mail:
    """A mail of this kind; the link stands on a line of its own after the first paragraph."""
    subject, paragraphs = _WORDS[kind]
    params = {"name": name, "site": site}
    first, *rest = (i18n.translate(language, paragraph, params) for paragraph in paragraphs)
    greeting = [] if kind == APPROVAL else [i18n.translate(language, _GREETING, params)]
    parts = [*greeting, first, *([link] if link else []), *rest, i18n.translate(language, _FOOT, params)]
    return Mail(to, f"{site}: {i18n.translate(language, subject, params)}", "\n\n".join(parts) + "\n")
