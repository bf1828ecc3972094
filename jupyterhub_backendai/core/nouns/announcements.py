"""Announcements: news for everybody, in two languages."""

from __future__ import annotations

from datetime import datetime

from ...errors import N_, Violation
from .base import Noun
from .values import Field, Kind

LEVELS = ("info", "warning", "danger")

ANNOUNCEMENTS = Noun(
    name="announcements",
    singular="announcement",
    title=N_("Announcements"),
    one=N_("Announcement"),
    key="id",
    fields=(
        Field("id", Kind.TEXT, N_("Id"), is_computed=True),
        Field("title", Kind.LABELS, N_("Title"), is_required=True, most=200),
        Field("body", Kind.LABELS, N_("Text"), is_required=True, most=10_000),
        Field("level", Kind.CHOICE, N_("Kind"), default="info", choices=LEVELS),
        Field("is_active", Kind.BOOLEAN, N_("Active"), default=True),
        Field("starts_at", Kind.MOMENT, N_("Shown from"), N_("Empty: at once.")),
        Field("ends_at", Kind.MOMENT, N_("Shown until"), N_("Empty: until somebody makes it inactive.")),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("title", "level", "is_active", "starts_at", "ends_at", "created_at"),
    search=("title", "body"),
    filters=("level", "is_active"),
    sort="-created_at",
)


def check_times(starts_at: datetime | None, ends_at: datetime | None) -> list[Violation]:
    """An announcement that ends before it begins is never seen."""
    if starts_at is None or ends_at is None or starts_at < ends_at:
        return []
    return [Violation(N_("This must be after the beginning."), {}, "ends_at", "too-early")]
