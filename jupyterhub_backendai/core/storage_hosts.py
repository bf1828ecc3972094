"""Storage hosts as the configuration file names them: an entry of ``c.BackendAI.storage_hosts``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .nouns.storage import QUOTA_DRIVERS, check_host

FIELDS = frozenset({"name", "path", "description", "quota_driver", "is_granted"})


@dataclass(frozen=True, slots=True)
class ConfiguredHost:
    """A place for folders. ``is_granted``: the default keypair policy may do everything there, from the first start on."""

    name: str
    path: str
    description: str = ""
    quota_driver: str = "auto"
    is_granted: bool = True


def read_hosts(entries: Iterable[Mapping[str, Any]]) -> dict[str, ConfiguredHost]:
    """The entries by name, in their order. Raises ValueError saying which entry is wrong, and how."""
    found: dict[str, ConfiguredHost] = {}
    for entry in entries:
        try:
            host = ConfiguredHost(**entry)
            _check(host)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{entry}: {exc}") from exc
        if host.name in found:
            raise ValueError(f"{host.name} is there twice")
        found[host.name] = host
    if nested := _find_nested(found.values()):
        raise ValueError("{} is in {}: two hosts cannot share a directory".format(*nested))
    return found


def _check(host: ConfiguredHost) -> None:
    if not isinstance(host.name, str) or not isinstance(host.path, str) or not isinstance(host.is_granted, bool):
        raise ValueError("name and path are texts, is_granted is True or False")  # noqa: TRY004 - one error for the operator
    if wrong := check_host(host.name, host.path):
        raise ValueError(f"{wrong[0].field}: {wrong[0]}")
    if not host.path:
        raise ValueError("path: say in which directory")
    if len(host.name) > 64 or len(host.path) > 1024 or len(host.description) > 512:
        raise ValueError("a text is too long")
    if host.quota_driver not in QUOTA_DRIVERS:
        raise ValueError(f"quota_driver: one of {', '.join(QUOTA_DRIVERS)}")


def _find_nested(hosts: Iterable[ConfiguredHost]) -> tuple[str, str] | None:
    paths = sorted((host.path.rstrip("/") + "/", host.name) for host in hosts)
    for (outer, one), (inner, other) in pairwise(paths):
        if inner.startswith(outer):
            return other, one
    return None
