"""The three kinds of policy: what one keypair, one person and one project may have."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ...errors import N_, Violation
from ..slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots, format_bytes
from .base import Noun
from .values import Field, Kind

DEFAULT_FOR_UNSPECIFIED = ("limited", "unlimited")
# More than this at once is a slip of the hand; who means everything says Infinity.
MOST_SLOTS: Mapping[str, Decimal] = {CPU: Decimal(512), MEM: Decimal(1024**4), CUDA_DEVICE: Decimal(64), CUDA_SHARES: Decimal(256)}
MAX_SESSIONS = 100
MAX_IDLE_TIMEOUT_S = 15_552_000  # 180 days
MAX_LIFETIME_S = 31_536_000  # a year
MAX_FOLDERS = 1_000_000

_NAME = Field("name", Kind.NAME, N_("Name"), is_required=True, is_fixed=True)
_CREATED = Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True)
_FOLDERS = (
    Field("max_vfolder_count", Kind.INTEGER, N_("Folders at most"), is_limit=True, most=MAX_FOLDERS),
    Field("max_quota_scope_size_bytes", Kind.BYTES, N_("Storage at most"), is_limit=True),
)

KEYPAIR_RESOURCE_POLICIES = Noun(
    name="keypair_resource_policies",
    singular="keypair_resource_policy",
    title=N_("Keypair resource policies"),
    one=N_("Keypair resource policy"),
    key="name",
    fields=(
        _NAME,
        Field("total_resource_slots", Kind.SLOTS, N_("Slots in all"), N_("What all sessions of one keypair may hold at a time.")),
        Field(
            "default_for_unspecified",
            Kind.CHOICE,
            N_("Slots not named"),
            N_("limited: a slot that is not named cannot be had; unlimited: as much as there is."),
            default="unlimited",
            choices=DEFAULT_FOR_UNSPECIFIED,
        ),
        Field("max_concurrent_sessions", Kind.INTEGER, N_("Sessions at a time"), is_limit=True, most=MAX_SESSIONS),
        Field("max_concurrent_sftp_sessions", Kind.INTEGER, N_("SFTP sessions at a time"), is_limit=True, most=MAX_SESSIONS),
        Field("max_pending_session_count", Kind.INTEGER, N_("Waiting sessions"), is_limit=True, most=10_000),
        Field(
            "max_pending_session_resource_slots",
            Kind.SLOTS,
            N_("Slots of waiting sessions"),
            N_("What all waiting sessions together may ask for; a slot that is not named is unlimited."),
        ),
        Field("max_session_lifetime_s", Kind.DURATION, N_("Session's lifetime at most"), is_limit=True, least=60, most=MAX_LIFETIME_S),
        Field(
            "idle_timeout_s",
            Kind.DURATION,
            N_("Idle time-out"),
            N_("A session that nobody uses for this long is ended."),
            is_limit=True,
            least=60,
            most=MAX_IDLE_TIMEOUT_S,
        ),
        Field("max_containers_per_session", Kind.INTEGER, N_("Containers per session"), is_limit=True, least=1, most=1000),
        Field("allowed_vfolder_hosts", Kind.HOSTS, N_("Storage hosts"), of="storage_hosts"),
        Field("keypair_count", Kind.INTEGER, N_("Keypairs"), is_computed=True),
        _CREATED,
    ),
    columns=("name", "total_resource_slots", "max_concurrent_sessions", "max_session_lifetime_s", "idle_timeout_s", "keypair_count"),
    search=("name",),
    filters=("default_for_unspecified",),
    sort="name",
    for_domain_admins="read",
)

USER_RESOURCE_POLICIES = Noun(
    name="user_resource_policies",
    singular="user_resource_policy",
    title=N_("User resource policies"),
    one=N_("User resource policy"),
    key="name",
    fields=(
        _NAME,
        *_FOLDERS,
        Field("max_session_count_per_model_session", Kind.INTEGER, N_("Sessions per model service"), is_limit=True, most=MAX_SESSIONS),
        Field("max_customized_image_count", Kind.INTEGER, N_("Own images"), is_limit=True, most=1000),
        Field("user_count", Kind.INTEGER, N_("People"), is_computed=True),
        _CREATED,
    ),
    columns=("name", "max_vfolder_count", "max_quota_scope_size_bytes", "max_customized_image_count", "user_count"),
    search=("name",),
    sort="name",
    for_domain_admins="read",
)

PROJECT_RESOURCE_POLICIES = Noun(
    name="project_resource_policies",
    singular="project_resource_policy",
    title=N_("Project resource policies"),
    one=N_("Project resource policy"),
    key="name",
    fields=(_NAME, *_FOLDERS, Field("project_count", Kind.INTEGER, N_("Projects"), is_computed=True), _CREATED),
    columns=("name", "max_vfolder_count", "max_quota_scope_size_bytes", "project_count"),
    search=("name",),
    sort="name",
    for_domain_admins="read",
)


def check_amounts(field: str, slots: ResourceSlots) -> list[Violation]:
    """A violation for every amount that no machine has; infinite is no such amount."""
    found = []
    message = N_("More than %(most)s of %(slot)s is no limit any more. Say Infinity for unlimited.")
    for name, amount in slots.items():
        most = MOST_SLOTS.get(name)
        if most is not None and amount.is_finite() and amount > most:
            shown = format_bytes(int(most)) if name == MEM else f"{most:f}"
            found.append(Violation(message, {"slot": name, "most": shown}, f"{field}.{name}", "too-much"))
    return found
