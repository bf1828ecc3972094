"""Names that a site has given rights to by its configuration: nobody may make themselves an account of such a name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitlets.config.loader import LazyConfigValue

from ..config import BackendAI
from ..core.identity import Person
from ..core.mapping import map_person
from ..core.names import fold_name

_ANYBODY = "anybody-at-all"
AUTHENTICATORS = ("Authenticator", "BackendAIAuthenticator")


def has_rights_by_name(settings: BackendAI, name: str) -> bool:
    """Whether somebody of this name would be more here than somebody of any other: by a list, or by a rule of mapping. Reads a file."""
    if name in list_reserved(settings):
        return True
    rules, groups = settings.make_mapping(), tuple(settings.sign_up_groups)
    other = map_person(Person(_ANYBODY, groups=groups), rules)
    # A project of one's own that is called by the name is no right of that name; a Unix account is.
    projects = tuple(project.replace(_ANYBODY, name) for project in other.projects)
    return map_person(Person(name, groups=groups), rules) != replace(other, projects=projects)


def list_reserved(settings: BackendAI) -> frozenset[str]:
    """Administrators of ours and of the hub's, people whom the hub's roles name, and the emergency administrator. Reads a file."""
    return frozenset(fold_name(name) for name in _list_names(settings) if isinstance(name, str))


def _list_names(settings: BackendAI) -> Iterator[Any]:
    yield from settings.admin_users
    for section in AUTHENTICATORS:
        yield from _listed(settings.config.get(section, {}).get("admin_users"))
    for role in _listed(settings.config.get("JupyterHub", {}).get("load_roles")):
        yield from _listed(role.get("users") if isinstance(role, dict) else ())
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if settings.emergency_admin_file:
            yield Path(settings.emergency_admin_file).read_text().strip().partition(":")[0]


def _listed(value: Any) -> list[Any]:
    """What a setting holds, also one that the configuration only added to."""
    if isinstance(value, LazyConfigValue):
        added = value.to_dict()
        inserted = [item for _, item in added.get("inserts", ())]
        return [*added.get("update", ()), *added.get("extend", ()), *added.get("prepend", ()), *inserted]
    return list(value or ())
