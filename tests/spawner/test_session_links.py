"""How a session's own program shows folders: links, and nothing real is ever in danger."""

import os
import secrets
import time
from pathlib import Path

import pytest

from jupyterhub_backendai.spawner import singleuser

SCOPE = "user-" + "a" * 32


class Person:
    """A home directory, a workspace, and a storage host."""

    def __init__(self, base: Path) -> None:
        self.home, self.workspace, self.host = base / "home", base / "home" / "workspace", base / "host"
        self.records = self.home / ".backendai" / "links"
        self.workspace.mkdir(parents=True)
        self.clock = 0

    def folder(self, name: str) -> str:
        path = self.host / SCOPE / f"{name.encode().hex():0>32}" / "data"
        path.mkdir(parents=True, exist_ok=True)
        (path / "name").write_text(name)
        return str(path)

    def start(self, *live: str, admitted_at: float | None = None, **folders: str) -> tuple[str, dict[str, str]]:
        """A session begins with folders (place → directory); its id, and its environment."""
        self.clock += 1
        session_id, environment = secrets.token_hex(16), {}
        items = [{"source": source, "target": target, "is_own_part": "/part" in source} for target, source in folders.items()]
        given = {"session_id": session_id, "admitted_at": admitted_at or self.clock, "live": list(live), "items": items}
        singleuser.arrange_folders({**given, "records": str(self.records)}, environment)
        return session_id, environment


@pytest.fixture
def person(tmp_path, monkeypatch):
    person = Person(tmp_path)
    monkeypatch.setenv("HOME", str(person.home))
    monkeypatch.chdir(person.workspace)
    return person


def names(path):
    return sorted(entry.name for entry in path.iterdir() if entry.is_symlink())


def test_folders_are_in_the_workspace_and_hidden_ones_at_home(person):
    person.start(**{"data": person.folder("data"), "in/결과": person.folder("more"), ".cache": person.folder("cache")})
    assert (person.workspace / "data" / "name").read_text() == "data"
    assert (person.workspace / "in" / "결과" / "name").read_text() == "more"
    assert (person.home / ".cache" / "name").read_text() == "cache"


def test_links_of_a_session_that_is_over_go_with_the_next_one(person):
    person.start(data=person.folder("data"), other=person.folder("other"))
    person.start(data=person.folder("data"))
    assert names(person.workspace) == ["data"]
    person.start()
    assert names(person.workspace) == []
    assert list(person.records.iterdir()) == []
    assert (Path(person.folder("data")) / "name").exists()


def test_links_of_live_sessions_stay(person):
    first, _ = person.start(data=person.folder("data"), shared=person.folder("shared"))
    second, _ = person.start(first, shared=person.folder("shared"))
    assert names(person.workspace) == ["data", "shared"]
    person.start(second)
    assert names(person.workspace) == ["shared"]


def test_links_of_a_session_that_was_admitted_later_and_began_earlier_stay(person):
    person.start(admitted_at=50, data=person.folder("data"))
    person.start(admitted_at=40, other=person.folder("other"))
    assert names(person.workspace) == ["data", "other"]


def test_a_link_of_an_earlier_session_is_led_to_another_folder(person):
    person.start(data=person.folder("one"))
    person.start(data=person.folder("two"))
    assert (person.workspace / "data" / "name").read_text() == "two"


def test_a_link_that_a_live_session_needs_is_not_led_elsewhere(person, capfd):
    first, _ = person.start(data=person.folder("one"))
    person.start(first, data=person.folder("two"))
    assert (person.workspace / "data" / "name").read_text() == "one"
    assert (person.workspace / "data-folder" / "name").read_text() == "two"
    assert "the folder is at" in capfd.readouterr().out


