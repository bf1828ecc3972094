"""``c.BackendAI.storage_hosts``."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.storage_hosts import read_hosts
from jupyterhub_backendai.errors import InvalidParameters


def test_without_any_there_is_one_in_the_state_directory():
    hosts = BackendAI(state_dir="/var/lib/hub").list_storage_hosts()
    assert [(host.name, host.path, host.quota_driver, host.is_granted) for host in hosts.values()] == [
        ("local:folders", "/var/lib/hub/folders", "auto", True)
    ]


def test_hosts_keep_their_order():
    entries = [
        {"name": "b", "path": "/b", "quota_driver": "btrfs", "is_granted": False},
        {"name": "a:x", "path": "/bb", "description": "A"},
    ]
    assert list(read_hosts(entries)) == ["b", "a:x"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([{"name": "a"}], "path"),
        ([{"path": "/a"}], "name"),
        ([{"name": "a", "path": ""}], "path"),
        ([{"name": "a", "path": "data"}], "whole path"),
        ([{"name": "a", "path": "/"}], "whole path"),
        ([{"name": "a", "path": "/a/../etc"}], "whole path"),
        ([{"name": "a b", "path": "/a"}], "is named"),
        ([{"name": "a", "path": "/a", "driver": "xfs"}], "driver"),
        ([{"name": "a", "path": "/a", "quota_driver": "zfs"}], "quota_driver"),
        ([{"name": 1, "path": "/a"}], "texts"),
        ([{"name": "a", "path": "/a", "is_granted": "no"}], "is_granted"),
        ([{"name": "a", "path": "/" + "x" * 1100}], "too long"),
        ([{"name": "a", "path": "/a"}, {"name": "a", "path": "/b"}], "twice"),
        ([{"name": "a", "path": "/data"}, {"name": "b", "path": "/data/b"}], "cannot share"),
        ([{"name": "a", "path": "/data/"}, {"name": "b", "path": "/data"}], "cannot share"),
    ],
)
def test_entries_that_cannot_be(entries, reason):
    with pytest.raises(ValueError, match=reason):
        read_hosts(entries)
    with pytest.raises(InvalidParameters, match=r"c\.BackendAI\.storage_hosts"):
        BackendAI(storage_hosts=entries).list_storage_hosts()
