"""Why a new password was not taken, in words."""

from __future__ import annotations

from ..errors import N_

MISSING = N_("Type the current password and the new one.")
DIFFERENT = N_("The new password was not typed the same twice.")
_REFUSED = N_("Your centre did not take the new password. Choose another.")
_WORDS = {
    "wrong-password": N_("The current password is not right."),
    "too-short": N_("The new password is too short."),
    "too-long": N_("The new password is too long."),
    "in-history": N_("You had this password before. Choose another."),
    "too-young": N_("The password was changed only a short while ago. Try again later."),
    "not-quality": N_("The new password is too simple. Choose another."),
    "weak-password": N_("A password has at least 8 characters, with a letter, a digit and a special character."),
    "same": N_("The new password is the same as the current one."),
    "empty": MISSING,
    "not-allowed": N_("Your password cannot be changed here. Ask your centre's help desk."),
}


def explain_refusal(reason: str) -> str:
    """What to say for a reason of :class:`core.identity.PasswordChange`."""
    return _WORDS.get(reason, _REFUSED)
