"""A person's groups: found by their members, read from the entry, and the groups of groups. Members are never fetched."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.conv import escape_bytes, escape_filter_chars
from ldap3.utils.dn import parse_dn

from ...config import BackendAI
from ...errors import InvalidParameters
from .entries import Entry, first, primary_sid

log = logging.getLogger(__name__)

MAX_GROUPS = 1000
MAX_DEPTH = 20
AT_ONCE = 50
NESTED = ("no", "follow", "in-chain")
# Each with its classes: a server without an index of uniqueMember would look through all of its entries otherwise.
_OF_GROUPS = {
    "member": "(|(objectClass=groupOfNames)(objectClass=groupOfMembers)(objectClass=group))",
    "uniqueMember": "(objectClass=groupOfUniqueNames)",
}
_ESCAPE = re.compile(rb"\\([0-9a-fA-F]{2}|.)", re.DOTALL)
_IN_CHAIN = "(member:1.2.840.113556.1.4.1941:={dn})"

Find = Callable[[str], list[tuple[str, tuple[str, ...]]]]
"""Search the groups by a filter: their DNs and short names."""


def check_nesting(settings: BackendAI) -> None:
    """Refuse a word that is none."""
    if settings.ldap_nested_groups not in NESTED:
        raise InvalidParameters(
            "c.BackendAI.ldap_nested_groups: %(value)s is none of %(choices)s.",
            value=settings.ldap_nested_groups,
            choices=", ".join(NESTED),
        )


def list_groups(settings: BackendAI, entry: Entry, find: Find) -> tuple[str, ...]:
    """The groups of a person, each under its short name and under its DN."""
    found: dict[str, tuple[str, ...]] = {}  # by the DN in small letters: servers spell one DN in several ways
    names: dict[str, str] = {}

    def add(groups: list[tuple[str, tuple[str, ...]]]) -> list[str]:
        fresh = [(dn, short) for dn, short in groups if dn.casefold() not in found]
        for dn, short in fresh:
            found[dn.casefold()] = short
            names.update(dict.fromkeys((*short, dn), ""))
        return [dn for dn, _ in fresh]

    frontier = add([(dn, _short_names(dn)) for dn in entry.attributes.get(settings.ldap_member_of_attribute, ())])
    if settings.ldap_group_base:
        frontier += add(find(_fill(settings.ldap_group_filter, entry)))
        if settings.ldap_nested_groups == "in-chain":
            add(find(_fill(_IN_CHAIN, entry)))
        elif settings.ldap_nested_groups == "follow":
            _follow(frontier, lambda wanted: add(find(wanted)))
    if len(found) >= MAX_GROUPS:
        log.warning("%s is in %s groups or more; the rest is not looked at", entry.dn, MAX_GROUPS)
    return tuple(names)


def _follow(frontier: list[str], find_new: Callable[[str], list[str]]) -> None:
    """Groups that have groups as members, level by level. A group that was seen is not asked for again, so a loop ends."""
    for _ in range(MAX_DEPTH):
        if not frontier:
            return
        following: list[str] = []
        for start in range(0, len(frontier), AT_ONCE):
            following += find_new(_holding(frontier[start : start + AT_ONCE]))
        frontier = following


def _holding(dns: list[str]) -> str:
    """The filter of the groups that hold any of these."""
    values = [escape_filter_chars(dn) for dn in dns]
    parts = (f"(&{classes}(|{''.join(f'({member}={value})' for value in values)}))" for member, classes in _OF_GROUPS.items())
    return f"(|{''.join(parts)})"


def _fill(group_filter: str, entry: Entry) -> str:
    values = {
        "{dn}": escape_filter_chars(entry.dn),
        "{name}": escape_filter_chars(entry.name),
        "{gid}": escape_filter_chars(first(entry.attributes, "gidNumber") or "-1"),
        "{primary_sid}": escape_bytes(primary_sid(entry.attributes) or b"-"),
    }
    for place, value in values.items():
        group_filter = group_filter.replace(place, value)
    return group_filter


def _short_names(dn: str) -> tuple[str, ...]:
    """The short name of a group that is known by its DN only."""
    try:
        return tuple(_unescape(value) for _, value, _ in parse_dn(dn, escape=False)[:1])
    except (LDAPInvalidDnError, IndexError):
        return ()


def _unescape(value: str) -> str:
    raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()) if len(match[1]) == 2 else match[1], value.encode())
    return raw.decode(errors="replace")
