"""``admin/settings``: what superadmins change while the platform runs.

For superadmins; to domain administrators these addresses do not exist.
"""

from __future__ import annotations

from ...core.identity import Actor
from ...store.settings import get_setting, list_settings, set_setting
from ..base import JSONHandler
from .admin import AdminHandler, PrivateAdminHandler, require_superadmin


class SettingsHandler(JSONHandler):
    """``GET`` all settings by name."""

    actor: Actor

    async def get(self) -> None:
        require_superadmin(self.actor)
        self.answer(await self.db.run(list_settings))


class SettingHandler(JSONHandler):
    """``GET`` one setting, ``PUT`` its new value."""

    actor: Actor

    async def get(self, name: str) -> None:
        require_superadmin(self.actor)
        self.answer(await self.db.run(get_setting, name))

    async def put(self, name: str) -> None:
        require_superadmin(self.actor)
        await self.db.run_exclusive(set_setting, self.actor, name, self.read_body())
        self.answer(await self.db.run(get_setting, name))


class PublicSettingsHandler(SettingsHandler, AdminHandler):
    """Over HTTP."""


class PublicSettingHandler(SettingHandler, AdminHandler):
    """Over HTTP."""


class PrivateSettingsHandler(SettingsHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateSettingHandler(SettingHandler, PrivateAdminHandler):
    """On the private listener."""


default_handlers = [(r"rest/v1/admin/settings", PublicSettingsHandler), (r"rest/v1/admin/settings/([^/]+)", PublicSettingHandler)]
private_handlers = [
    (r"/private/rest/v1/admin/settings", PrivateSettingsHandler),
    (r"/private/rest/v1/admin/settings/([^/]+)", PrivateSettingHandler),
]
