"""How we ask those who know one-time passwords: one interface, whoever keeps the seeds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..core.identity import PasswordCheck

LONGEST_CODE = 64
LONGEST_MESSAGE = 300
# what some servers take instead of a code, to call the person's phone
_REQUEST = re.compile(r"(?:push|phone|sms)[0-9]?\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FactorQuestion:
    """What is asked of a second factor. ``state`` is what an earlier challenge wants back; ``source`` an address, "" when unknown."""

    name: str
    code: str = field(repr=False)
    password: str = field(default="", repr=False)
    source: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class FactorAnswer:
    """What it answers.

    ``outcome``: ``ok``, ``refused``, ``challenge`` (ask for more, show ``message``, send ``state`` back) or ``enrol`` (no token yet).
    ``reason`` is for the audit log; ``message`` only what the server itself wants shown. ``check`` is there when the factor joins the
    password: what the directory said. Its reason (``must-change`` …) counts as after any other check of a password.
    """

    outcome: str
    reason: str = ""
    message: str = ""
    state: str = ""
    check: PasswordCheck | None = None


class SecondFactor(Protocol):
    """Somebody who knows one-time passwords. Never blocks the loop; raises FactorUnavailable when it cannot say.

    ``joins_password`` is true for one that checks password and code in one go: then the directory is not asked for the password.
    ``wants_password`` is true for one that is sent the password too, after the directory has checked it.
    ``asks_first`` is true for one that is asked with an empty code first, because its server sends the code or asks for it: that
    answer is ``challenge``, or ``ok`` for people of whom the server wants no code.
    """

    joins_password: bool
    wants_password: bool
    asks_first: bool

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """Whether this is the person's code. Who asks has checked the password already, unless the factor joins it."""

    async def close(self) -> None:
        """End the threads and the connections."""


TakeCode = Callable[[str, str], Awaitable[bool]]
"""Takes a person's code; false when it was taken before. One caller wins, however many ask at once."""


class Guarded:
    """What stands before every server of one-time passwords: one spelling of a code, and each code once.

    Some servers take a code twice (FreeRADIUS does). The server is asked first, so that what was mistyped uses nothing up, and of two
    who bring the same code at the same time only one takes it.
    """

    def __init__(self, factor: SecondFactor, take: TakeCode) -> None:
        self._factor, self._take = factor, take
        self.joins_password = factor.joins_password
        self.wants_password = factor.wants_password
        self.asks_first = factor.asks_first

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """See :class:`SecondFactor`."""
        code = plain_code(question.code)
        if code is None:
            return FactorAnswer("refused", "wrong-code")
        question = replace(question, code=code)
        answer = await self._factor.verify(question)
        if answer.outcome == "challenge" and self.asks_first and code and not question.state:
            # The code was typed before the server asked for it.
            answer = await self._factor.verify(replace(question, state=answer.state))
        # Capitals are no other code: what servers make of them differs.
        if answer.outcome == "ok" and is_code(code) and not await self._take(question.name, code.casefold()):
            return FactorAnswer("refused", "used-code")
        return answer

    async def close(self) -> None:
        """See :class:`SecondFactor`."""
        await self._factor.close()


def field_to_send(question: FactorQuestion, sends: str) -> str:
    """What goes into a server's one field, by the setting ``otp_sends``; the answer to a challenge is the code alone."""
    if question.state or sends == "code":
        return question.code
    return question.password + (question.code if sends == "password+code" else "")


def plain_code(typed: str) -> str | None:
    """A typed code without blanks and in ordinary letters and digits; None for what no code is."""
    code = "".join(unicodedata.normalize("NFKC", typed[: 4 * LONGEST_CODE]).split())
    return code if len(code) <= LONGEST_CODE and code.isascii() and code.isprintable() else None


def is_code(typed: str) -> bool:
    """Whether a repetition would be a replay. It is none when the person confirmed on the phone, with an empty field or such a word."""
    return bool(typed) and not _REQUEST.match(typed)


def plain_message(text: str) -> str:
    """A server's words for a person: one line, no control characters, not too long."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words[:LONGEST_MESSAGE]
