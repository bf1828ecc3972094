"""Quotas of CephFS: attributes of the directory. Its clients keep to them a little late, and count what is in it at once."""

from __future__ import annotations

import os

from .base import Driver, Reading, file_system_type, make_directory, open_scope, refuse

_MAGIC = 0x00C36400
_LIMIT, _BYTES, _FILES = "ceph.quota.max_bytes", "ceph.dir.rbytes", "ceph.dir.rfiles"


class CephFS(Driver):
    """Setting an attribute needs the capability ``p`` of the mounting client."""

    name = "cephfs"

    def probe(self, host: int) -> str:
        try:
            if file_system_type(host) != _MAGIC:
                return "the file system is not CephFS"
            self.get(host, _BYTES)
        except OSError as exc:
            return exc.strerror or str(exc)
        return ""

    def prepare(self, host: int, scope: str) -> None:
        make_directory(host, scope)

    def set_limit(self, host: int, scope: str, limit: int) -> None:
        with open_scope(host, scope) as directory:
            try:
                self.set(directory, _LIMIT, limit)
            except OSError as exc:
                raise refuse(scope, exc) from exc

    def read(self, host: int, scope: str, *, sync: bool = False) -> Reading:  # noqa: ARG002 - nothing can hasten it
        with open_scope(host, scope) as directory:
            try:
                return Reading(self.get(directory, _BYTES), self.get(directory, _FILES), self._limit(directory))
            except OSError as exc:
                raise refuse(scope, exc) from exc

    def _limit(self, directory: int) -> int:
        try:
            return self.get(directory, _LIMIT)
        except OSError:  # no attribute, no limit
            return 0

    def get(self, directory: int, name: str) -> int:
        """An attribute's number."""
        return int(os.getxattr(directory, name))

    def set(self, directory: int, name: str, value: int) -> None:
        """Write an attribute's number."""
        os.setxattr(directory, name, str(value).encode())
