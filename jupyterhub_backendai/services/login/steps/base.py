"""What every step between a password and being logged in has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..flow import Flow, Work


class Step(Protocol):
    """One page between the password and being logged in.

    To add one: a module here, its place in ``steps.make_steps``, and ``templates/login_<name>.html``.
    """

    name: str

    async def is_needed(self, flow: Flow) -> bool:
        """Whether this login has to take the step (now)."""

    async def begin(self, flow: Flow) -> dict[str, Any]:
        """What the step keeps in the ticket, as ``flow.data``."""

    def show(self, flow: Flow) -> dict[str, Any]:
        """What its page needs."""

    async def confirm(self, flow: Flow, fields: Mapping[str, str]) -> Work | None:
        """Look at what was typed; what to write is returned. The name goes into ``flow.done`` when the step is over. Raises Refused."""
