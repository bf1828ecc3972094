"""Invitations: who may make an account where a site lets only invited people do so."""

from __future__ import annotations

from ...errors import N_
from .base import Noun
from .values import Field, Kind

SIGN_UP_INVITATIONS = Noun(
    name="sign_up_invitations",
    singular="sign_up_invitation",
    title=N_("Sign-up invitations"),
    one=N_("Sign-up invitation"),
    key="id",
    fields=(
        Field("id", Kind.TEXT, N_("Id"), is_computed=True),
        Field("name", Kind.TEXT, N_("Name"), N_("To tell it from others, such as the name of a course."), is_required=True, most=64),
        Field("email", Kind.EMAIL, N_("E-mail"), N_("Good for this address only; empty: for whoever has the word.")),
        Field("domain", Kind.REFERENCE, N_("Domain"), default="default", is_fixed=True, of="domains"),
        Field("projects", Kind.REFERENCES, N_("Projects"), N_("Who comes by it joins these."), of="projects"),
        Field("max_uses", Kind.INTEGER, N_("For how many people"), default=1, least=1, most=100_000),
        Field("uses", Kind.INTEGER, N_("Used"), is_computed=True),
        Field("expires_at", Kind.MOMENT, N_("Good until"), N_("Empty: until it is used up.")),
        Field("created_by", Kind.REFERENCE, N_("Made by"), is_computed=True, of="users"),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "email", "domain", "max_uses", "uses", "expires_at", "created_by", "created_at"),
    search=("name", "email"),
    filters=("domain", "created_by"),
    sort="-created_at",
    for_domain_admins="write",
    is_exported=False,
)
