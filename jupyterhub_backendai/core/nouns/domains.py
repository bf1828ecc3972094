"""Domains: the outermost tenants."""

from __future__ import annotations

from ...errors import N_
from .base import Noun
from .values import Field, Kind

DOMAINS = Noun(
    name="domains",
    singular="domain",
    title=N_("Domains"),
    one=N_("Domain"),
    key="name",
    fields=(
        Field("name", Kind.NAME, N_("Name"), is_required=True, is_fixed=True),
        Field("description", Kind.TEXT, N_("Description")),
        Field("is_active", Kind.BOOLEAN, N_("Active"), N_("Nobody of an inactive domain can log in or start anything."), default=True),
        Field("total_resource_slots", Kind.SLOTS, N_("Slots in all"), N_("What all sessions of the domain may hold; empty is unlimited.")),
        Field("allowed_vfolder_hosts", Kind.HOSTS, N_("Storage hosts")),
        Field("resource_groups", Kind.REFERENCES, N_("Resource groups"), of="resource_groups"),
        Field("user_count", Kind.INTEGER, N_("People"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "description", "is_active", "total_resource_slots", "user_count", "created_at"),
    search=("name", "description"),
    filters=("is_active",),
    sort="name",
    for_domain_admins="read",
)
