"""A superadministrator gives a person's folder to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.vfolders import OwnershipType
from ...errors import NotFound
from ..folder_ownership import change_ownership
from .base import FolderForm
from .show import GIVE, Line


class OwnerForm(FolderForm):
    """``data/<id>/owner``: 404 for everybody else, as for a project's folder."""

    template = "data/owner.html"

    async def load_more(self, line: Line) -> dict[str, Any]:
        if GIVE not in line.acts or line.folder.ownership_type is not OwnershipType.USER:
            raise NotFound
        return {}

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        await self.load(*ids)
        folder = await change_ownership(self, self.caller, ids[0], fields.get("to", "").strip())
        return self.go_back("giving", folder.id)


default_handlers = [(r"data/([0-9a-f]{32})/owner", OwnerForm)]
