"""The reader's choice of a language."""

from __future__ import annotations

from .. import i18n
from .auth import authenticated
from .base import PageHandler


class LanguageHandler(PageHandler):
    """POST keeps the choice in a cookie that the hub's pages read too, and goes back to where it was made."""

    @authenticated
    async def post(self) -> None:
        language, target = self.get_body_argument("language", ""), self.get_body_argument("next", "")
        root = self.hub_auth.hub_prefix.removesuffix("hub/")
        if language in i18n.LANGUAGES:
            self.set_cookie(i18n.COOKIE, language, path=root, expires_days=365, samesite="Lax", secure=self.request.protocol == "https")
        is_ours = target.startswith(root) and not target.startswith(("//", "/\\"))
        self.redirect(target if is_ours else self.hub_auth.base_url, status=303)


default_handlers = [(r"language", LanguageHandler)]
