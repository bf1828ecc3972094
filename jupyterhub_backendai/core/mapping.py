"""What the platform makes of what a directory says: who may come in, as what, and into which projects.

Rules are looked at in their order. Of what somebody has one of (domain, role, policy, Unix account) the first rule that gives it
decides; projects and resource groups add up. The lists of the settings (``admin_groups`` …) are rules too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidParameters
from .identity import Person, PosixAccount, Role
from .nouns.values import Field, Kind, parse_value

LOWEST_UID = 1000  # below are root and the daemons
_NAME = Field("name", Kind.NAME, "", is_required=True)
_HOME = re.compile(r"/[^\x00-\x1f\x7f]{0,1022}")
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_CONDITIONS = ("user", "group", "attribute")
_SINGLE = ("allow", "domain", "role", "keypair_resource_policy", "account", "uid", "gid", "home")
_MANY = ("projects", "resource_groups")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: whom it is about, and what it gives them.

    ``source`` is ``user`` (the name), ``group``, ``attribute`` or "" (everybody). A group or name is compared without regard to case:
    with ``exact``, or with ``pattern``, which must match the whole. ``gives`` has the words of the configuration: text with
    ``{places}`` for the pattern's named groups and ``{user}``, lists of such, or true and false for ``allow``.
    """

    origin: str
    source: str = ""
    attribute: str = ""
    exact: str = ""
    pattern: re.Pattern[str] | None = None
    gives: Mapping[str, Any] = field(default_factory=dict)
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class MappingRules:
    """A site's rules. Groups are written by their short name or, where a directory has it, by their full DN."""

    allowed_groups: tuple[str, ...] = ()
    admin_groups: tuple[str, ...] = ()
    admin_users: tuple[str, ...] = ()
    project_groups: Mapping[str, str] = field(default_factory=dict)
    default_project: str = "default"
    default_domain: str = "default"
    rules: tuple[Rule, ...] = ()

    def managed_projects(self) -> frozenset[str]:
        """The projects that the configuration names: the directory alone decides who is in them, whoever put somebody there."""
        return frozenset([*self.project_groups.values(), self.default_project])

    def list_attributes(self) -> tuple[str, ...]:
        """The attributes that rules look at, so that the directory is asked for them."""
        return tuple(dict.fromkeys(rule.attribute for rule in self.rules if rule.attribute))

    def list_rules(self) -> Iterator[Rule]:
        """All of them in their order: administrators, the site's rules, then the lists of projects and of who may come in."""
        for name in self.admin_users:
            yield Rule("admin_users", "user", exact=name.casefold(), gives={"role": "superadmin", "allow": True})
        for group in self.admin_groups:
            yield Rule("admin_groups", "group", exact=group.casefold(), gives={"role": "superadmin", "allow": True})
        yield from self.rules
        for group, project in self.project_groups.items():
            yield Rule("project_groups", "group", exact=group.casefold(), gives={"projects": [project]})
        for group in self.allowed_groups:
            yield Rule("allowed_groups", "group", exact=group.casefold(), gives={"allow": True})
        if self.allowed_groups:
            yield Rule("allowed_groups", gives={"allow": False})


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the rules make of a person. ``has_domain``: a rule gave the domain; otherwise it is the default, for somebody new only.

    ``posix`` is the directory's Unix account with what the rules change of it. An empty policy is left as it is.
    """

    is_allowed: bool
    role: Role
    domain: str
    projects: tuple[str, ...]
    has_domain: bool = False
    keypair_resource_policy: str = ""
    resource_groups: tuple[str, ...] = ()
    posix: PosixAccount | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.SUPERADMIN


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was about somebody: by which value, what it gave, and what of it did not count (``name: why``)."""

    rule: Rule
    value: str
    gave: Mapping[str, Any]
    ignored: tuple[str, ...] = ()


def map_person(person: Person, rules: MappingRules) -> Mapped:
    """Apply the rules. Superadmins may always come in."""
    return explain_person(person, rules)[0]


def explain_person(person: Person, rules: MappingRules) -> tuple[Mapped, tuple[Step, ...]]:
    """The result of the rules, and each rule that had a part in it."""
    groups = {group.casefold(): group for group in reversed(person.groups)}
    found: dict[str, Any] = {name: [] for name in _MANY}
    steps: list[Step] = []
    for rule in rules.list_rules():
        matches = list(_match(rule, person, groups))
        steps += [_apply(rule, value, {**places, "user": person.name}, found) for value, places in matches]
        if matches and rule.is_last:
            break
    role = Role(found.get("role", Role.USER.value))
    mapped = Mapped(
        is_allowed=role is Role.SUPERADMIN or found.get("allow", True),
        role=role,
        domain=found.get("domain", rules.default_domain),
        projects=tuple(dict.fromkeys(found["projects"])) or (rules.default_project,),
        has_domain="domain" in found,
        keypair_resource_policy=found.get("keypair_resource_policy", ""),
        resource_groups=tuple(dict.fromkeys(found["resource_groups"])),
        posix=_change_posix(person.posix, found),
    )
    return mapped, tuple(steps)


