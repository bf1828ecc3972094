"""Storage hosts: the places for virtual folders, as policies name them."""

from __future__ import annotations

import re

from ...errors import N_, Violation
from .base import Noun
from .values import Field, Kind

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?::[A-Za-z0-9][A-Za-z0-9._-]*)?")

QUOTA_DRIVERS = ("auto", "accounting", "xfs", "ext4", "btrfs", "lustre", "cephfs")

STORAGE_HOSTS = Noun(
    name="storage_hosts",
    singular="storage_host",
    title=N_("Storage hosts"),
    one=N_("Storage host"),
    key="name",
    fields=(
        Field("name", Kind.TEXT, N_("Name"), N_("<proxy>:<volume>, such as local:volume1."), is_required=True, is_fixed=True, most=64),
        Field("description", Kind.TEXT, N_("Description")),
        Field("path", Kind.TEXT, N_("Directory"), N_("Where the folders are, from / on.")),
        Field(
            "quota_driver",
            Kind.CHOICE,
            N_("Quotas"),
            N_("Who enforces them: auto asks the file system; accounting counts what is uploaded, and sees late what sessions write."),
            default="auto",
            choices=QUOTA_DRIVERS,
        ),
        Field("is_active", Kind.BOOLEAN, N_("Active"), N_("Folders can be used on active hosts only."), default=True),
        Field(
            "is_configured",
            Kind.BOOLEAN,
            N_("In the configuration file"),
            N_("Folders can be made only where the configuration file names the host, and the helper's options do."),
            is_computed=True,
        ),
        Field("folder_count", Kind.INTEGER, N_("Folders"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "description", "path", "quota_driver", "folder_count", "is_active"),
    search=("name", "description", "path"),
    filters=("is_active", "is_configured"),
    sort="name",
    for_domain_admins="read",
)


def check_host(name: str | None, path: str | None) -> list[Violation]:
    """What is wrong with a host's name and directory; None is not looked at."""
    found = []
    if name is not None and not _HOST.fullmatch(name):
        message = N_("A storage host is named <proxy>:<volume>, with letters, digits and the characters . _ -")
        found.append(Violation(message, {}, "name", "invalid"))
    if path and (not path.startswith("/") or path == "/" or ".." in path.split("/")):
        found.append(Violation(N_("Give the whole path of a directory, such as /data/folders."), {}, "path", "invalid"))
    return found
