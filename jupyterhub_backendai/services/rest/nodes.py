"""``admin/nodes``: the nodes for programs, and ``drain`` and ``resume``. For superadministrators."""

from __future__ import annotations

from ...core.identity import Actor
from ...errors import NotFound
from ..base import JSONHandler
from ..nodes import parse_reason
from .admin import AdminHandler, PrivateAdminHandler


class NodeVerbs(JSONHandler):
    """What the handlers share."""

    actor: Actor

    def require_superadmin(self) -> None:
        """Nodes are the whole platform's: for a domain's administrator there is nothing here."""
        if not self.actor.is_superadmin:
            raise NotFound


class ListHandler(NodeVerbs):
    """``GET`` every node, and when they were read."""

    async def get(self) -> None:
        self.require_superadmin()
        reading = await self.nodes.look()
        items = [node.to_json() for node in reading.nodes]
        self.answer({"items": items, "total": len(items), "read_at": reading.read_at, "failed": list(reading.failed)})


class NodeHandler(NodeVerbs):
    """``GET`` one node."""

    async def get(self, name: str) -> None:
        self.require_superadmin()
        self.answer((await self.nodes.look()).find(name).to_json())


class DrainHandler(NodeVerbs):
    """``POST {"reason": …}``: give it nothing new."""

    async def post(self, name: str) -> None:
        self.require_superadmin()
        node = await self.nodes.change(self.actor, name, parse_reason(self.read_body().get("reason")))
        self.answer(node.to_json())


class ResumeHandler(NodeVerbs):
    """``POST``: use it again."""

    async def post(self, name: str) -> None:
        self.require_superadmin()
        self.answer((await self.nodes.change(self.actor, name, None)).to_json())


class PublicListHandler(ListHandler, AdminHandler):
    """Over HTTP."""


class PublicNodeHandler(NodeHandler, AdminHandler):
    """Over HTTP."""


class PublicDrainHandler(DrainHandler, AdminHandler):
    """Over HTTP."""


class PublicResumeHandler(ResumeHandler, AdminHandler):
    """Over HTTP."""


class PrivateListHandler(ListHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateNodeHandler(NodeHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateDrainHandler(DrainHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateResumeHandler(ResumeHandler, PrivateAdminHandler):
    """On the private listener."""


_PATH, _NAME = "rest/v1/admin/nodes", r"([^/]+)"
default_handlers = [
    (_PATH, PublicListHandler),
    (f"{_PATH}/{_NAME}", PublicNodeHandler),
    (f"{_PATH}/{_NAME}/drain", PublicDrainHandler),
    (f"{_PATH}/{_NAME}/resume", PublicResumeHandler),
]
private_handlers = [
    (f"/private/{_PATH}", PrivateListHandler),
    (f"/private/{_PATH}/{_NAME}", PrivateNodeHandler),
    (f"/private/{_PATH}/{_NAME}/drain", PrivateDrainHandler),
    (f"/private/{_PATH}/{_NAME}/resume", PrivateResumeHandler),
]