def _match(rule: Rule, person: Person, groups: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The values by which a rule is about somebody, each with the texts of its pattern's named groups."""
    if rule.exact and rule.source == "group":  # a site may name thousands of groups
        if rule.exact in groups:
            yield groups[rule.exact], {}
        return
    values: Sequence[str] = {
        "": ("",),
        "user": (person.name,),
        "group": person.groups,
        "attribute": _values_of(person, rule.attribute),
    }[rule.source]
    for value in values:
        if rule.exact:
            if value.casefold() == rule.exact:
                yield value, {}
        elif rule.pattern is None:
            yield value, {}
        elif match := rule.pattern.fullmatch(value):
            yield value, match.groupdict("")


def _values_of(person: Person, attribute: str) -> Sequence[str]:
    wanted = attribute.casefold()
    return next((values for name, values in person.attributes.items() if name.casefold() == wanted), ())


def _apply(rule: Rule, value: str, places: Mapping[str, str], found: dict[str, Any]) -> Step:
    """Add what one rule gives by one value to what was found before it."""
    gave: dict[str, Any] = {}
    ignored: list[str] = []
    for name, given in rule.gives.items():
        if name in found and name in _SINGLE:
            ignored.append(f"{name}: decided already")
            continue
        for text in given if isinstance(given, list | tuple) else [given]:
            try:
                read = _READERS[name](text.format_map(places) if isinstance(text, str) else text)
            except (InvalidParameters, ValueError) as exc:
                ignored.append(f"{name}: {exc}")
                continue
            if name in _MANY:
                found[name].append(read)
                gave[name] = (*gave.get(name, ()), read)
            else:
                found[name] = gave[name] = read
    return Step(rule, value, gave, tuple(ignored))


def _read_name(text: str) -> str:
    """A name of a thing here: what a directory's attribute holds may be anything."""
    try:
        return str(parse_value(_NAME, text))
    except InvalidParameters as exc:
        raise ValueError(f"{text!r} cannot be a name here") from exc


def _read_number(least: int, text: str) -> int:
    if not _NUMBER.fullmatch(str(text)) or not least <= int(text) < 2**32 - 1:
        raise ValueError(f"{text!r} is no number from {least} on")
    return int(text)


def _read_home(text: str) -> str:
    if not _HOME.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError(f"{text!r} is no absolute path")
    return text


def _read_account(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", text, re.ASCII):
        raise ValueError(f"{text!r} is no name of a Unix account")
    return text


_READERS: Mapping[str, Any] = {
    "allow": bool,
    "domain": _read_name,
    "projects": _read_name,
    "role": lambda text: Role(text).value,
    "keypair_resource_policy": _read_name,
    "resource_groups": _read_name,
    "account": _read_account,
    "uid": lambda text: _read_number(LOWEST_UID, text),
    "gid": lambda text: _read_number(1, text),
    "home": _read_home,
}


def _change_posix(posix: PosixAccount | None, found: Mapping[str, Any]) -> PosixAccount | None:
    """The directory's account with what the rules say instead; without any, an account that the rules give whole."""
    name = found.get("account", posix.name if posix else "")
    uid, gid = found.get("uid", posix.uid if posix else None), found.get("gid", posix.gid if posix else None)
    if not name or uid is None or gid is None:
        return posix
    return PosixAccount(name, uid, gid, found.get("home", posix.home if posix else "/"))


def parse_rules(entries: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of the configuration. Raises ValueError naming the entry and what is wrong with it."""
    rules = []
    for number, entry in enumerate(entries, 1):
        try:
            rules.append(_parse_rule(number, entry))
        except (ValueError, TypeError, re.error) as exc:
            raise ValueError(f"rule {number}: {exc}") from exc
    return tuple(rules)


def _parse_rule(number: int, entry: Mapping[str, Any]) -> Rule:
    known = {*_CONDITIONS, "value", "stop", *_SINGLE, *_MANY}
    if unknown := sorted(set(entry) - known):
        raise ValueError(f"{', '.join(unknown)}: there is no such word; there are {', '.join(sorted(known))}")
    sources = [name for name in _CONDITIONS if name in entry]
    if len(sources) > 1:
        raise ValueError(f"only one of {', '.join(_CONDITIONS)} goes into a rule")
    source = sources[0] if sources else ""
    if source and not isinstance(entry[source], str):
        raise ValueError(f"{source} is text")
    if "value" in entry and source != "attribute":
        raise ValueError("value goes with attribute")
    pattern = entry.get("value") if source == "attribute" else entry.get(source) if source else None
    compiled = re.compile(pattern, re.IGNORECASE) if pattern is not None else None
    places = {"user", *(compiled.groupindex if compiled else ())}
    gives = {name: _check_given(name, entry[name], places) for name in (*_SINGLE, *_MANY) if name in entry}
    return Rule(f"rule {number}", source, entry.get("attribute", ""), "", compiled, gives, bool(entry.get("stop", False)))


def _check_given(name: str, given: Any, places: set[str]) -> Any:
    """What a rule gives, if it can be filled in."""
    if name == "allow":
        if not isinstance(given, bool):
            raise ValueError("allow is True or False")
        return given
    texts = [given] if isinstance(given, str | int) else list(given)
    if name in _SINGLE and len(texts) != 1:
        raise ValueError(f"{name} is one, not several")
    for text in texts:
        try:
            filled = str(text).format_map(dict.fromkeys(places, "1000"))
        except (KeyError, IndexError, AttributeError) as exc:
            raise ValueError(f"{name}: {text!r} has a place that the pattern does not name: {exc}") from exc
        if filled == str(text):  # nothing of the directory in it: it can be looked at now
            _READERS[name](filled)
    return [str(text) for text in texts]
