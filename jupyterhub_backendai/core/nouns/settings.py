"""The settings that administrators change while the platform runs, with what they are when nobody changed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import N_, Violation

STATUS = "status"
# What each part of a setting may be; the first one is the default.
CHOICES: Mapping[str, Mapping[str, tuple[str, ...]]] = {STATUS: {"value": ("running", "frozen")}}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {name: {part: choices[0] for part, choices in parts.items()} for name, parts in CHOICES.items()}


def check_setting(name: str, value: Mapping[str, Any]) -> list[Violation]:
    """What is wrong with a setting's new value, each under the part's name. Raises KeyError for a name that is no setting."""
    parts, found = CHOICES[name], []
    for part, word in value.items():
        if part not in parts:
            found.append(Violation(N_("There is no field %(field)s here."), {"field": part}, str(part), "unknown-field"))
        elif word not in parts[part]:
            found.append(Violation(N_("Choose one of: %(choices)s."), {"choices": ", ".join(parts[part])}, part, "invalid"))
    return found
