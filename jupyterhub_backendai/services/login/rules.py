"""What the settings say about who is what here."""

from __future__ import annotations

from ...config import BackendAI
from ...core.mapping import MappingRules
from ...core.names import fold_name


def make_rules(settings: BackendAI) -> MappingRules:
    """The rules of the settings."""
    return MappingRules(
        allowed_groups=tuple(settings.allowed_groups),
        admin_groups=tuple(settings.admin_groups),
        admin_users=tuple(fold_name(name) for name in settings.admin_users),
        project_groups=dict(settings.project_groups),
        default_project=settings.default_project,
        default_domain=settings.default_domain,
    )
