"""Keypairs: what programs sign their calls with."""

from __future__ import annotations

from ...errors import N_
from .base import Noun
from .values import Field, Kind

KEYPAIRS = Noun(
    name="keypairs",
    singular="keypair",
    title=N_("Keypairs"),
    one=N_("Keypair"),
    key="access_key",
    fields=(
        Field("access_key", Kind.TEXT, N_("Access key"), is_computed=True),
        Field("user", Kind.REFERENCE, N_("Owner"), is_required=True, is_fixed=True, of="users"),
        Field("is_active", Kind.BOOLEAN, N_("Active"), default=True),
        Field("is_main", Kind.BOOLEAN, N_("Main keypair"), N_("The policy of a person's main keypair limits all their sessions.")),
        Field("resource_policy", Kind.REFERENCE, N_("Keypair policy"), default="default", of="keypair_resource_policies"),
        Field("rate_limit", Kind.INTEGER, N_("Calls in 15 minutes"), default=30_000, least=1, most=10_000_000),
        Field("domain", Kind.REFERENCE, N_("Domain"), is_computed=True, of="domains"),
        Field("last_used_at", Kind.MOMENT, N_("Last used"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("access_key", "user", "domain", "is_active", "is_main", "resource_policy", "rate_limit", "last_used_at", "created_at"),
    search=("access_key", "user"),
    filters=("user", "domain", "is_active", "is_main", "resource_policy"),
    sort="user",
    for_domain_admins="write",
    is_exported=False,
)
