"""The reference page of the settings, written from their help texts."""

from __future__ import annotations

from ..config import BackendAI


def format_reference() -> str:
    """Every setting of ``c.BackendAI`` as a Markdown table."""
    lines = [
        "# Settings",
        "",
        "`c.BackendAI.<name>` in `jupyterhub_config.py`.",
        "",
        "| name | type | default | what it does |",
        "|---|---|---|---|",
    ]
    for name, trait in BackendAI.class_own_traits(config=True).items():
        default = trait.default_value_repr() if name not in _COMPUTED else "…"
        cells = [f"`{name}`", type(trait).__name__, f"`{default}`", (trait.help or "").replace("\n", " ")]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


_COMPUTED = frozenset({"secrets_file", "database_url", "private_url", "helper_socket"})
