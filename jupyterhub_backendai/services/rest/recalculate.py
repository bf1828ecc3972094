"""``POST admin/recalculate``: compare what is reserved with the hub and the engines now, instead of within the next minute."""

from __future__ import annotations

from typing import Any

from ...core.identity import Actor
from ...core.reconcile import Plan
from ...errors import BackendUnavailable
from ...store import audit
from ..base import JSONHandler
from ..reconcile import Reconciler
from .admin import AdminHandler, PrivateAdminHandler, require_superadmin


class RecalculateHandler(JSONHandler):
    """For superadmins. What disagrees must do so twice, 50 s apart, before it is touched: a hub that starts lists servers one by one."""

    actor: Actor

    async def post(self) -> None:
        require_superadmin(self.actor)
        reconciler: Reconciler | None = self.application.settings.get("reconciler")
        if reconciler is None:
            raise BackendUnavailable
        found = describe(await reconciler.reconcile())
        who = {"actor": self.actor.name, "source": self.actor.source}
        await self.db.run(audit.record, action="usage.recalculate", details=found, **who)
        self.answer(found)


def describe(plan: Plan | None) -> dict[str, Any]:
    """What was done. ``watched`` disagree since less than the time that counts; ``is_elsewhere``: another service does this now."""
    is_elsewhere, plan = plan is None, plan or Plan()
    acted = {*plan.release, *plan.revive, *(cancel.session_id for cancel in plan.cancel)}
    return {
        "released": list(plan.release),
        "revived": list(plan.revive),
        "cancelled": [{"session": cancel.session_id, "engine": cancel.engine, "job_id": cancel.job_id} for cancel in plan.cancel],
        "strangers": list(plan.strangers),
        "watched": sorted(set(plan.suspects) - acted),
        "is_elsewhere": is_elsewhere,
    }


class PublicRecalculateHandler(RecalculateHandler, AdminHandler):
    """Over HTTP."""


class PrivateRecalculateHandler(RecalculateHandler, PrivateAdminHandler):
    """On the private listener."""


default_handlers = [(r"rest/v1/admin/recalculate", PublicRecalculateHandler)]
private_handlers = [(r"/private/rest/v1/admin/recalculate", PrivateRecalculateHandler)]
