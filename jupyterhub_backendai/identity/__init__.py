"""How we talk to servers that know people; no hub, no store."""

from __future__ import annotations

from ..config import BackendAI
from ..errors import InvalidParameters
from .base import Directory
from .choice import make_factor
from .ldap import LdapDirectory
from .local import LocalDirectory

__all__ = ["Directory", "connect", "make_factor"]


def connect(settings: BackendAI) -> Directory:
    """The directory that the settings name. Raises InvalidParameters for settings that cannot work."""
    if settings.directory == "ldap":
        return LdapDirectory(settings)
    if settings.directory == "local":
        return LocalDirectory(settings)
    raise InvalidParameters("c.BackendAI.directory: %(name)s is neither `local` nor `ldap`.", name=settings.directory)
