"""What somebody wants of a session of theirs that waits: for how long, and a mail when it is ready. A form of the pending page."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from .. import i18n
from ..core.fields import MAX_TIME_S, MIN_TIME_S
from ..errors import N_, BackendAIError, NotFound
from .pages import language_of

UNREADABLE = N_("The request could not be read.")


def read_patience(text: str) -> int | None:
    """Seconds from the form, None for "as long as it takes". Raises ValueError."""
    if not text:
        return None
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not MIN_TIME_S <= seconds <= MAX_TIME_S:
        raise ValueError("not a time to wait")
    return seconds


def find_query(address: str) -> str:
    """The query of an address that a browser sent, "" of one that is none."""
    try:
        return urlsplit(address).query
    except ValueError:
        return ""


class WishesHandler(BaseHandler):  # type: ignore[misc,unused-ignore]
    """``POST /hub/waiting/<user>[/<server>]`` with ``patience`` (seconds or nothing) and ``mail``; then the pending page again."""

    @web.authenticated
    async def post(self, user_name: str, server_name: str = "") -> None:
        user = self.current_user
        if user.name != user_name or server_name not in user.orm_user.orm_spawners:
            raise web.HTTPError(404)
        language = language_of(self)
        try:
            patience_s = read_patience(self.get_body_argument("patience", ""))
            await user.spawners[server_name].change_wishes(patience_s, wants_mail=self.get_body_argument("mail", "") == "yes")
        except ValueError as exc:
            raise web.HTTPError(400, i18n.translate(language, UNREADABLE)) from exc
        except NotFound:
            pass  # it started meanwhile: the pending page goes on to it
        except BackendAIError as exc:
            raise web.HTTPError(exc.status, i18n.explain(language, exc)) from exc
        path = f"{self.hub.base_url}spawn-pending/{quote(user.name, safe='@')}" + (f"/{quote(server_name)}" if server_name else "")
        # where to go afterwards stands in the query of the page that the form was on
        query = find_query(self.get_body_argument("here", ""))
        self.redirect(f"{path}?{query}" if query else path, status=303)


default_handlers = [
    (r"/waiting/([^/]+)", WishesHandler),
    (r"/waiting/([^/]+)/([^/]+)", WishesHandler),
]
