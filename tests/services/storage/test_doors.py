"""Whether the helper does it: decided anew while it was not seen, and never taken back."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.errors import StorageUnavailable
from jupyterhub_backendai.services.quotas import Quotas
from jupyterhub_backendai.services.storage.doors import HelperDoor
from jupyterhub_backendai.services.storage.hosts import Storage
from tests.services.storage.folders_on_disk import HOST, access, make_folder, own_grant


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


async def test_a_helper_that_comes_later_is_found_and_one_that_goes_is_still_meant(tmp_path: Path):
    path = tmp_path / "helper.sock"
    storage = Storage({HOST: str(tmp_path / "folders")}, str(path))
    assert storage.is_single_user
    listen(path)
    assert not storage.is_single_user
    path.unlink()
    assert not storage.is_single_user
    with pytest.raises(StorageUnavailable):
        await storage.set_gate(make_folder(), [])


@pytest.mark.root
async def test_a_directory_of_somebody_else_belongs_to_a_helper_that_is_not_there_yet(tmp_path: Path):
    folders = tmp_path / "folders"
    folders.mkdir()
    os.chown(folders, 12345, -1)
    storage = Storage({HOST: str(folders)}, str(tmp_path / "helper.sock"))
    assert not storage.is_single_user
    with pytest.raises(StorageUnavailable):
        await storage.make_folder(make_folder(), [own_grant()])
    account = PosixAccount("kim", 12345, 12345, "/")
    with pytest.raises(StorageUnavailable):
        await storage.files(access(make_folder()), account).list(b"")
    with pytest.raises(StorageUnavailable):  # not "done": it would never be done again
        await storage.apply_access(make_folder(), [own_grant()], account)
    assert list(folders.iterdir()) == []
    storage.close()
    # else a scope would be counted by us for ever, where a kernel is to do it
    assert Quotas(None, HelperDoor(str(tmp_path / "helper.sock"), [str(folders)]))._helper is not None


def test_a_file_server_that_does_not_answer_makes_nobody_the_owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("jupyterhub_backendai.services.storage.doors.LOOK_S", 0.0)
    monkeypatch.setattr("jupyterhub_backendai.services.storage.doors._is_ours", lambda _: bool(__import__("time").sleep(0.2)))
    assert HelperDoor(str(tmp_path / "none"), [str(tmp_path)]).is_needed
    assert not HelperDoor("", [str(tmp_path)]).is_needed
