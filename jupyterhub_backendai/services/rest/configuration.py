"""``admin/configuration``: everything that is administered as one document, YAML or JSON, read and made so."""

from __future__ import annotations

import asyncio

from ...core.documents import format_document, parse_document
from ...core.identity import Actor
from ...core.nouns.values import Field, Kind, parse_value
from ...store import configuration
from ..base import JSONHandler
from .admin import AdminHandler, PrivateAdminHandler, forget_all, require_superadmin

YAML = "application/yaml; charset=utf-8"


class ConfigurationHandler(JSONHandler):
    """``GET`` the document; ``POST`` one: all of it is applied, or nothing. For superadmins; to others this does not exist."""

    actor: Actor

    async def get(self) -> None:
        require_superadmin(self.actor)
        document = await self.db.run(configuration.export, self.actor, people=self.read_flag("people"))
        if wants_json(self.request.headers.get("Accept", "")):
            self.answer(document)
            return
        self.set_header("Content-Type", YAML)
        self.finish(await asyncio.to_thread(format_document, document))

    async def post(self) -> None:
        require_superadmin(self.actor)
        is_dry, prune = self.read_flag("dry_run"), self.read_flag("prune")
        document = await asyncio.to_thread(parse_document, self.request.body)
        function = configuration.plan if is_dry else configuration.apply
        found = await self.db.run_exclusive(function, self.actor, document, prune=prune)
        if found and not is_dry:
            await forget_all(self.application.settings)
        self.answer({"changes": [item.to_json() for item in found], "is_applied": not is_dry})

    def read_flag(self, name: str) -> bool:
        """A parameter that is yes or no. Raises InvalidParameters: ``dry_run=ture`` must not apply anything."""
        return bool(parse_value(Field(name, Kind.BOOLEAN, ""), self.get_query_argument(name, "")))


def wants_json(accept: str) -> bool:
    """Whether JSON is asked for by name; YAML is what people read."""
    return "application/json" in accept


class PublicConfigurationHandler(ConfigurationHandler, AdminHandler):
    """Over HTTP."""


class PrivateConfigurationHandler(ConfigurationHandler, PrivateAdminHandler):
    """On the private listener."""


default_handlers = [(r"rest/v1/admin/configuration", PublicConfigurationHandler)]
private_handlers = [(r"/private/rest/v1/admin/configuration", PrivateConfigurationHandler)]
