"""What one's folders use: how many there are, and how full each storage host is for oneself and for one's projects."""

from __future__ import annotations

from dataclasses import dataclass

from ... import i18n
from ...core.slots import format_bytes
from ...core.vfolder_quotas import ScopeUsage
from ...errors import N_
from ...store.vfolder_pages import FolderCounts, count_folders
from ...store.vfolder_quota_lists import list_own
from .base import DataPage


@dataclass(frozen=True, slots=True)
class Gauge:
    """One quota scope in the reader's words; ``part`` and ``whole`` draw its bar, ``whole`` None where there is no limit."""

    usage: ScopeUsage
    title: str
    words: str
    rest: str
    enforced: str

    @property
    def part(self) -> int:
        return self.usage.taken_bytes

    @property
    def whole(self) -> int | None:
        return self.usage.limit_bytes


@dataclass(frozen=True, slots=True)
class UsagePanel:
    """Everything that the panel shows."""

    counts: FolderCounts
    gauges: tuple[Gauge, ...]
    is_single_user: bool


async def load_usage(page: DataPage) -> UsagePanel:
    """For who looks at the page."""
    await page.storage_hosts.ready()
    counts = await page.db.run(count_folders, page.identity.name)
    scopes = await page.db.run(list_own, page.identity.name)
    storage = page.application.settings.get("storage")
    gauges = tuple(make_gauge(usage, page.language) for usage in scopes)
    return UsagePanel(counts, gauges, bool(getattr(storage, "is_single_user", False)))


def make_gauge(usage: ScopeUsage, language: str) -> Gauge:
    """A scope in words."""
    is_of_project = usage.id.startswith("project:")
    title = (
        i18n.translate(language, N_("Project %(name)s"), {"name": usage.owner}) if is_of_project else i18n.translate(language, N_("Mine"))
    )
    return Gauge(usage, title, say_use(usage, language), say_rest(usage, language), i18n.translate(language, usage.words))


def say_use(usage: ScopeUsage, language: str) -> str:
    """How much is used, of how much."""
    if usage.used_bytes is None and usage.limit_bytes is None:
        return i18n.translate(language, N_("not counted yet"))
    used = {"used": format_bytes(usage.used_bytes or 0)}
    if usage.limit_bytes is None:
        return i18n.translate(language, N_("%(used)s used, no limit"), used)
    return i18n.translate(language, N_("%(used)s of %(limit)s used"), {**used, "limit": format_bytes(usage.limit_bytes)})


def say_rest(usage: ScopeUsage, language: str) -> str:
    """What is worth telling besides: uploads under way, and that it is full."""
    parts = []
    if usage.reserved_bytes:
        reserved = {"size": format_bytes(usage.reserved_bytes)}
        parts.append(i18n.translate(language, N_("Uploads and copies under way need %(size)s more."), reserved))
    if usage.is_full:
        parts.append(i18n.translate(language, N_("It is full: delete something, or ask your administrator for more.")))
    return " ".join(parts)
