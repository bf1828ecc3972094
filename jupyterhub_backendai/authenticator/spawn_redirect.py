"""``/hub/spawn…`` starts nothing: a GET goes to the launch page with its query kept, a POST is refused in words.

The hub's own handler starts a server on a GET with any query, from any site. These come first, by ``Authenticator.get_handlers``.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.utils import url_path_join
from tornado import web

from ..errors import N_
from ..i18n import COOKIE, choose_language, translate

_REFUSAL = N_("Sessions are started on the launch page, not here.")


class SpawnRedirectHandler(BaseHandler):  # type: ignore[misc,unused-ignore]
    """In the place of the hub's SpawnHandler. It makes no row and asks nobody, so it needs no login either: the launch page does."""

    async def get(self, user_name: str = "", server_name: str = "") -> None:
        # `server`, `user` of the path win; everything else of the query stays as it came, repeated names too
        fields = [(name, value.decode("utf-8", "replace")) for name, values in self.request.query_arguments.items() for value in values]
        fields = [(name, value) for name, value in fields if name not in {"_xsrf", "user", "server"}]
        if user_name:
            fields.append(("user", user_name))
        if server_name:
            fields.append(("server", server_name))
        url = url_path_join(self.base_url, "services/backendai/launch")
        self.redirect(f"{url}?{urlencode(fields, quote_via=quote)}" if fields else url)

    def check_xsrf_cookie(self) -> None:
        """A POST is refused whoever sends it."""

    async def post(self, _user_name: str = "", _server_name: str = "") -> None:
        cookie = self.get_cookie(COOKIE, "")
        language = choose_language(cookie=cookie, accept=self.request.headers.get("Accept-Language", ""))
        self.set_header("Allow", "GET")
        raise web.HTTPError(405, translate(language, _REFUSAL), reason="Method Not Allowed")


default_handlers = [
    (r"/spawn", SpawnRedirectHandler),
    (r"/spawn/([^/]+)", SpawnRedirectHandler),
    (r"/spawn/([^/]+)/([^/]+)", SpawnRedirectHandler),
]
