"""The reference pages that are written from the code: the settings, and what is administered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config import BackendAI
from ..core.nouns import NOUNS, Kind, Noun
from ..core.nouns.values import INFINITY_WORD, Field, format_value
from ..store.records import RECORDS

_COMPUTED = frozenset({"secrets_file", "database_url", "private_url", "helper_socket"})
_VERBS = {"create": "POST", "update": "PATCH", "delete": "DELETE", "terminate": "DELETE"}
_ROLES = {"write": "change those of their domain", "read": "see those of their domain", "": "see none"}


def format_reference() -> str:
    """Every setting of ``c.BackendAI`` as a Markdown table."""
    rows = []
    for name, trait in BackendAI.class_traits(config=True).items():
        default = trait.default_value_repr() if name not in _COMPUTED else "…"
        rows.append((f"`{name}`", type(trait).__name__, f"`{default}`", (trait.help or "").replace("\n", " ")))
    head = ["# Settings", "", "`c.BackendAI.<name>` in `jupyterhub_config.py`.", ""]
    return "\n".join([*head, *_format_table(("name", "type", "default", "what it does"), rows)]) + "\n"


def format_nouns() -> str:
    """Every field of everything that is administered, as Markdown."""
    lines = [
        "# What is administered",
        "",
        "Written by `jupyterhub-backendai config nouns`. How the addresses and commands work: [rest.md](rest.md) and [cli.md](cli.md).",
        "",
    ]
    for noun in NOUNS.values():
        if noun.name in RECORDS:
            lines += [*_format_noun(noun), ""]
    return "\n".join(lines).rstrip() + "\n"


def _format_noun(noun: Noun) -> list[str]:
    name = noun.singular.replace("_", "-")
    methods = ", ".join(["GET", *sorted({_VERBS[verb] for verb in noun.verbs}, key=["POST", "PATCH", "DELETE"].index)])
    rights = f"Domain administrators {_ROLES[noun.for_domain_admins]}."
    lines = [
        f"## {noun.title}",
        "",
        f"`rest/v1/admin/{noun.name}` ({methods}), key `{noun.key}`; command `{name}`. {rights}",
        *_format_lists(noun),
        "",
    ]
    return [*lines, *_format_table(("field", "type", "", "what it is"), map(_describe, noun.fields))]


def _format_lists(noun: Noun) -> list[str]:
    parts = [f"sort by {_join(noun.columns)}"]
    if noun.filters:
        parts.append(f"filter by {_join(noun.filters)}")
    if noun.search:
        parts.append(f"`q` looks into {_join(noun.search)}")
    return ["Lists: " + "; ".join(parts) + "."]


def _join(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _describe(item: Field) -> tuple[str, str, str, str]:
    kind = item.kind.value + (f" ({', '.join(choice or '&quot;&quot;' for choice in item.choices)})" if item.choices else "")
    notes = ["required"] if item.is_required else []
    notes += ["when made only"] if item.is_fixed else []
    notes += ["shown only"] if item.is_computed else []
    notes += ["written only"] if item.kind is Kind.SECRET else []
    notes += [f"or `{INFINITY_WORD}`"] if item.is_limit else []
    if item.default is not None:
        notes.append(
            f"default `{str(format_value(item, item.default)).lower() if item.kind is Kind.BOOLEAN else format_value(item, item.default)}`"
        )
    return f"`{item.name}`", kind, ", ".join(notes), f"{item.label}. {item.help}".strip().removesuffix(".") + "."


def _format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]
