from __future__ import annotations

import ast
from pathlib import Path

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import Person, PosixAccount, Role
from jupyterhub_backendai.core.mapping import MappingRules, explain_person, map_person, parse_rules
from jupyterhub_backendai.errors import InvalidParameters

RULES = MappingRules(
    allowed_groups=("jhub-users",),
    admin_groups=("cn=Admins,dc=x",),
    admin_users=("boss",),
    project_groups={"physics": "quarks", "cn=ai,ou=group,dc=x": "ai", "AI": "ai"},
)
POSIX = PosixAccount("kim01", 5000, 5001, "/home/kim01")


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
def test_lists(name: str, groups: tuple[str, ...], allowed: bool, admin: bool, projects: tuple[str, ...]) -> None:
    mapped = map_person(Person(name, groups=groups), RULES)
    assert (mapped.is_allowed, mapped.is_admin, mapped.domain, mapped.projects) == (allowed, admin, "default", projects)
    assert not mapped.has_domain


def test_without_rules_everybody_may_come() -> None:
    mapped = map_person(Person("kim01", posix=POSIX), MappingRules())
    assert (mapped.is_allowed, mapped.role, mapped.posix) == (True, Role.USER, POSIX)


def test_managed_projects() -> None:
    assert RULES.managed_projects() == {"quarks", "ai", "default"}


def mapped(entries, *groups, name="kim01", posix=POSIX, lists=None, **attributes):
    person = Person(name, groups=groups, posix=posix, attributes={key: tuple(values) for key, values in attributes.items()})
    return map_person(person, MappingRules(rules=parse_rules(entries), **(lists or {})))


def test_named_groups_of_a_pattern_become_names_here() -> None:
    found = mapped(
        [{"group": r"(?P<domain>hpc|ai)-(?P<project>\w+)", "domain": "{domain}", "projects": "{project}"}],
        "hpc-quarks",
        "ai-nlp",
        "HPC-Lattice",
        "other",
        "xhpc-no",
    )
    assert (found.domain, found.has_domain, found.projects) == ("hpc", True, ("quarks", "nlp", "Lattice"))


def test_the_first_rule_decides_and_lists_add_up() -> None:
    rules = [
        {"attribute": "employeeType", "value": "staff", "role": "admin", "keypair_resource_policy": "large", "resource_groups": ["gpu"]},
        {"group": "ops", "role": "user", "keypair_resource_policy": "small", "resource_groups": "debug", "projects": ["tools", "shared"]},
        {"projects": "everyone"},
    ]
    both = mapped(rules, "ops", employeetype=["Staff"])
    assert (both.role, both.keypair_resource_policy, both.resource_groups) == (Role.ADMIN, "large", ("gpu", "debug"))
    assert both.projects == ("tools", "shared", "everyone")
    one = mapped(rules, "ops")
    assert (one.role, one.keypair_resource_policy, one.resource_groups) == (Role.USER, "small", ("debug",))
    assert mapped(rules).projects == ("everyone",)


def test_a_rule_can_be_the_last() -> None:
    rules = [{"attribute": "employeeType", "value": "guest", "projects": "guests", "stop": True}, {"projects": "staff"}]
    assert mapped(rules, employeeType=["guest"]).projects == ("guests",)
    assert mapped(rules).projects == ("staff",)


def test_who_may_come_in() -> None:
    rules = [{"attribute": "employeeType", "value": "left", "allow": False}, {"group": "guests", "allow": True}]
    lists = {"allowed_groups": ("staff",), "admin_groups": ("admins",)}
    assert not mapped(rules, "staff", lists=lists, employeeType=["left"]).is_allowed
    assert mapped(rules, "guests", lists=lists).is_allowed
    assert mapped(rules, "staff", lists=lists).is_allowed
    assert not mapped(rules, lists=lists).is_allowed
    assert mapped(rules, "admins", lists=lists, employeeType=["left"]).is_allowed  # nobody shuts out all administrators by a rule
    assert mapped(rules).is_allowed


def test_names_of_the_directory_are_held_to_our_form() -> None:
    person = Person("kim01", attributes={"ou": ("../etc", "a/b", "x" * 65, "", "a\nb", "물리학과", "ok")})
    rules = MappingRules(rules=parse_rules([{"attribute": "ou", "value": "(?P<all>(?s:.*))", "projects": "{all}", "domain": "{all}"}]))
    found, (*steps,) = explain_person(person, rules)
    assert (found.domain, found.projects) == ("물리학과", ("물리학과", "ok"))
    assert len(steps) == 7
    assert "cannot be a name" in steps[1].ignored[0]