@pytest.mark.parametrize("kind", ["directory", "file", "own link", "dangling link"])
def test_what_is_real_is_never_replaced_and_the_folder_is_beside_it(person, kind, capfd):
    place = person.workspace / "data"
    make = {
        "directory": lambda: (place.mkdir(), (place / "mine").write_text("mine")),
        "file": lambda: place.write_text("mine"),
        "own link": lambda: place.symlink_to(person.home),
        "dangling link": lambda: place.symlink_to("/nowhere"),
    }
    make[kind]()
    before = os.lstat(place)
    person.start(data=person.folder("data"))
    assert os.lstat(place).st_ino == before.st_ino
    assert (person.workspace / "data-folder" / "name").read_text() == "data"
    assert "is your own already" in capfd.readouterr().out
    person.start()
    assert os.lstat(place).st_ino == before.st_ino
    assert not (person.workspace / "data-folder").is_symlink()


def test_a_link_that_somebody_put_in_the_place_of_ours_stays(person):
    person.start(data=person.folder("data"))
    (person.workspace / "data").unlink()
    (person.workspace / "data").mkdir()
    person.start()
    assert (person.workspace / "data").is_dir()


def test_a_real_local_stays_and_packages_go_into_the_folder_all_the_same(person, capfd):
    (person.home / ".local").mkdir()
    _, environment = person.start(**{".local": person.folder("local")})
    assert environment == {"PYTHONUSERBASE": person.folder("local")}
    assert "pip install --user" in capfd.readouterr().out
    (person.home / ".cache").mkdir()
    _, environment = person.start(**{".cache": person.folder("cache")})
    assert environment == {}
    assert f"the folder .cache is at {person.folder('cache')}" in capfd.readouterr().out


def test_a_members_own_part_is_made_and_nobody_elses_to_look_at(person):
    part = person.folder("local") + "/part"
    person.start(**{".local": part})
    assert Path(part).is_dir()
    assert Path(part).stat().st_mode & 0o777 == 0o700
    assert os.readlink(person.home / ".local") == part


def test_a_part_that_somebody_else_put_there_is_not_used(person, monkeypatch):
    part = Path(person.folder("local"), "part")
    part.mkdir()
    monkeypatch.setattr(singleuser.os, "geteuid", lambda: 4711)
    person.start(**{".local": str(part), "data": person.folder("data")})
    assert not (person.home / ".local").exists()
    assert names(person.workspace) == ["data"]


def test_a_part_that_was_opened_to_others_is_shut_again(person):
    part = Path(person.folder("local"), "part")
    part.mkdir()
    part.chmod(0o777)
    person.start(**{".local": str(part)})
    assert part.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_read_is_told_and_the_session_starts(person, capfd):
    person.start(data="/nowhere/user-" + "b" * 32 + "/" + "c" * 32 + "/data")
    assert "The folder data cannot be read here: No such file or directory" in capfd.readouterr().out


def test_records_that_cannot_be_read_are_told_and_the_session_starts(person, capfd):
    person.start(data=person.folder("data"))
    (person.records / "broken.json").write_text("{")
    person.start(more=person.folder("more"))
    assert "links to folders of earlier sessions stay" in capfd.readouterr().out
    assert names(person.workspace) == ["data", "more"]


def test_records_that_cannot_be_written_are_told_and_the_session_starts(person, capfd):
    person.home.joinpath(".backendai").write_text("no directory")
    person.start(data=person.folder("data"))
    assert names(person.workspace) == ["data"]
    assert "stay when it is over" in capfd.readouterr().out


def test_a_file_server_that_hangs_holds_up_a_session_for_seconds_only(person, capfd, monkeypatch):
    monkeypatch.setattr(singleuser, "REACH_S", 0.2)
    monkeypatch.setattr(singleuser.os, "scandir", lambda _path: time.sleep(60))
    person.start(data=person.folder("data"))
    assert "does not answer" in capfd.readouterr().out


def test_a_session_of_an_older_hub_has_no_links(person):
    singleuser.arrange_folders({}, {})
    singleuser.arrange_folders({"records": str(person.records)}, {})
    assert not person.records.exists()
