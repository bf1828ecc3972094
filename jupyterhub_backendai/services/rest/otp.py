"""``POST admin/users/<name>/reset-otp``: take somebody's one-time password away."""

from __future__ import annotations

from ...core.identity import Actor
from ...core.names import fold_name
from ...core.nouns import NOUNS
from ...errors import NotFound
from ..base import JSONHandler
from ..otp_reset import reset_otp
from .admin import AdminHandler, PrivateAdminHandler, is_plain


class ResetHandler(JSONHandler):
    """For administrators. The answer says whether there was one: ``{"reset": true}``."""

    actor: Actor

    async def post(self, name: str) -> None:
        if not is_plain(name) or not NOUNS["users"].may(self.actor, "update"):
            raise NotFound
        self.answer({"reset": await reset_otp(self, self.actor, fold_name(name))})


class PublicResetHandler(ResetHandler, AdminHandler):
    """Over HTTP."""


class PrivateResetHandler(ResetHandler, PrivateAdminHandler):
    """On the private listener."""


default_handlers = [(r"rest/v1/admin/users/([^/]+)/reset-otp", PublicResetHandler)]
private_handlers = [(r"/private/rest/v1/admin/users/([^/]+)/reset-otp", PrivateResetHandler)]
