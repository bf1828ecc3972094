"""What the platform makes of what a directory says: who may come in, as what, and into which projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .identity import Person


@dataclass(frozen=True, slots=True)
class MappingRules:
    """A site's rules. Groups are written by their short name or, where a directory has it, by their full DN."""

    allowed_groups: tuple[str, ...] = ()
    admin_groups: tuple[str, ...] = ()
    admin_users: tuple[str, ...] = ()
    project_groups: Mapping[str, str] = field(default_factory=dict)
    default_project: str = "default"
    default_domain: str = "default"

    def managed_projects(self) -> frozenset[str]:
        """The projects whose members the directory decides; membership of others is left alone."""
        return frozenset([*self.project_groups.values(), self.default_project])


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the rules make of a person."""

    is_allowed: bool
    is_admin: bool
    domain: str
    projects: tuple[str, ...]


def map_person(person: Person, rules: MappingRules) -> Mapped:
    """Apply the rules. Administrators may always come in."""
    groups = {group.casefold() for group in person.groups}

    def in_any(wanted: Iterable[str]) -> bool:
        return any(group.casefold() in groups for group in wanted)

    is_admin = person.name in rules.admin_users or in_any(rules.admin_groups)
    projects = dict.fromkeys(project for group, project in rules.project_groups.items() if group.casefold() in groups)
    return Mapped(
        is_allowed=not rules.allowed_groups or is_admin or in_any(rules.allowed_groups),
        is_admin=is_admin,
        domain=rules.default_domain,
        projects=tuple(projects) or (rules.default_project,),
    )
