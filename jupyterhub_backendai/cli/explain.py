"""``ldap explain``: which entry, groups and rules make somebody what they are here. Nobody logs in, and nothing is changed."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any

from .. import identity
from ..config import BackendAI, load_settings
from ..core.identity import LocalAccount, Standing
from ..core.mapping import Mapped, MappingRules, Rule, Step, explain_person
from ..core.names import fold_name, is_name
from ..errors import BackendAIError, InvalidParameters
from ..store import mapping, users
from ..store.database import Database
from ..store.models import now
from .nouns import add_verb
from .table import format_data

_STATES = {"": "may work", "locked": "locked", "closed": "closed", "expired": "expired", "removed": "not there"}


def add_explain(parsers: Any) -> None:
    """``ldap explain``."""
    verbs = parsers.add_parser("ldap", help="the directory of people").add_subparsers(required=True, metavar="VERB")
    explain = add_verb(verbs, "explain", explain_user, "show which entry, groups and rules give somebody which rights, without a login")
    explain.add_argument("name", metavar="USER")
    explain.add_argument("--json", action="store_true", help="print JSON")


def explain_user(options: argparse.Namespace) -> int:
    """``ldap explain``; the status is 1 for somebody who could not come in."""
    settings = load_settings(options.config)
    name = fold_name(options.name)
    if not is_name(name):
        raise InvalidParameters("%(name)s cannot be a user's name.", name=repr(options.name))
    standing, data = asyncio.run(_explain(settings, name))
    print(format_data(data, "json" if options.json else "yaml"), end="")
    return 0 if standing.person and not standing.state and data["result"]["may_log_in"] else 1


async def _explain(settings: BackendAI, name: str) -> tuple[Standing, dict[str, Any]]:
    rules = settings.make_mapping()
    database = Database(settings.database_url, threads=1)
    people = identity.connect(settings)
    try:
        trouble = await database.check()
        account: LocalAccount | None = None
        if settings.directory == "local":
            if trouble:
                raise BackendAIError(trouble.replace("%", "%%"))
            account = await database.run(users.get_local_account, name)
        standing = await people.find(name, account)
        data = describe(name, standing, rules)
        if standing.person is not None:
            mapped, _ = explain_person(standing.person, rules)
            data["here"] = trouble or _describe_here(
                await database.run(mapping.preview_login, standing.person, mapped, rules.managed_projects(), now())
            )
        return standing, data
    finally:
        await people.close()
        await database.close()


def describe(name: str, standing: Standing, rules: MappingRules) -> dict[str, Any]:
    """What the directory and the rules say, for people and for programs."""
    found: dict[str, Any] = {"user": name, "entry": standing.entry, "standing": _STATES.get(standing.state, standing.state)}
    if standing.detail:
        found["reason"] = standing.detail
    person = standing.person
    if person is None:
        return found
    mapped, steps = explain_person(person, rules)
    named = {rule.attribute.casefold() for rule in rules.list_rules() if rule.attribute}
    return {
        **found,
        "name": person.name,
        "display_name": person.display_name,
        "email": person.email,
        "groups": list(person.groups),
        "attributes": {key: list(values) for key, values in person.attributes.items() if key.casefold() in named},
        "rules": [_describe_step(step) for step in steps],
        "result": _describe_result(mapped),
    }


def _describe_step(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {"rule": _describe_rule(step.rule)}
    if step.value:
        found["by"] = step.value
    if step.gave:
        found["gives"] = {name: list(value) if isinstance(value, tuple) else value for name, value in step.gave.items()}
    if step.ignored:
        found["ignored"] = list(step.ignored)
    return found


def _describe_rule(rule: Rule) -> str:
    condition = rule.exact or (rule.pattern.pattern if rule.pattern else "")
    whom = " ".join(part for part in (rule.source or "everybody", rule.attribute, condition) if part)
    return f"{rule.origin}: {whom}"


def _describe_result(mapped: Mapped) -> dict[str, Any]:
    posix = mapped.posix
    return {
        "may_log_in": mapped.is_allowed,
        "role": mapped.role.value,
        "domain": mapped.domain if mapped.has_domain else f"{mapped.domain} (no rule gives one)",
        "projects": list(mapped.projects),
        "keypair_resource_policy": mapped.keypair_resource_policy or "as it is",
        "resource_groups": list(mapped.resource_groups),
        "unix_account": f"{posix.name}, uid {posix.uid}, gid {posix.gid}, home {posix.home}" if posix else "none",
    }


def _describe_here(preview: mapping.Preview) -> Mapping[str, Any]:
    """What our own rows say, and what the next login would change of them."""
    found: dict[str, Any] = {}
    if preview.missing:
        found["missing"] = [f"there is no {what}" for what in preview.missing]
    person = preview.identity
    if person is None:
        return {"status": "never logged in: the first login makes the account", **found}
    changes = {name: {"from": before, "to": after} for name, (before, after) in preview.changes.items()}
    return {
        "status": "active" if person.is_active else "closed",
        "role": f"{person.role.value}, set by the {preview.role_source}",
        "domain": f"{person.domain}, set by the {preview.domain_source}",
        "projects": list(person.projects),
        **found,
        "next_login_changes": changes or "nothing",
    }
