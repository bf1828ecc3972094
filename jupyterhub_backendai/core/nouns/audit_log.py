"""The audit log: who did what."""

from __future__ import annotations

from ...errors import N_
from .base import Noun
from .values import Field, Kind

AUDIT_LOG = Noun(
    name="audit_log",
    singular="audit_entry",
    title=N_("Audit log"),
    one=N_("Audit entry"),
    key="id",
    fields=(
        Field("id", Kind.TEXT, N_("Id"), is_computed=True),
        Field("at", Kind.MOMENT, N_("When"), is_computed=True),
        Field("actor", Kind.TEXT, N_("Who"), is_computed=True),
        Field("action", Kind.TEXT, N_("Act"), is_computed=True),
        Field("object", Kind.TEXT, N_("What"), is_computed=True),
        Field("source", Kind.TEXT, N_("From where"), is_computed=True),
        Field("result", Kind.TEXT, N_("Result"), is_computed=True, choices=("ok", "refused", "failed", "step", "abandoned")),
        Field("details", Kind.OPTIONS, N_("Details"), is_computed=True),
    ),
    columns=("at", "actor", "action", "object", "source", "result"),
    search=("actor", "action", "object"),
    filters=("actor", "action", "object", "result", "since", "until"),
    filter_fields=(
        Field("since", Kind.MOMENT, N_("From")),
        Field("until", Kind.MOMENT, N_("To")),
    ),
    sort="-at",
    verbs=frozenset(),
    for_domain_admins="read",
    is_exported=False,
)
