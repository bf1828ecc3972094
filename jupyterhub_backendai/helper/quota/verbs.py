"""The helper's verbs about quotas. Done as root itself, on directories that root alone can change; a caller names hosts, never paths."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import N_, Conflict, NotFound
from ..directories import open_trusted
from ..requests import PrepareScope, QuotaRequest, ReadScopes
from . import find_driver
from .base import Driver


def perform(request: QuotaRequest, storage: Mapping[str, str]) -> dict[str, Any]:
    """Do what is asked of one storage host. Raises NotFound for a host that the helper was not started with, and Conflict."""
    with open_host(request.host, storage) as host:
        driver = find_driver(host, request.driver)
        if isinstance(request, PrepareScope):
            return _prepare(driver, host, request)
        assert isinstance(request, ReadScopes)  # noqa: S101 - said to the type checker
        return {"driver": driver.name, **_measure_disk(host), "scopes": _read(driver, host, request)}


def _prepare(driver: Driver, host: int, request: PrepareScope) -> dict[str, Any]:
    driver.prepare(host, request.scope)
    driver.set_limit(host, request.scope, request.limit)
    return {"driver": driver.name}


def _read(driver: Driver, host: int, request: ReadScopes) -> dict[str, Any]:
    """What is used, by scope; one that cannot be read is left out, and does not hide the others."""
    found: dict[str, Any] = {}
    for scope in request.scopes:
        try:
            reading = driver.read(host, scope, sync=request.sync and not found)  # one commit counts everything
        except Conflict:
            continue
        found[scope] = {"used": reading.used, "files": reading.files, "limit": reading.limit}
    return found


def _measure_disk(host: int) -> dict[str, int]:
    """Size of the file system, and what people (not root) may still write."""
    status = os.fstatvfs(host)
    return {"size": status.f_blocks * status.f_frsize, "free": status.f_bavail * status.f_frsize}


@contextmanager
def open_host(name: str, storage: Mapping[str, str]) -> Iterator[int]:
    """A storage host's directory. Raises NotFound for one that the helper was not started with, Conflict where others can change it."""
    if name not in storage:
        raise NotFound(N_("The helper was not started with --storage %(host)s."), host=name)
    anchor = open_trusted(Path(os.path.realpath(storage[name])))
    if anchor < 0:
        raise Conflict(N_("%(path)s cannot be used: somebody else can change it."), path=storage[name])
    try:
        host = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=anchor)
    finally:
        os.close(anchor)
    try:
        yield host
    finally:
        os.close(host)
