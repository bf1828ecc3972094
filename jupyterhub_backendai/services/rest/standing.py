"""``GET standing``: one's limits, what is used of them and what is left."""

from __future__ import annotations

from typing import Any

from ...core.identity import Identity
from ...core.nouns.values import INFINITY_WORD
from ...core.quota import Limit, Share, Standing, Usage
from ...core.slots import KNOWN_SLOTS, ResourceSlots
from ...errors import N_, InvalidParameters, NotFound, Violation
from ...store.standing import load_standing
from ..auth import authenticated
from ..base import ApiHandler


def describe(standing: Standing) -> dict[str, Any]:
    """A standing as JSON; the word Infinity is unlimited."""
    return {
        "user": standing.user,
        "domain": standing.domain,
        "project": standing.project,
        "access_key": standing.access_key,
        "projects": list(standing.projects),
        "shares": [describe_share(share) for share in standing.shares],
        "by_project": {name: describe_usage(usage) for name, usage in standing.by_project.items()},
        "by_resource_group": {name: describe_usage(usage) for name, usage in standing.by_resource_group.items()},
        "resource_group": describe_usage(standing.resource_group),
    }


def describe_share(share: Share) -> dict[str, Any]:
    """Who limits, how much, what is used and what is left of it."""
    names = dict.fromkeys((*KNOWN_SLOTS, *share.limit.slots, *share.usage.slots))
    remaining = {name: share.remaining(name) for name in names}
    return {
        "scope": share.limit.scope.value,
        "name": share.limit.name,
        "limit": describe_limit(share.limit, ResourceSlots({name: share.limit.most(name) for name in names})),
        "used": describe_usage(share.usage),
        "remaining": {"slots": ResourceSlots(remaining).to_json(), "sessions": _count(share.remaining_sessions)},
    }


def describe_limit(limit: Limit, most: ResourceSlots) -> dict[str, Any]:
    """Every number of a limit."""
    return {
        "slots": most.to_json(),
        "sessions": _count(limit.sessions),
        "pending_sessions": _count(limit.pending_sessions),
        "pending_slots": limit.pending_slots.to_json() if limit.pending_slots else {},
        "lifetime_s": _count(limit.lifetime_s),
        "containers": _count(limit.containers),
    }


def describe_usage(usage: Usage) -> dict[str, Any]:
    """What sessions hold together, and what waits."""
    pending = {"pending_sessions": usage.pending_sessions, "pending_slots": usage.pending_slots.to_json()}
    return {"slots": usage.slots.to_json(), "sessions": usage.sessions, **pending}


def _count(number: int | None) -> int | str:
    return INFINITY_WORD if number is None else number


def check_project(identity: Identity, project: str) -> None:
    """Raises InvalidParameters for a project that is not one's own: limits of the others are none of one's business."""
    if project and project not in identity.projects:
        message = N_("You are not a member of the project %(project)s.")
        raise InvalidParameters(violations=[Violation(message, {"project": project[:64]}, "project", "project")])


class StandingHandler(ApiHandler):
    """In one project (``project=``; by default the first), and of one resource group (``resource_group=``)."""

    @authenticated
    async def get(self) -> None:
        project, group = (self.get_query_argument(name, "") for name in ("project", "resource_group"))
        check_project(self.identity, project)
        if group and group not in await self.groups.list_usable(self.identity):
            raise NotFound(N_("There is no resource group %(name)s, or it is not yours."), name=group)
        self.answer(describe(await self.db.run(load_standing, self.identity.name, project, group)))


default_handlers = [(r"rest/v1/standing", StandingHandler)]
