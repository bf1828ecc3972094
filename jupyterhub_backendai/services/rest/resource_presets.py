"""``GET resource-presets``: what sessions can be started with, for everybody; whether it fits now is ``check-presets``."""

from __future__ import annotations

from sqlalchemy.orm import Session

from ...core.identity import Actor, Role
from ...core.nouns import Query, Record
from ...core.nouns.base import MAX_PAGE_SIZE
from ...core.nouns.resource_presets import RESOURCE_PRESETS
from ...errors import N_, NotFound
from ...store.records import RECORDS
from ..auth import authenticated
from ..base import ApiHandler

# Presets are for everybody; the records are asked as one who may see all of them.
_READER = Actor("system", Role.SUPERADMIN)


def list_presets(db: Session) -> tuple[Record, ...]:
    """All presets in their order."""
    return tuple(RECORDS[RESOURCE_PRESETS.name].list_page(db, _READER, Query(sort="position", page_size=MAX_PAGE_SIZE)).records)


class ResourcePresetsHandler(ApiHandler):
    """Those of one's own resource groups and those of none; ``resource_group=`` asks for what one group offers."""

    @authenticated
    async def get(self) -> None:
        group = self.get_query_argument("resource_group", "")
        usable = set(await self.groups.list_usable(self.identity))
        if group and group not in usable:
            raise NotFound(N_("There is no resource group %(name)s, or it is not yours."), name=group)
        offered = {"", *([group] if group else usable)}
        presets = [record for record in await self.db.run(list_presets) if record.values["resource_group"] in offered]
        self.answer({"presets": [RESOURCE_PRESETS.to_json(record.values) for record in presets]})


default_handlers = [(r"rest/v1/resource-presets", ResourcePresetsHandler)]
