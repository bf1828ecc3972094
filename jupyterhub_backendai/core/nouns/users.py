"""People, and the rules of who may make whom what."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import N_, Violation
from ..identity import Actor, Role, UserStatus
from ..names import is_name
from .base import Noun
from .values import LANGUAGES, Field, Kind

MIN_PASSWORD = 8
# At least one digit, one letter and one character that is neither (an underscore counts).
_PASSWORD_PARTS = (re.compile(r"\d"), re.compile(r"[^\W\d_]"), re.compile(r"[\W_]"))

USERS = Noun(
    name="users",
    singular="user",
    title=N_("Users"),
    one=N_("User"),
    key="name",
    fields=(
        Field("name", Kind.NAME, N_("User name"), is_required=True, is_fixed=True),
        Field("display_name", Kind.TEXT, N_("Full name"), N_("Where the directory knows it, each login sets it anew."), most=255),
        Field("email", Kind.EMAIL, N_("E-mail"), N_("Where the directory knows it, each login sets it anew.")),
        Field("domain", Kind.REFERENCE, N_("Domain"), default="default", of="domains"),
        Field(
            "domain_source",
            Kind.CHOICE,
            N_("Domain set by"),
            N_("directory: a rule of the logins may move the person; site: the domain stays as it is set here."),
            default="directory",
            choices=("directory", "site"),
        ),
        Field("role", Kind.CHOICE, N_("Role"), default=Role.USER.value, choices=tuple(role.value for role in Role)),
        Field(
            "role_source",
            Kind.CHOICE,
            N_("Role set by"),
            N_("directory: each login sets the role anew; site: it stays as it is set here."),
            default="directory",
            choices=("directory", "site"),
        ),
        Field("status", Kind.CHOICE, N_("Status"), default=UserStatus.ACTIVE.value, choices=tuple(status.value for status in UserStatus)),
        Field("description", Kind.TEXT, N_("Description")),
        Field("resource_policy", Kind.REFERENCE, N_("User policy"), default="default", of="user_resource_policies"),
        Field("projects", Kind.REFERENCES, N_("Projects"), N_("Projects of the person's domain, by name."), of="projects"),
        Field("language", Kind.CHOICE, N_("Language"), choices=("", *LANGUAGES)),
        Field(
            "password",
            Kind.SECRET,
            N_("Password"),
            N_("At least 8 characters, with a letter, a digit and a special character. Empty leaves it as it is."),
        ),
        Field(
            "must_change_password",
            Kind.BOOLEAN,
            N_("Must choose a new password"),
            N_("Nobody gets in with the old one before a new one was chosen, which the next login asks for."),
        ),
        Field("main_access_key", Kind.REFERENCE, N_("Main keypair"), is_computed=True, of="keypairs"),
        Field("keypair_resource_policy", Kind.REFERENCE, N_("Keypair policy"), is_computed=True, of="keypair_resource_policies"),
        Field("has_otp", Kind.BOOLEAN, N_("One-time password"), is_computed=True),
        Field("posix_name", Kind.TEXT, N_("Unix account"), is_computed=True, group="posix"),
        Field("posix_uid", Kind.INTEGER, N_("Unix user id"), is_computed=True, group="posix"),
        Field("posix_gid", Kind.INTEGER, N_("Unix group id"), is_computed=True, group="posix"),
        Field("posix_home", Kind.TEXT, N_("Home directory"), is_computed=True, group="posix"),
        Field("last_login_at", Kind.MOMENT, N_("Last login"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "display_name", "email", "domain", "role", "status", "resource_policy", "last_login_at", "created_at"),
    search=("name", "display_name", "email", "description"),
    filters=("domain", "role", "status", "resource_policy", "projects"),
    sort="name",
    verbs=frozenset({"create", "update"}),
    for_domain_admins="write",
    is_exported=False,
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a person's fields may refer to: domains (and whether active), policies, projects' ids by (domain, name).

    ``keeps_passwords``: the embedded directory is in use, so that passwords are set here.
    """

    domains: Mapping[str, bool] = field(default_factory=dict)
    policies: Collection[str] = ()
    projects: Mapping[tuple[str, str], str] = field(default_factory=dict)
    keeps_passwords: bool = False


def check_password(password: str) -> list[Violation]:
    """What is wrong with a new password."""
    if len(password) >= MIN_PASSWORD and all(part.search(password) for part in _PASSWORD_PARTS):
        return []
    message = N_("A password has at least 8 characters, with a letter, a digit and a special character.")
    return [Violation(message, {}, "password", "weak-password")]


