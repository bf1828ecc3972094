"""The helper's verbs about quotas: hosts by name, scopes of a known form, and nothing that somebody else could change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.filesystems import MIB, mounted_btrfs
from tests.helperd import RunningHelper, running_helper

pytestmark = [pytest.mark.root, pytest.mark.filesystems]
SCOPE = "user-" + "0" * 32
LIMIT = 20 * MIB


@pytest.fixture(scope="module")
def mounted() -> Iterator[Path]:
    with mounted_btrfs() as path:
        yield path


@pytest.fixture(scope="module")
def quota_helper(mounted: Path) -> Iterator[RunningHelper]:
    open_path = mounted.parent / "open"
    open_path.mkdir(mode=0o777)
    open_path.chmod(0o777)
    plain = mounted.parent / "plain"
    plain.mkdir(mode=0o711)
    hosts = {"local:btrfs": mounted, "local:plain": plain, "local:open": open_path, "local:gone": mounted.parent / "gone"}
    with running_helper(*(f"--storage={name}={path}" for name, path in hosts.items())) as helper:
        yield helper


def ask(helper: RunningHelper, verb: str, **fields: Any) -> dict[str, Any]:
    return helper.ask_raw(json.dumps({"verb": f"quota_{verb}", **fields}).encode())


def test_prepare_and_read(quota_helper: RunningHelper, mounted: Path) -> None:
    answer = ask(quota_helper, "prepare", host="local:btrfs", scope=SCOPE, limit=LIMIT)
    assert answer == {"ok": True, "driver": "btrfs"}
    (mounted / SCOPE / "file").write_bytes(os.urandom(3 * MIB))
    other = "project-" + "1" * 32
    answer = ask(quota_helper, "read", host="local:btrfs", scopes=[other, SCOPE], sync=True)
    assert (answer["driver"], list(answer["scopes"])) == ("btrfs", [SCOPE])
    found = answer["scopes"][SCOPE]
    assert 3 * MIB <= found["used"] < 4 * MIB
    assert found["limit"] == LIMIT
    assert 0 < answer["free"] < answer["size"]


def test_a_plain_directory(quota_helper: RunningHelper, mounted: Path) -> None:
    assert ask(quota_helper, "prepare", host="local:plain", scope=SCOPE, limit=0) == {"ok": True, "driver": "accounting"}
    status = (mounted.parent / "plain" / SCOPE).stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o711)
    assert ask(quota_helper, "prepare", host="local:plain", scope=SCOPE, limit=0, driver="xfs")["status"] == 409


@pytest.mark.parametrize(
    ("host", "status"), [("local:unknown", 404), ("local:open", 409), ("local:gone", 409), ("/etc", 400), ("", 400), ("../etc", 400)]
)
def test_hosts_that_are_none(quota_helper: RunningHelper, host: str, status: int) -> None:
    assert ask(quota_helper, "prepare", host=host, scope=SCOPE, limit=0)["status"] == status
    assert ask(quota_helper, "read", host=host, scopes=[])["status"] == status


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "user-" + "0" * 31},
        {"scope": "../" + SCOPE},
        {"scope": "user:" + "0" * 32},
        {"scope": SCOPE + "\n"},
        {"limit": -1},
        {"limit": True},
        {"limit": 1 << 61},
        {"driver": "rm -rf"},
        {"path": "/etc"},
        {"sync": True},
    ],
)
def test_what_is_not_asked_so(quota_helper: RunningHelper, fields: dict[str, Any]) -> None:
    asked = {"host": "local:plain", "scope": SCOPE, "limit": 0, **fields}
    assert ask(quota_helper, "prepare", **asked)["status"] == 400
