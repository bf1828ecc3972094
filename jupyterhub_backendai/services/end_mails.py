"""Mails that a session is about to end, where the site wants that: once for each end, by one of the services."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urljoin

from .. import i18n
from ..config import BackendAI
from ..core.ends import WARNINGS, shown_s
from ..errors import N_, BackendAIError
from ..identity.mail import Mail, Mailer
from ..store import ends
from ..store.database import Database
from ..store.ends import Near

log = logging.getLogger("backendai")
INTERVAL_S = 60.0
SUBJECT = N_("Your session %(session)s ends in %(span)s")
_HELLO = N_("Hello %(name)s,")
_ABOUT = N_("this is about your session %(session)s in the queue %(queue)s.")
_LINK = N_("See it, and give it more time where that is possible:")
_FOOT = N_("This mail was sent by %(site)s. Nobody reads answers to it.")


class EndMails:
    """Looks every minute for sessions whose end is near and whose owner was not told of that end."""

    def __init__(self, settings: BackendAI, db: Database, mail: Mailer, *, interval_s: float = INTERVAL_S) -> None:
        self._settings, self._db, self._mail, self._interval_s = settings, db, mail, interval_s

    async def run(self) -> None:
        """Write mails for ever; cancelled when the service stops. Where nobody is written to there is nothing to do."""
        while self._mail.is_on and self._settings.warn_by_mail:
            try:
                await self.look()
            except BackendAIError as exc:
                log.info("No mail about ends was looked for: %s", exc)
            await asyncio.sleep(self._interval_s)
        await asyncio.Event().wait()

    async def look(self, at: float | None = None) -> int:
        """One look; how many mails were handed over."""
        found = await self._db.run_exclusive(ends.take_near, self._settings.warn_before_s, at)
        for near in found:
            self._mail.post(write_mail(near, self._settings))
            log.info("Session %s: a mail to %s that it ends", near.session_id, near.user)
        return len(found)


def write_mail(near: Near, settings: BackendAI) -> Mail:
    """The mail about an end, in the owner's language."""
    language = near.language or i18n.DEFAULT_LANGUAGE
    params = {
        "name": near.user,
        "session": near.name or i18n.translate(language, N_("My session")),
        "queue": near.queue,
        "span": i18n.format_span(language, shown_s(near.left_s)),
        "site": settings.site_name,
    }
    parts = [i18n.translate(language, text, params) for text in (_HELLO, _ABOUT, WARNINGS[near.kind])]
    if settings.public_hub_url:
        link = urljoin(settings.public_hub_url, f"../services/backendai/sessions/{near.session_id}")
        parts.append(f"{i18n.translate(language, _LINK, params)}\n{link}")
    parts.append(i18n.translate(language, _FOOT, params))
    return Mail(near.to, f"{settings.site_name}: {i18n.translate(language, SUBJECT, params)}", "\n\n".join(parts) + "\n")
