"""When one's sessions end, for the scripts of the hub's pages: these have no login at the service, and must not make one by the way.

A script that followed the service's way to a login would end up with new tokens each time, and every open form of its reader would
be too old.
"""

from __future__ import annotations

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from .. import i18n
from ..errors import BackendAIError
from ..templating import SERVICE
from .pages import language_of


class EndsHandler(BaseHandler):  # type: ignore[misc,unused-ignore]
    """``GET /hub/ends``: the reader's live sessions with their ends, as JSON."""

    async def get(self) -> None:
        user = self.current_user
        if user is None:
            raise web.HTTPError(403)
        language = language_of(self)
        base_url = self.hub.base_url.removesuffix("hub/") + SERVICE
        try:
            answer = await self.authenticator.service.list_ends(user.name, language, base_url)
        except BackendAIError as exc:
            raise web.HTTPError(exc.status, i18n.explain(language, exc)) from exc
        self.set_header("Cache-Control", "no-store")
        self.finish(answer)


default_handlers = [(r"/ends", EndsHandler)]
