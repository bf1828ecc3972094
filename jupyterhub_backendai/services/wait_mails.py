"""Mails to those whose session is ready, or will never be: once each, also when the service was away when it happened."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

from .. import i18n
from ..config import BackendAI
from ..core.sessions import SessionStatus
from ..errors import N_, BackendAIError
from ..identity.mail import Mail, Mailer
from ..store import waits
from ..store.database import Database
from ..store.waits import Due

log = logging.getLogger("backendai")
INTERVAL_S = 15.0
STOPPED = N_("Stopped on request.")
_HELLO = N_("Hello %(name)s,")
_FOOT = N_("You asked for this mail when you started the session. %(site)s sends one for each session, and nobody reads answers to it.")


class WaitMails:
    """Looks for mails to write every few seconds, and at once after :meth:`wake`. Several services may: each mail is taken by one."""

    def __init__(self, settings: BackendAI, db: Database, mail: Mailer, *, interval_s: float = INTERVAL_S) -> None:
        self._settings, self._db, self._mail, self._interval_s = settings, db, mail, interval_s
        self._something_happened = asyncio.Event()

    def wake(self) -> None:
        """A session may have become ready."""
        self._something_happened.set()

    async def run(self) -> None:
        """Write mails for ever; cancelled when the service stops. Without a mail server there is nothing to do."""
        while self._mail.is_on:
            self._something_happened.clear()
            try:
                await self.look()
            except BackendAIError as exc:
                log.info("No mail was looked for: %s", exc)
            try:
                await asyncio.wait_for(self._something_happened.wait(), self._interval_s)
            except TimeoutError:
                continue
        await asyncio.Event().wait()

    async def look(self) -> int:
        """One look; how many mails were handed over."""
        sent = 0
        for due in await self._db.run(waits.list_mails_due):
            if not await self._db.run_exclusive(waits.take_mail, due.session_id) or not is_wanted(due, self._settings.ready_mail_after_s):
                continue
            self._mail.post(write_mail(due, self._settings))
            log.info("Session %s: a mail to %s", due.session_id, due.user)
            sent += 1
        return sent


def is_wanted(due: Due, after_s: float) -> bool:
    """Nobody needs a mail about what they see on the screen, or have just done themselves."""
    if not due.to or due.reason == STOPPED:
        return False
    return due.wait_s >= after_s or (due.is_batch and due.has_begun)


def write_mail(due: Due, settings: BackendAI) -> Mail:
    """The mail about a session, in its owner's language."""
    language = due.language or i18n.DEFAULT_LANGUAGE
    title = due.name or i18n.translate(language, N_("My session"))
    wait = i18n.format_span(language, int(due.wait_s))
    params = {"name": due.user, "session": title, "queue": due.queue, "wait": wait, "site": settings.site_name}
    subject, first = _choose_words(due)
    why = explain_end(due, language) if due.status is not SessionStatus.RUNNING else ""
    parts = [i18n.translate(language, text, params) for text in (_HELLO, first)]
    parts += [part for part in (why, _find_link(due, settings)) if part]
    parts.append(i18n.translate(language, _FOOT, params))
    return Mail(due.to, f"{settings.site_name}: {i18n.translate(language, subject, params)}", "\n\n".join(parts) + "\n")


def _choose_words(due: Due) -> tuple[str, str]:
    if due.status is SessionStatus.RUNNING:
        return N_("%(session)s is ready"), N_("your session %(session)s in the queue %(queue)s is ready. It waited for %(wait)s.")
    if due.is_batch and due.has_begun:
        return N_("%(session)s is over"), N_("your batch session %(session)s in the queue %(queue)s is over.")
    if due.has_begun:
        return N_("%(session)s is over"), N_("your session %(session)s in the queue %(queue)s began, and is over already.")
    return (
        N_("%(session)s did not start"),
        N_("your session %(session)s in the queue %(queue)s did not start. It waited for %(wait)s."),
    )


def explain_end(due: Due, language: str) -> str:
    """Why it is over and what to do, as words with their values where it was kept so."""
    texts = [str(due.ending.get(name) or "") for name in ("message", "advice")] if due.ending else [due.reason]
    try:
        return " ".join(i18n.translate(language, text, due.ending.get("params") or {}) for text in texts if text)
    except (KeyError, TypeError, ValueError):  # of another version: its words and places do not fit; the mail is taken already
        return due.reason


def _find_link(due: Due, settings: BackendAI) -> str:
    """Where to go on: the session itself while it runs, else its page. Only with an address that the site gave."""
    base = settings.public_hub_url.rstrip("/")
    if not base:
        return ""
    if due.status is SessionStatus.RUNNING:
        return f"{base.removesuffix('/hub')}/user/{quote(due.user, safe='@')}/{quote(due.server_name)}".rstrip("/") + "/"
    return f"{base.removesuffix('/hub')}/services/backendai/sessions/{due.session_id}" if due.is_batch else f"{base}/home"
