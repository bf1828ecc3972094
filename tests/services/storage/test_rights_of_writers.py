"""Whoever writes piece after piece is looked at again every few seconds."""

from types import SimpleNamespace

from jupyterhub_backendai.services.storage import uploads
from jupyterhub_backendai.services.storage.pools import Pools


def test_a_folder_that_was_recalled_is_not_remembered_for_longer(monkeypatch):
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(uploads, "time", clock)
    doors = uploads.Uploads(None, Pools(), None)
    folder = SimpleNamespace(access=SimpleNamespace(folder=SimpleNamespace(id="f")))
    doors.remember("kim01", folder)
    for _ in range(4):  # a piece each second
        clock.now += 1
        assert doors.recall("kim01", "f") is folder
        doors.remember("kim01", folder)
    clock.now += 1.1
    assert doors.recall("kim01", "f") is None
    asked_anew = SimpleNamespace(access=folder.access)
    doors.remember("kim01", asked_anew)
    clock.now += 4
    assert doors.recall("kim01", "f") is asked_anew