def check_person(actor: Actor, before: Mapping[str, Any] | None, values: Mapping[str, Any], around: Surroundings) -> list[Violation]:
    """Everything that is wrong with a person's new values; ``before`` is None for somebody new.

    That a superadmin is left is not looked at here: it depends on everybody else.
    """
    found: list[Violation] = []
    if before is None and not is_name(values["name"]):
        message = N_("A user name begins with a letter or digit and has letters, digits and . _ - @ + ' only.")
        found.append(Violation(message, {}, "name", "invalid"))
    found += _check_references(before, values, around)
    found += _check_power(actor, before or {}, values)
    if before is not None and before["name"] == actor.name:
        found += _check_self(before, values)
    if password := values.get("password"):
        refused = Violation(N_("Passwords are kept by the directory, not here."), {}, "password", "no-passwords")
        found += check_password(password) if around.keeps_passwords else [refused]
    if values.get("must_change_password") and not around.keeps_passwords:
        message = N_("Passwords are kept by the directory, not here.")
        found.append(Violation(message, {}, "must_change_password", "no-passwords"))
    return found


def leaves_superadmins(before: Mapping[str, Any] | None, values: Mapping[str, Any]) -> bool:
    """Whether a change takes an active superadmin away."""
    if before is None or before["role"] != Role.SUPERADMIN.value or before["status"] != UserStatus.ACTIVE.value:
        return False
    role, status = values.get("role", before["role"]), values.get("status", before["status"])
    return bool(role != Role.SUPERADMIN.value or status != UserStatus.ACTIVE.value)


def last_superadmin(values: Mapping[str, Any]) -> Violation:
    """The refusal for somebody who is the only one left."""
    where = "role" if values.get("role", Role.SUPERADMIN.value) != Role.SUPERADMIN.value else "status"
    return Violation(N_("This is the last active superadmin. Make somebody else one first."), {}, where, "last-superadmin")


def _check_references(before: Mapping[str, Any] | None, values: Mapping[str, Any], around: Surroundings) -> list[Violation]:
    found = []
    domain = values.get("domain", before["domain"] if before else "")
    is_moved = before is None or domain != before["domain"]
    if domain not in around.domains:
        found.append(Violation(N_("There is no %(name)s."), {"name": domain}, "domain", "unknown"))
    elif is_moved and not around.domains[domain]:
        found.append(Violation(N_("The domain %(name)s is not active."), {"name": domain}, "domain", "inactive"))
    if "resource_policy" in values and values["resource_policy"] not in around.policies:
        found.append(Violation(N_("There is no %(name)s."), {"name": values["resource_policy"]}, "resource_policy", "unknown"))
    message = N_("The domain %(domain)s has no project %(name)s.")
    found += [
        Violation(message, {"domain": domain, "name": name}, "projects", "unknown")
        for name in values.get("projects", ())
        if (domain, name) not in around.projects
    ]
    return found


def _check_power(actor: Actor, before: Mapping[str, Any], values: Mapping[str, Any]) -> list[Violation]:
    """What only superadmins may do."""
    if actor.is_superadmin:
        return []
    found = []
    if values.get("domain", actor.domain) != actor.domain:
        found.append(Violation(N_("You administer the domain %(name)s only."), {"name": actor.domain}, "domain", "other-domain"))
    if Role.SUPERADMIN.value in (values.get("role"), before.get("role")):
        found.append(Violation(N_("Only superadmins may make superadmins or change them."), {}, "role", "superadmin"))
    # A policy is more than its name: it may open storage hosts that the domain does not have.
    return found + check_superadmin_only(
        before, values, {"resource_policy": "default", "role_source": "site", "domain_source": "directory"}
    )


ONLY_SUPERADMINS = N_("Only superadmins may change this.")


def check_superadmin_only(before: Mapping[str, Any], values: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[Violation]:
    """A violation for each of the fields in ``defaults`` that would differ from what it was, or from its default where it is new."""
    return [
        Violation(ONLY_SUPERADMINS, {}, name, "superadmin")
        for name, default in defaults.items()
        if name in values and values[name] != before.get(name, default)
    ]


def _check_self(before: Mapping[str, Any], values: Mapping[str, Any]) -> list[Violation]:
    if values.get("role", before["role"]) != before["role"]:
        return [Violation(N_("Nobody changes their own role. Ask another administrator."), {}, "role", "oneself")]
    if values.get("status", before["status"]) != before["status"]:
        return [Violation(N_("Nobody closes their own account. Ask another administrator."), {}, "status", "oneself")]
    return []
