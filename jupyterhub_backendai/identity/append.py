"""Password and code in one field of the directory: slapo-otp, FreeIPA, 389 and proxies in front of others."""

from __future__ import annotations

from .base import Directory
from .factors import FactorAnswer, FactorQuestion


class AppendedCode:
    """Binds with the code behind the password.

    The directory alone knows who has a token. Somebody without one could give the end of the password as the code, so
    ``ldap_user_filter`` should find only people with a token where the directory marks them (see docs/howto-otp.md).
    """

    joins_password = True
    wants_password = True
    asks_first = False

    def __init__(self, people: Directory) -> None:
        self._people = people

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """One bind; the answer's ``check`` is what the directory said, with the person. See :class:`identity.factors.SecondFactor`."""
        # Never a bind without a code: it would let in, by the password alone, whoever has no token.
        if not question.code or not question.password:
            return FactorAnswer("refused", "no-code" if question.password else "empty-password")
        check = await self._people.check(question.name, question.password + question.code)
        if check.person is None:
            return FactorAnswer("refused", check.reason, check=check)
        return FactorAnswer("ok", check.reason, check=check)

    async def close(self) -> None:
        """Nothing of its own: whoever made the directory ends it."""
