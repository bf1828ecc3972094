"""The new recovery codes: shown until their owner says that they are kept, and then never again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..flow import Flow, Work


class RecoveryStep:
    """After an enrolment."""

    name = "recovery"

    async def is_needed(self, flow: Flow) -> bool:
        return bool(flow.codes)

    async def begin(self, flow: Flow) -> dict[str, Any]:  # noqa: ARG002 - the interface
        return {}

    def show(self, flow: Flow) -> dict[str, Any]:
        return {"codes": flow.codes}

    async def confirm(self, flow: Flow, fields: Mapping[str, str]) -> Work | None:  # noqa: ARG002 - the interface
        flow.codes = []
        flow.done.append(self.name)
        return None
