"""Everybody's compute sessions. They are started by their owners; administrators look, and end them."""

from __future__ import annotations

from ...errors import N_
from ..queues import SESSION_TYPES
from ..sessions import SessionStatus
from .base import Noun
from .values import Field, Kind

SESSIONS = Noun(
    name="sessions",
    singular="session",
    title=N_("Sessions"),
    one=N_("Session"),
    key="id",
    fields=(
        Field("id", Kind.TEXT, N_("Id"), is_computed=True),
        Field("name", Kind.TEXT, N_("Name"), is_computed=True),
        Field("user", Kind.REFERENCE, N_("Owner"), is_computed=True, of="users"),
        Field("domain", Kind.REFERENCE, N_("Domain"), is_computed=True, of="domains"),
        Field("project", Kind.TEXT, N_("Project"), is_computed=True),
        Field("resource_group", Kind.REFERENCE, N_("Resource group"), is_computed=True, of="resource_groups"),
        Field("status", Kind.CHOICE, N_("Status"), is_computed=True, choices=tuple(status.value for status in SessionStatus)),
        Field("is_live", Kind.BOOLEAN, N_("Live"), N_("A live session holds its slots."), is_computed=True),
        Field("slots", Kind.SLOTS, N_("Slots"), is_computed=True),
        Field("status_reason", Kind.TEXT, N_("Reason"), is_computed=True),
        Field("environment", Kind.TEXT, N_("Environment"), is_computed=True),
        Field("session_type", Kind.CHOICE, N_("Kind of session"), is_computed=True, choices=SESSION_TYPES),
        Field("exit_code", Kind.INTEGER, N_("Exit code"), N_("Of a batch session that is over."), is_computed=True),
        Field("interface", Kind.TEXT, N_("Interface"), is_computed=True),
        Field("engine", Kind.TEXT, N_("Engine"), is_computed=True),
        Field("server_name", Kind.TEXT, N_("Server"), is_computed=True),
        Field("gpu_type", Kind.TEXT, N_("GPU type"), is_computed=True),
        Field("job_id", Kind.TEXT, N_("Job"), is_computed=True),
        Field("node", Kind.TEXT, N_("Node"), is_computed=True),
        Field("access_key", Kind.REFERENCE, N_("Keypair"), is_computed=True, of="keypairs"),
        Field("time_limit_s", Kind.DURATION, N_("Time limit"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
        Field("started_at", Kind.MOMENT, N_("Started"), is_computed=True),
        Field("terminated_at", Kind.MOMENT, N_("Ended"), is_computed=True),
    ),
    columns=("name", "user", "domain", "project", "resource_group", "status", "slots", "node", "created_at", "terminated_at"),
    search=("id", "name", "user"),
    filters=("status", "is_live", "session_type", "user", "project", "resource_group", "domain"),
    sort="-created_at",
    verbs=frozenset({"terminate"}),
    for_domain_admins="write",
    is_exported=False,
)
