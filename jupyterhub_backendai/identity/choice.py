"""Which server of one-time passwords the settings name."""

from __future__ import annotations

import stat
from pathlib import Path

from ..config import BackendAI
from ..errors import InvalidParameters
from .append import AppendedCode
from .base import Directory
from .factors import Guarded, SecondFactor, TakeCode
from .pam import Pam
from .privacyidea import PrivacyIdea
from .radius import Radius

SENDS = ("code", "password+code", "password")


def make_factor(settings: BackendAI, people: Directory | None, take: TakeCode) -> SecondFactor | None:
    """The second factor that the settings name; None for ``local``, whose tokens the service keeps itself.

    ``people`` is asked by ``ldap-append``; ``take`` takes each code once (``services.factors``). Raises InvalidParameters for settings
    that cannot work.
    """
    if settings.otp_backend == "local":
        return None
    if settings.otp_sends not in SENDS:
        raise InvalidParameters("c.BackendAI.otp_sends: %(value)s is none of %(known)s.", value=settings.otp_sends, known=", ".join(SENDS))
    return Guarded(_connect(settings, people), take)


def _connect(settings: BackendAI, people: Directory | None) -> SecondFactor:
    match settings.otp_backend:
        case "ldap-append":
            if settings.directory != "ldap" or people is None:
                raise InvalidParameters("c.BackendAI.otp_backend = 'ldap-append' needs directory = 'ldap'.")
            return AppendedCode(people)
        case "radius":
            return Radius(settings, _read_secret(settings))
        case "privacyidea":
            return PrivacyIdea(settings, _read_secret(settings) if settings.otp_secret_file else "")
        case "pam":
            return Pam(settings)
    raise InvalidParameters("c.BackendAI.otp_backend: there is no %(name)s.", name=settings.otp_backend)


def _read_secret(settings: BackendAI) -> str:
    path = Path(settings.otp_secret_file)
    if not settings.otp_secret_file:
        raise InvalidParameters("c.BackendAI.otp_secret_file is needed with otp_backend = %(name)s.", name=settings.otp_backend)
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidParameters("%(path)s can be read by others; chmod 600 it.", path=str(path))
        secret = path.read_text().strip()
    except (OSError, UnicodeError) as exc:
        raise InvalidParameters("c.BackendAI.otp_secret_file: %(path)s cannot be read.", path=str(path)) from exc
    if not secret:
        raise InvalidParameters("c.BackendAI.otp_secret_file: %(path)s is empty.", path=str(path))
    return secret
