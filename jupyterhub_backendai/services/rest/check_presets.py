"""``POST check-presets``: limits, used and left, and which presets can be had now and why the others cannot."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy.orm import Session

from ... import i18n
from ...core.nouns import Record
from ...core.nouns.resource_presets import RESOURCE_PRESETS
from ...core.queues import Queue
from ...core.quota import Standing
from ...errors import N_, NotFound
from ...store.sessions import Usage, list_usage
from ...store.standing import load_standing
from ..auth import authenticated
from ..base import ApiHandler
from ..limits import check_limits
from ..presets import check_preset
from .resource_presets import list_presets
from .standing import check_project, describe


class CheckPresetsHandler(ApiHandler):
    """``{"resource_group", "project"}``, both may be left out: every group that one may use, and the first project."""

    @authenticated
    async def post(self) -> None:
        body = self.read_body()
        name, project = (str(body.get(part) or "") for part in ("resource_group", "project"))
        check_project(self.identity, project)
        usable = await self.groups.list_usable(self.identity)
        if name and name not in usable:
            raise NotFound(N_("There is no resource group %(name)s, or it is not yours."), name=name)
        records, usages, standing = await self.db.run(_read, self.identity.name, project, name)
        groups = [usable[name]] if name else list(usable.values())
        found = [self.describe_group(group, records, usages.get(group.name, Usage()), standing) for group in groups]
        self.answer({"standing": describe(standing), "resource_groups": found})

    def describe_group(self, queue: Queue, records: tuple[Record, ...], usage: Usage, standing: Standing) -> dict[str, Any]:
        """What one resource group offers."""
        offered = [record for record in records if record.values["resource_group"] in ("", queue.name)]
        used = {"slots": usage.slots.to_json(), "sessions": usage.sessions}
        presets = [self.describe_preset(record, queue, usage, standing) for record in offered]
        return {"name": queue.name, "capacity": queue.capacity.to_json(), "used": used, "presets": presets}

    def describe_preset(self, record: Record, queue: Queue, usage: Usage, standing: Standing) -> dict[str, Any]:
        """One preset, whether it can be allocated now, and everything that is against it."""
        values = {"project": standing.project}
        # It asks a handler for the figures, the images and the person only, which calls and pages have alike.
        found = check_preset(cast(Any, self), record, queue, values, usage)
        found += check_limits(standing, queue, record.values["resource_slots"])
        violations = [{"field": item.field, "rule": item.rule, "message": i18n.explain(self.language, item)} for item in found]
        return {**RESOURCE_PRESETS.to_json(record.values), "is_allocatable": not violations, "violations": violations}


def _read(db: Session, user: str, project: str, group: str) -> tuple[tuple[Record, ...], Any, Standing]:
    return list_presets(db), list_usage(db), load_standing(db, user, project, group)


default_handlers = [(r"rest/v1/check-presets", CheckPresetsHandler)]
