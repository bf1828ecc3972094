"""Pages: the hub's own templates, edited as they load, with translated text and our few helpers.

Named in ``c.JupyterHub.jinja_environment_options = {"extensions": ["jupyterhub_backendai.templating.Pages"]}`` and used by the
service, so that both sides render the same ``page.html``. Nothing of the hub's templates is copied: what cannot be overridden
by a block (the language, a nonce on each script, the words for browsers without scripts) is edited in the source.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jupyterhub
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, pass_context
from jinja2.ext import InternationalizationExtension
from jinja2.runtime import Context
from jupyterhub._data import DATA_FILES_PATH
from tornado.web import RequestHandler

from . import i18n
from .core.slots import format_bytes
from .errors import N_

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "share" / "static"
HUB_TEMPLATES = Path(DATA_FILES_PATH, "templates")
SERVICE = "services/backendai/"
NO_ANSWER = N_("A part of the system does not answer. Running sessions go on. This page tries again by itself.")
NO_SESSION = N_("This session does not answer: its node is very busy, or it has just ended. This page tries again by itself.")
# Words of the hub's own frame that are not seen: they are read out, shown over the mouse, or stand in the box of its errors.
_HIDDEN = (
    ('aria-label="Toggle navigation"', 'aria-label="{{ _("Menu") }}"', N_("Menu")),
    ('aria-label="Close"', 'aria-label="{{ _("Close") }}"', N_("Close")),
    ('title="Home"', 'title="{{ _("Home") }}"', N_("Home")),
    ("{{ title }}</h2>", "{{ _(title) }}</h2>", N_("Error")),
    ("{{ btn_label }}</button>", "{{ _(btn_label) }}</button>", N_("OK")),
    (">The error<", "><", ""),
)
_NOSCRIPT = re.compile(r"<noscript>.*?</noscript>", re.DOTALL)
_SCRIPT = re.compile(r"<script\b(?![^>]*\bnonce=)")
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


def make_environment(**options: Any) -> Environment:
    """The environment of the service's pages: our templates first, then the hub's, as the hub itself arranges them."""
    hub = FileSystemLoader(str(HUB_TEMPLATES))
    loader = ChoiceLoader([PrefixLoader({"templates": hub}, "/"), FileSystemLoader(str(TEMPLATES)), hub])
    return Environment(loader=loader, autoescape=True, extensions=[Pages], **options)


class Pages(InternationalizationExtension):
    """Translations by request, the edits of the hub's templates, and our globals and filters."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.policies["ext.i18n.trimmed"] = True
        install: Any = self._install_callables  # typed for callables without the context
        install(_gettext, _ngettext, newstyle=True)
        environment.globals.update(
            page_language=page_language,
            page_address=page_address,
            script_nonce=script_nonce,
            asset=asset,
            languages=i18n.LANGUAGES,
            site_name=_site_name,
            in_all_languages=_in_all_languages,
            no_answer=NO_ANSWER,
            no_session=NO_SESSION,
        )
        environment.globals.update(service_url=_service_url, now=lambda: datetime.now(UTC), jupyterhub_version=jupyterhub.__version__)
        environment.filters.update(bytes=format_bytes, clock=_clock, span=_span)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 - jinja's signature
        """Edit a template of the hub's; ours are left as they are."""
        if not filename or not Path(filename).is_relative_to(HUB_TEMPLATES):
            return source
        source = source.replace('<html lang="en">', '<html lang="{{ page_language() }}">', 1)
        source = _NOSCRIPT.sub("", source)
        source = source.replace('alt="JupyterHub logo"', 'alt="{{ site_name() }}"')
        for english, translated, _ in _HIDDEN:
            source = source.replace(english, translated)
        return _SCRIPT.sub('<script nonce="{{ script_nonce() }}"', source)


def handler_of(context: Context) -> RequestHandler | None:
    """The request that a page is rendered for.

    The hub gives templates no request; but the ``static_url`` that it does give is a method of the handler.
    """
    handler = getattr(context.get("static_url"), "__self__", None)
    return handler if isinstance(handler, RequestHandler) else None


@pass_context
def page_language(context: Context) -> str:
    """The reader's language: as the service says, else by the request of the hub's page."""
    language: str = context.get("language") or ""
    handler = handler_of(context)
    if language or handler is None:
        return language or i18n.DEFAULT_LANGUAGE
    found: str | None = getattr(handler, "_backendai_language", None)
    if found is None:
        cookie, accept = handler.get_cookie(i18n.COOKIE) or "", handler.request.headers.get("Accept-Language", "")
        found = i18n.choose_language(cookie=cookie, accept=accept)
        handler._backendai_language = found  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark on this request
        _remember(handler, found)
    return found


def _remember(handler: RequestHandler, language: str) -> None:
    """The messages of somebody's sessions come in the language in which their owner reads the hub's pages."""
    user, authenticator = getattr(handler, "_jupyterhub_user", None), getattr(handler, "authenticator", None)
    if user is not None and authenticator is not None and hasattr(authenticator, "remember_language"):
        authenticator.remember_language(user.name, language)


@pass_context
def page_address(context: Context) -> str:
    """Where the reader is, for coming back after a choice of language."""
    handler = handler_of(context)
    return str(context.get("here") or (handler.request.uri if handler and handler.request.method == "GET" else "") or "")


@pass_context
def script_nonce(context: Context) -> str:
    """The nonce of this page's scripts. On the hub it is made here, and the policy that demands it is sent with the page."""
    nonce: str = context.get("nonce") or ""
    handler = handler_of(context)
    if nonce or handler is None:
        return nonce
    made: str | None = getattr(handler, "_backendai_nonce", None)
    if made is None:
        made = new_nonce()
        handler._backendai_nonce = made  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark on this request
        # The hub's own pages hide parts of themselves by style attributes, and its admin page adds style elements.
        policy = page_policy(made).replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
        handler.set_header("Content-Security-Policy", f"{policy}; report-uri {context.get('base_url')}security/csp-report")
        handler.set_header("Referrer-Policy", "same-origin")
        handler.set_header("X-Content-Type-Options", "nosniff")
    return made


def new_nonce() -> str:
    return secrets.token_urlsafe(16)


def page_policy(nonce: str) -> str:
    """The Content-Security-Policy of a page whose scripts carry this nonce."""
    return _PAGE_POLICY.format(nonce=nonce)


@pass_context
def asset(context: Context, path: str) -> str:
    """Address of a static file of ours; it changes with the file, so that browsers may keep it."""
    return f"{_service_url(context)}static/{path}?v={_version(path)}"


@functools.cache
def _version(path: str) -> str:
    file = STATIC / path
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else "0"


@pass_context
def _service_url(context: Context) -> str:
    return f"{context.get('prefix') or '/'}{SERVICE}"


@pass_context
def _site_name(context: Context) -> str:
    return str(context.get("site") or "JupyterHub")


def _clock(seconds: float | None) -> str:
    """Unix seconds as the ISO time that a ``<time datetime>`` wants."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""


def _in_all_languages(message: str) -> list[tuple[str, str]]:
    """A message as (language, text), for a reader whose language nobody knows."""
    return [(language, i18n.translate(language, message)) for language in i18n.LANGUAGES]


@pass_context
def _span(context: Context, seconds: int) -> str:
    """A length of time in the reader's words."""
    return i18n.format_span(page_language(context), seconds)


@pass_context
def _gettext(context: Context, message: str) -> str:
    return i18n.translate(page_language(context), message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, count: int) -> str:
    text: str = i18n.translations(page_language(context)).ngettext(singular, plural, count)
    return text
