from __future__ import annotations

import pytest

from jupyterhub_backendai.core.identity import Person
from jupyterhub_backendai.core.mapping import MappingRules, map_person

RULES = MappingRules(
    allowed_groups=("jhub-users",),
    admin_groups=("cn=Admins,dc=x",),
    admin_users=("boss",),
    project_groups={"physics": "quarks", "cn=ai,ou=group,dc=x": "ai", "AI": "ai"},
)


@pytest.mark.parametrize(
    ("name", "groups", "allowed", "admin", "projects"),
    [
        ("kim01", (), False, False, ("default",)),
        ("kim01", ("jhub-users",), True, False, ("default",)),
        ("kim01", ("JHUB-Users", "Physics"), True, False, ("quarks",)),
        ("kim01", ("jhub-users", "ai", "cn=AI,ou=group,dc=x", "physics"), True, False, ("quarks", "ai")),
        ("kim01", ("cn=admins,dc=x",), True, True, ("default",)),
        ("boss", (), True, True, ("default",)),
    ],
)
def test_rules(name: str, groups: tuple[str, ...], allowed: bool, admin: bool, projects: tuple[str, ...]) -> None:
    mapped = map_person(Person(name, groups=groups), RULES)
    assert (mapped.is_allowed, mapped.is_admin, mapped.domain, mapped.projects) == (allowed, admin, "default", projects)


def test_without_rules_everybody_may_come() -> None:
    mapped = map_person(Person("kim01"), MappingRules())
    assert (mapped.is_allowed, mapped.is_admin) == (True, False)


def test_managed_projects() -> None:
    assert RULES.managed_projects() == {"quarks", "ai", "default"}
