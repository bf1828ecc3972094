import yaml

from jupyterhub_backendai.store.models import Domain
from tests.cli.listener import database, parts, run

__all__ = ["database", "parts", "run"]


async def test_what_was_exported_changes_nothing(run, tmp_path):
    file = tmp_path / "platform.yaml"
    assert await run("config", "export", "--output", str(file)) == (0, "", "")
    assert "domains" in yaml.safe_load(file.read_text())
    status, out, _ = await run("config", "export")
    assert (status, out) == (0, file.read_text())
    assert await run("config", "import", str(file), "--prune") == (0, "Nothing changes.\n", "")
    assert list(tmp_path.glob(".platform*")) == []


async def test_differences_are_shown_before_they_are_made(run, database):
    text = "domains:\n- name: default\n  description: 기본\n- name: new\n"
    status, out, _ = await run("config", "import", "-", "--dry-run", stdin=text)
    assert (status, out.splitlines()[0]) == (0, "~ domains default")
    assert '    - description: ""\n    + description: "기본"\n' in out
    assert "+ domains new\n" in out
    assert out.endswith("1 new, 1 changed\n")
    status, _, err = await run("config", "import", "-", stdin=text)
    assert (status, "say --yes" in err) == (1, True)
    assert await database.run(lambda db: db.query(Domain).count()) == 1
    status, out, err = await run("config", "import", "-", "--yes", stdin=text)
    assert (status, out.splitlines()[-1], err) == (0, "Applied: 1 new, 1 changed.", "")
    status, out, _ = await run("config", "import", "-", "--prune", "--yes", stdin="domains:\n- name: default\n")
    assert (status, out.splitlines()[0]) == (0, "- domains new")


async def test_every_mistake_has_its_place(run, tmp_path):
    status, out, err = await run("config", "import", "-", stdin="domains:\n- name: a/b\n- name: x\n  magic: 1\n")
    assert (status, out) == (1, "")
    assert [line.split(": ")[1] for line in err.splitlines()] == ["domains[0].name", "domains[1].magic"]
    assert "cannot be read" in (await run("config", "import", "/no/such"))[2]
    assert "cannot be written" in (await run("config", "export", "--output", "/no/such/file"))[2]


async def test_settings(run):
    assert await run("setting", "list") == (0, "status:\n  value: running\n", "")
    assert await run("setting", "set", "status", "value=frozen") == (0, "status:\n  value: frozen\n", "")
    assert (await run("setting", "set", "status", "value=warm"))[0] == 1


async def test_recalculation_is_asked_of_the_service(run):
    status, _, err = await run("recalculate")  # this one has no part that could do it
    assert (status, "not possible right now" in err) == (75, True)
