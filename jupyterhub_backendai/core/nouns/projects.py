"""Projects: who works together on one thing (``group`` on the wire)."""

from __future__ import annotations

from ...errors import N_
from .base import Noun
from .values import Field, Kind

PROJECTS = Noun(
    name="projects",
    singular="project",
    title=N_("Projects"),
    one=N_("Project"),
    key="id",
    fields=(
        Field("id", Kind.TEXT, N_("Id"), is_computed=True),
        # Sessions, queues and rules of the directory name projects, so a name stays what it is.
        Field("name", Kind.NAME, N_("Name"), is_required=True, is_fixed=True),
        Field("domain", Kind.REFERENCE, N_("Domain"), default="default", is_fixed=True, of="domains"),
        Field("description", Kind.TEXT, N_("Description")),
        Field("type", Kind.CHOICE, N_("Type"), default="general", is_fixed=True, choices=("general", "model-store")),
        Field("is_active", Kind.BOOLEAN, N_("Active"), N_("Nothing can be started in an inactive project."), default=True),
        Field("total_resource_slots", Kind.SLOTS, N_("Slots in all"), N_("What all sessions of the project may hold; empty is unlimited.")),
        Field("allowed_vfolder_hosts", Kind.HOSTS, N_("Storage hosts")),
        Field("resource_policy", Kind.REFERENCE, N_("Project policy"), default="default", of="project_resource_policies"),
        Field("members", Kind.REFERENCES, N_("Members"), N_("People of the domain, by user name."), of="users"),
        Field("resource_groups", Kind.REFERENCES, N_("Resource groups"), of="resource_groups"),
        Field("member_count", Kind.INTEGER, N_("People"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "domain", "description", "type", "is_active", "total_resource_slots", "member_count", "created_at"),
    search=("name", "description"),
    filters=("domain", "is_active", "type", "resource_policy"),
    sort="name",
    for_domain_admins="write",
)
