"""Resource groups: queues of an engine (``scaling_group`` on the wire)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...errors import N_, Violation
from ..policies import COUNTED_ENGINES
from ..prices import check_prices, read_prices
from ..queues import EXTENDERS, RULES, SCHEDULERS, SESSION_TYPES, STRATEGIES, Queue
from ..slots import CPU
from .base import Noun
from .values import Field, Kind

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_WHOLE = {None: "engine", True: "yes", False: "no"}
# Fields that are kept in the definition of a queue, and owned by the configuration file where it names the group.
DEFINITION = (
    "labels",
    "descriptions",
    "partition",
    "clusters",
    "is_free",
    "prices",
    "is_exclusive",
    "accounts",
    "max_slots",
    "capacity",
    "max_sessions",
    "gpu_type",
    "default_time_s",
    "max_time_s",
    "extension_time_s",
    "extension_count",
    "extension_by",
)

RESOURCE_GROUPS = Noun(
    name="resource_groups",
    singular="resource_group",
    title=N_("Resource groups"),
    one=N_("Resource group"),
    key="name",
    fields=(
        Field("name", Kind.NAME, N_("Name"), is_required=True, is_fixed=True),
        Field("description", Kind.TEXT, N_("Description")),
        Field("is_active", Kind.BOOLEAN, N_("Active"), N_("Nothing can be started in an inactive group; what runs goes on."), default=True),
        Field("engine", Kind.NAME, N_("Engine"), N_("What runs the sessions: slurm, local …"), is_required=True, is_fixed=True),
        Field("position", Kind.INTEGER, N_("Position"), N_("Lower numbers come first."), default=100, most=10_000),
        Field("is_configured", Kind.BOOLEAN, N_("In the configuration file"), is_computed=True),
        # -- who may use it
        Field("is_open", Kind.BOOLEAN, N_("Open to everybody"), N_("Otherwise only to those named here."), group="access"),
        Field("is_public", Kind.BOOLEAN, N_("Public"), N_("A group that is not public is for superadmins."), default=True, group="access"),
        Field("domains", Kind.REFERENCES, N_("Domains"), of="domains", group="access"),
        # No references: a project's key says nothing, and its name only with its domain.
        Field("projects", Kind.WORDS, N_("Projects"), N_("Each as domain/name."), group="access"),
        Field("keypairs", Kind.REFERENCES, N_("Keypairs"), N_("By access key."), of="keypairs", group="access"),
        Field(
            "configured_projects",
            Kind.WORDS,
            N_("Projects of the configuration file"),
            N_("Projects of that name in every domain."),
            is_computed=True,
            group="access",
        ),
        Field("allowed_session_types", Kind.CHOICES, N_("Kinds of sessions"), default=SESSION_TYPES, choices=SESSION_TYPES, group="access"),
        # -- how it is shown, and what one session may have
        Field("labels", Kind.LABELS, N_("Shown as"), most=64, group="definition"),
        Field("descriptions", Kind.LABELS, N_("What it is for"), most=256, group="definition"),
        Field("partition", Kind.TEXT, N_("Partition"), N_("The engine's own name of the queue; empty is the same."), group="definition"),
        Field(
            "clusters",
            Kind.WORDS,
            N_("Clusters"),
            N_("Those that have the partition; people choose one of several. Empty: the first that the engine has."),
            group="definition",
        ),
        Field("is_free", Kind.BOOLEAN, N_("Free of charge"), default=True, group="definition"),
        Field(
            "prices",
            Kind.OPTIONS,
            N_("Prices per hour"),
            N_('By slot, memory by the GiB, a node of one\'s own as node: {"cpu": "10", "mem": "1.5", "cuda.device:a100": "2000"}.'),
            group="definition",
        ),
        Field(
            "is_exclusive",
            Kind.CHOICE,
            N_("Whole nodes"),
            N_("Whether a session gets nodes of its own: as the engine says, yes or no."),
            default="engine",
            choices=tuple(_WHOLE.values()),
            group="definition",
        ),
        Field(
            "accounts",
            Kind.OPTIONS,
            N_("Accounts of the engine"),
            N_('By project, "*" for all others: {"*": "free"}.'),
            group="definition",
        ),
        Field("max_slots", Kind.SLOTS, N_("At most for one session"), group="definition"),
        Field(
            "capacity",
            Kind.SLOTS,
            N_("Capacity"),
            N_("How large the group is, where the engine does not say it (local)."),
            group="definition",
        ),
        Field("max_sessions", Kind.INTEGER, N_("Sessions at a time"), is_limit=True, group="definition"),
        Field("gpu_type", Kind.TEXT, N_("Kind of GPU"), most=64, group="definition"),
        Field("default_time_s", Kind.DURATION, N_("Time unless asked otherwise"), default=3600, least=60, group="definition"),
        Field("max_time_s", Kind.DURATION, N_("Longest time"), is_limit=True, least=60, group="definition"),
        Field(
            "extension_time_s",
            Kind.DURATION,
            N_("More time while it runs"),
            N_("How much longer a session that runs may be made, in all; 0: not at all. Never beyond the longest time."),
            default=0,
            group="definition",
        ),
        Field("extension_count", Kind.INTEGER, N_("How often it is given more"), is_limit=True, least=1, group="definition"),
        Field(
            "extension_by",
            Kind.CHOICE,
            N_("Who gives it more"),
            N_("owner: everybody to their own sessions. administrators: only they."),
            default="owner",
            choices=EXTENDERS,
            group="definition",
        ),
        # -- the waiting line of an engine that has none
        Field(
            "scheduler",
            Kind.CHOICE,
            N_("Scheduler"),
            N_("none: what does not fit now is refused. fifo: the oldest first. lifo: the newest first. drf: who holds the least first."),
            default="none",
            choices=SCHEDULERS,
            group="scheduler",
        ),
        Field("pending_timeout_s", Kind.DURATION, N_("Longest wait"), is_limit=True, least=1, group="scheduler"),
        Field(
            "num_retries_to_skip",
            Kind.INTEGER,
            N_("Tries before others pass"),
            N_("How often a session is tried before those behind it may pass; 0 is never."),
            most=1000,
            group="scheduler",
        ),
        Field(
            "agent_selection_strategy",
            Kind.CHOICE,
            N_("Choice of the node"),
            N_("dispersed: the emptiest node. concentrated: the fullest that has room."),
            default="dispersed",
            choices=STRATEGIES,
            group="scheduler",
        ),
        Field("session_count", Kind.INTEGER, N_("Sessions now"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "description", "engine", "is_active", "is_open", "is_public", "scheduler", "session_count", "position"),
    search=("name", "description"),
    filters=("engine", "is_active", "is_open", "is_public", "is_configured", "scheduler"),
    sort="position",
    for_domain_admins="read",
)


def read_definition(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a definition as :class:`~..queues.Queue` has them."""
    found = {name: values[name] for name in DEFINITION if name in values}
    if "is_exclusive" in found:
        found["is_exclusive"] = next(value for value, word in _WHOLE.items() if word == found["is_exclusive"])
    if "prices" in found:
        found["prices"] = read_prices(found["prices"])
    return found


