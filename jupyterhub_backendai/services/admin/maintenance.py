"""Work on the platform: put right what is counted, read images anew, take the configuration out and in."""

from __future__ import annotations

from ...store import audit, images
from ..auth import administrative
from .base import AdminHandler


class MaintenanceHandler(AdminHandler):
    """The page; superadministrators only."""

    @administrative
    async def get(self) -> None:
        self.require_superadmin()
        self.render_admin("admin/maintenance.html", "maintenance")


class RescanHandler(AdminHandler):
    """Read the environments of the configuration file anew."""

    @administrative
    async def post(self) -> None:
        self.require_superadmin()
        environments = self.config.list_environments()
        await self.db.run_exclusive(images.sync, environments)
        await self.db.run_exclusive(audit.record, actor=self.actor.name, action="image.rescan", source=self.actor.source)
        await self.groups.refresh()
        self.redirect(f"{self.base}maintenance?notice=rescanned", status=303)


default_handlers = [(r"admin/maintenance", MaintenanceHandler), (r"admin/maintenance/rescan", RescanHandler)]
