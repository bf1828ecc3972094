"""What a form offers, what stands in it, and how its inputs are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ... import i18n
from ...core.nouns import Field, Kind
from ...core.nouns.values import HOST_PERMISSIONS, LANGUAGES
from ...core.slots import KNOWN_SLOTS, SlotKind
from .inputs import slot_example
from .show import UNLIMITED, slot_label, word


@dataclass(frozen=True, slots=True)
class Context:
    """What a form offers: slots, storage hosts, and what references may name."""

    slot_kinds: Mapping[str, SlotKind] = field(default_factory=lambda: KNOWN_SLOTS)
    hosts: tuple[str, ...] = ()
    options: Mapping[str, tuple[tuple[str, str], ...] | None] = field(default_factory=dict)
    people: int = 0
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in a form, and what is wrong with it. ``differences`` are shown for a change that must be confirmed."""

    form: Mapping[str, Sequence[str]]
    errors: Mapping[str, str] = field(default_factory=dict)
    summary: Sequence[tuple[str, str]] = ()
    status: int = 200
    differences: Sequence[tuple[str, str, str]] = ()
    is_stale: bool = False


class Widgets:
    """What the inputs of a form need beside the field itself."""

    def __init__(self, language: str, context: Context, typed: Typed) -> None:
        self._language, self._context, self._typed = language, context, typed

    def text(self, name: str) -> str:
        """What stands in an input."""
        values = self._typed.form.get(name) or [""]
        return values[-1]

    def texts(self, name: str) -> Sequence[str]:
        return self._typed.form.get(name) or ()

    def error(self, name: str) -> str:
        return self._typed.errors.get(name, "")

    def has_secret(self, item: Field) -> bool:
        """Whether there is a secret that could be taken away."""
        return f"has_{item.name}" in self._context.secrets

    def placeholder(self, item: Field) -> str:
        if item.is_limit:
            return i18n.translate(self._language, UNLIMITED)
        return {Kind.BYTES: "10g", Kind.DURATION: "12h"}.get(item.kind, "")

    def slots(self, item: Field) -> list[tuple[str, str, str]]:
        """Input, words and example of each slot."""
        prefix = f"{item.name}."
        kinds = dict(self._context.slot_kinds)
        kinds.update({name.removeprefix(prefix): SlotKind.COUNT for name in self._typed.form if name.startswith(prefix)} | kinds)
        return [(f"{prefix}{name}", slot_label(self._language, name), slot_example(name, kind)) for name, kind in kinds.items()]

    def hosts(self, item: Field) -> list[tuple[str, str]]:
        """Input and name of each storage host, also of those that are gone."""
        prefix = f"{item.name}."
        named = [name.removeprefix(prefix) for name in self._typed.form if name.startswith(prefix)]
        return [(f"{prefix}{host}", host) for host in dict.fromkeys([*self._context.hosts, *named])]

    def permissions(self) -> Sequence[str]:
        return HOST_PERMISSIONS

    def word(self, text: str) -> str:
        return word(self._language, text)

    def languages(self, item: Field) -> list[tuple[str, str]]:
        return [(f"{item.name}.{language}", i18n.LANGUAGES[language]) for language in LANGUAGES]

    def options(self, item: Field) -> list[tuple[str, str]] | None:
        """What may be chosen, as (value, words); None where the name is typed."""
        if item.choices:
            return [(choice, word(self._language, choice) or "–") for choice in item.choices]
        offered = self._context.options.get(item.of)
        if offered is None:
            return None
        known = {value for value, _ in offered}
        return [*offered, *((text, text) for text in self.texts(item.name) if text and text not in known)]