def show_definition(queue: Queue) -> dict[str, Any]:
    """A queue's definition as the values of a record; :func:`read_definition` is the inverse."""
    shown = {"is_exclusive": _WHOLE[queue.is_exclusive], "prices": queue.prices.to_json()}
    return {name: getattr(queue, name) for name in DEFINITION} | shown


def check_name(name: str) -> list[Violation]:
    """Whether a group can be asked for by that name."""
    if _WORD.fullmatch(name):
        return []
    return [Violation(N_("A resource group's name has letters, digits and the characters . _ -"), {}, "name", "invalid")]


def check_group(queue: Queue) -> list[Violation]:
    """Everything that keeps a group from working as it is."""
    message = N_("This has letters, digits and the characters . _ -")
    found = [Violation(message, {}, name, "invalid") for name in ("partition", "gpu_type") if not _is_word(getattr(queue, name))]
    if not all(map(_is_word, queue.clusters)):
        found.append(Violation(N_("This has letters, digits and the characters . _ -"), {}, "clusters", "invalid"))
    if not all(map(_is_word, queue.accounts.values())):
        message = N_("Give one account for each project, in letters, digits and the characters . _ -")
        found.append(Violation(message, {}, "accounts", "invalid"))
    for name in ("max_slots", "capacity"):
        infinite = [slot for slot, amount in getattr(queue, name).items() if amount.is_infinite()]
        found += [
            Violation(N_("A session cannot have infinite %(slot)s."), {"slot": slot}, f"{name}.{slot}", "infinite") for slot in infinite
        ]
    if queue.max_time_s is not None and queue.default_time_s > queue.max_time_s:
        found.append(Violation(N_("This is more than the longest time."), {}, "default_time_s", "too-much"))
    if queue.engine == "slurm" and queue.scheduler != "none":
        found.append(Violation(N_("Slurm has a waiting line of its own: choose none."), {}, "scheduler", "engine"))
    if queue.engine in COUNTED_ENGINES and not queue.capacity.amount(CPU):
        found.append(Violation(N_("Nothing else says how large a local group is: give its CPUs."), {}, f"capacity.{CPU}", "required"))
    if not queue.allowed_session_types:
        found.append(Violation(N_("This must be filled in."), {}, "allowed_session_types", "required"))
    return found + check_prices(queue)


def _is_word(text: object) -> bool:
    return isinstance(text, str) and (not text or bool(_WORD.fullmatch(text)))


def check_owned(values: Mapping[str, Any], before: Mapping[str, Any], owned: frozenset[str]) -> list[Violation]:
    """A violation for each field that the configuration file owns and that shall change."""
    message = N_("This is set in jupyterhub_config.py.")
    return [Violation(message, {}, name, "configured") for name in values if name in owned and values[name] != before.get(name)]


def list_owned_fields(rules: frozenset[str]) -> frozenset[str]:
    """The fields of a configured group that the file owns; ``rules`` are those of :data:`~..queues.RULES` that it names."""
    return frozenset({"engine", "position", *DEFINITION}) | (rules & frozenset(RULES))