@pytest.mark.parametrize(
    ("entry", "posix", "expected"),
    [
        ({"home": "/scratch/{user}"}, POSIX, PosixAccount("kim01", 5000, 5001, "/scratch/kim01")),
        ({"uid": "7000", "gid": 100}, POSIX, PosixAccount("kim01", 7000, 100, "/home/kim01")),
        ({"account": "{user}", "uid": "7000", "gid": "7000"}, None, PosixAccount("kim01", 7000, 7000, "/")),
        ({"uid": "{n}", "attribute": "number", "value": "n(?P<n>.*)"}, POSIX, PosixAccount("kim01", 6001, 5001, "/home/kim01")),
        ({"home": "/{h}", "attribute": "number", "value": "(?P<h>.*)"}, None, None),
    ],
)
def test_unix_account(entry, posix, expected) -> None:
    assert mapped([entry], posix=posix, number=["n6001"]).posix == expected


@pytest.mark.parametrize("value", ["n0", "n999", "n-1", "n 1000", "n٣٠٠٠", "n4294967295", "n", "n1e9"])
def test_no_rule_makes_anybody_root(value) -> None:
    assert mapped([{"attribute": "number", "value": "n(?P<n>.*)", "uid": "{n}"}], number=[value]).posix == POSIX


@pytest.mark.parametrize("path", ["x", "/a/../b", "/a\nb", "/..", "/" + "x" * 1100])
def test_a_home_is_a_plain_absolute_path(path) -> None:
    assert mapped([{"attribute": "home", "value": "(?P<all>(?s:.*))", "home": "{all}"}], home=[path]).posix == POSIX


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"groups": "x"}, "no such word"),
        ({"group": "(", "projects": "x"}, "rule 1"),
        ({"group": "x", "attribute": "y"}, "only one"),
        ({"group": "x", "value": "y"}, "value goes with attribute"),
        ({"group": "x", "projects": "{nothing}"}, "does not name"),
        ({"group": "x", "domain": ["a", "b"]}, "not several"),
        ({"role": "root"}, "not a valid Role"),
        ({"projects": "a/b"}, "cannot be a name"),
        ({"uid": 0}, "no number from 1000"),
        ({"allow": "yes"}, "True or False"),
        ({"group": 5, "projects": "x"}, "group is text"),
        ({"attribute": ["ou"], "projects": "x"}, "attribute is text"),
    ],
)
def test_a_rule_that_cannot_be_read_says_why(entry, words) -> None:
    with pytest.raises(ValueError, match=words):
        parse_rules([entry])
    with pytest.raises(InvalidParameters, match="mapping_rules"):
        BackendAI(mapping_rules=[entry]).make_mapping()


def test_the_example_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "howto-mapping.md").read_text()
    block = text.partition("c.BackendAI.mapping_rules = ")[2].partition("```")[0]
    found = mapped(ast.literal_eval(block), "hpc-physics-quarks", "gpu-users", "physics-heads")
    assert (found.domain, found.projects, found.role, found.keypair_resource_policy) == ("physics", ("quarks",), Role.ADMIN, "gpu")
    assert (found.resource_groups, found.posix.home) == (("v100", "a100"), "/scratch/kim01")


def test_a_step_says_by_which_value_a_rule_counted() -> None:
    rules = BackendAI(
        admin_users=["ＫＩＭ01 "], project_groups={"ai": "ai"}, mapping_rules=[{"role": "user", "projects": "all"}]
    ).make_mapping()
    found, steps = explain_person(Person("kim01", groups=("AI", "cn=AI,dc=x")), rules)
    assert (found.role, found.projects) == (Role.SUPERADMIN, ("all", "ai"))
    assert [(step.rule.origin, step.value, dict(step.gave)) for step in steps] == [
        ("admin_users", "kim01", {"role": "superadmin", "allow": True}),
        ("rule 1", "", {"projects": ("all",)}),
        ("project_groups", "AI", {"projects": ("ai",)}),
    ]
    assert steps[1].ignored == ("role: decided already",)


def test_thousands_of_groups_are_no_burden() -> None:
    import time

    rules = MappingRules(
        project_groups={f"prj{number}": f"p{number}" for number in range(5000)},
        rules=parse_rules([{"group": r"prj-(?P<p>\w+)", "projects": "{p}"}]),
    )
    person = Person("kim01", groups=tuple(f"prj{number}" for number in range(2000)))
    began = time.perf_counter()
    assert len(map_person(person, rules).projects) == 2000
    assert time.perf_counter() - began < 2.0  # 0.05 s on an idle machine
