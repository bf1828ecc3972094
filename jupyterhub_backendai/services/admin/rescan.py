"""Images read anew: the environments of the configuration file at once, container registries in the background."""

from __future__ import annotations

from ...errors import N_
from ..auth import administrative
from ..rescan import is_running
from ..rest.rescan import describe
from .base import AdminHandler

# What a look came to, in the order of the columns.
COUNTS = {
    "added": N_("added"),
    "updated": N_("changed"),
    "unchanged": N_("as before"),
    "gone": N_("gone"),
    "failed": N_("unreadable"),
    "skipped": N_("not for us"),
}


class RescanHandler(AdminHandler):
    """How far it is; superadministrators only. A script asks again while something goes on; without it a button does."""

    @administrative
    async def get(self) -> None:
        self.require_superadmin()
        scans = await self.rescanner.list_scans()
        rows = [(scan, describe(scan, self.language), round(100 * scan.share)) for scan in scans]
        self.render_admin("admin/rescan.html", "maintenance", rows=rows, counts=COUNTS, is_running=is_running(scans))

    @administrative
    async def post(self) -> None:
        self.require_superadmin()
        scans = await self.rescanner.rescan(self.actor, self.get_body_argument("registry", ""))
        await self.groups.refresh()
        self.redirect(f"{self.base}maintenance{'/rescan' if scans else ''}?notice={'rescanning' if scans else 'rescanned'}", status=303)


default_handlers = [(r"admin/maintenance/rescan", RescanHandler)]
