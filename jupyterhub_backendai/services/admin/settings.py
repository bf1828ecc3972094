"""What the platform is set to: the switch for new sessions, and the configuration file as it is in effect, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ... import i18n
from ...config import BackendAI
from ...core.nouns.settings import STATUS
from ...store import settings as store
from ..auth import administrative
from .base import AdminHandler

HIDDEN = "••••••"
_SECRET = re.compile(r"pass(word|wd)?|secret|token|credential|(^|_)key$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One setting of the configuration file."""

    name: str
    text: str
    help: str
    is_default: bool


def list_lines(settings: BackendAI, language: str) -> list[Line]:
    """Every setting with its value in effect; whatever could be a secret is hidden."""
    found = []
    for name, trait in sorted(type(settings).class_traits(config=True).items()):
        value = getattr(settings, name)
        if name == "config":
            continue
        is_default = name not in settings.config.get(type(settings).__name__, {})
        found.append(Line(name, write(name, value), i18n.translate(language, str(trait.help or "")), is_default))
    return found


def write(name: str, value: Any) -> str:
    """A setting's value as text, without secrets."""
    value = hide(name, value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)


def hide(name: str, value: Any) -> Any:
    """A value without what its name, or its form as an address with a password, says is a secret."""
    if isinstance(value, Mapping):
        return {key: hide(str(key), part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [hide(name, part) for part in value]
    if not value or not isinstance(value, str):
        return value
    if _SECRET.search(name) and not name.endswith("_file"):
        return HIDDEN
    if "://" in value and "@" in value:
        try:
            return make_url(value).render_as_string(hide_password=True)
        except (ArgumentError, ValueError):
            return HIDDEN
    return value


class SettingsHandler(AdminHandler):
    """The page; superadministrators only."""

    @administrative
    async def get(self) -> None:
        self.require_superadmin()
        is_frozen = await self.db.run(store.is_frozen)
        self.render_admin("admin/settings.html", "settings", is_frozen=is_frozen, lines=list_lines(self.config, self.language))


class StatusHandler(AdminHandler):
    """Refuse new sessions, or take them again."""

    @administrative
    async def post(self) -> None:
        self.require_superadmin()
        value = self.get_body_argument("value", "")[:16]
        await self.db.run_exclusive(store.set_setting, self.actor, STATUS, {"value": value})
        self.redirect(f"{self.base}settings?notice={'frozen' if value == 'frozen' else 'running'}", status=303)


default_handlers = [(r"admin/settings", SettingsHandler), (r"admin/settings/status", StatusHandler)]
