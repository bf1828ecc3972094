"""What the settings say about who is what here."""

from __future__ import annotations

from ...config import BackendAI
from ...core.mapping import MappingRules


def make_rules(settings: BackendAI) -> MappingRules:
    """The rules of the settings."""
    return settings.make_mapping()
