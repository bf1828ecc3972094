import io
import json

import pytest
import yaml

from jupyterhub_backendai.cli.connection import Answer
from jupyterhub_backendai.cli.fields import read_values
from jupyterhub_backendai.cli.main import build_parser
from jupyterhub_backendai.cli.nouns import read_all
from jupyterhub_backendai.cli.table import format_cell, format_table, text_width
from jupyterhub_backendai.core.nouns import NOUNS, Field, Kind
from jupyterhub_backendai.store.models import AuditEntry
from jupyterhub_backendai.store.records import RECORDS
from tests.cli.listener import database, parts, run

__all__ = ["database", "parts", "run"]


async def test_one_is_made_shown_changed_and_removed(run, database):
    status, out, err = await run("domain", "create", "physics", "--description", "물리학과", "--total-resource-slots", "cpu=4,mem=16g")
    assert (status, err) == (0, "")
    assert "cpu=4,mem=16GiB" in out
    status, out, _ = await run("domain", "set", "physics", "--no-is-active", "--total-resource-slots", "cpu=infinity", "--json")
    assert status == 0
    assert (json.loads(out)["is_active"], json.loads(out)["total_resource_slots"]) == (False, {"cpu": "Infinity"})
    status, out, _ = await run("domain", "show", "physics", "--yaml")
    assert yaml.safe_load(out)["description"] == "물리학과"
    status, out, _ = await run("domain", "remove", "physics", "--yes")
    assert (status, out) == (0, "physics is removed.\n")
    status, _, err = await run("domain", "show", "physics")
    assert (status, err) == (1, "jupyterhub-backendai: There is no domain physics.\n")
    actors = await database.run(lambda db: {row.actor for row in db.query(AuditEntry)})
    assert [actor.partition(":")[0] for actor in actors] == ["system"]


async def test_a_list_is_aligned_under_korean(run):
    for name, text in (("a", "물리학과 – 이론"), ("b", "ASCII only"), ("c", "")):
        await run("domain", "create", name, "--description", text)
    status, out, err = await run("domain", "list", "--columns", "description,name", "--sort=-name", "--limit", "3")
    head, *lines = out.splitlines()
    assert (status, err) == (0, "3 of 4 are shown; --limit 0 shows all.\n")
    assert [line.split()[-1] for line in lines] == ["default", "c", "b"]
    status, out, err = await run("domain", "list", "--columns", "description,name", "--search", "이론")
    head, line = out.splitlines()
    assert (text_width(head.partition("NAME")[0]), err) == (text_width(line.removesuffix("a")), "")
    _, out, _ = await run("domain", "list", "--filter", "is_active=false", "--json")
    assert json.loads(out) == []


async def test_every_mistake_has_its_line(run):
    status, out, err = await run("domain", "create", "a/b", "--total-resource-slots", "cpu=1.5,mem=lots,magic=1")
    assert (status, out) == (1, "")
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        *("name", "total_resource_slots.cpu", "total_resource_slots.mem", "total_resource_slots.magic")
    ]
    assert (await run("domain", "create", "default"))[2] == "jupyterhub-backendai: There is already a domain default.\n"
    assert "still has 1 people" in (await run("domain", "remove", "default", "--yes"))[2]
    assert "domian" in (await run("domain", "list", "--filter", "domian=x"))[2]
    for arguments, word in (
        (("create", "x", "--total-resource-slots", "4"), "name=value"),
        (("list", "--filter", "x"), "NAME=VALUE"),
        (("list", "--columns", "x"), "no column x"),
        (("set", "default"), "Say what to change: --description"),
        (("remove", "default"), "say --yes"),
    ):
        status, _, err = await run("domain", *arguments)
        assert (status, word in err) == (1, True), err
    for arguments in (("create",), ("create", "x", "--descr", "y"), ("list", "--limit", "-1"), ("nonsense",)):
        assert (await run("domain", *arguments))[0] == 2


class Terminal(io.StringIO):
    def isatty(self):
        return True


async def test_before_something_is_removed_it_is_asked(run, monkeypatch):
    await run("domain", "create", "x")
    for typed, status in (("\n", 1), ("n\n", 1), ("", 1), ("y\n", 0)):
        found, _, err = await run("domain", "remove", "x", stdin=Terminal(typed))
        assert (found, err) == (status, 'Remove the domain "x"? [y/N] ')


def test_a_list_is_read_page_by_page():
    asked = []

    class Pages:
        def call(self, method, path, query):
            asked.append(query)
            items = [{"name": f"{query['page']}-{n}"} for n in range(int(query["page_size"]))]
            return Answer({"items": items, "total": 1200, "page_count": 3}, {})

    items, total = read_all(Pages(), NOUNS["domains"], {"q": "x"}, 0)
    assert (len(items), total, [query["page"] for query in asked], asked[0]["q"]) == (1500, 1200, ["1", "2", "3"], "x")
    assert len(read_all(Pages(), NOUNS["domains"], {}, 700)[0]) == 700
    assert len(read_all(Pages(), NOUNS["domains"], {}, 7)[0]) == 7


async def test_how_many_people_a_change_touches(run):
    status, _, err = await run("domain", "set", "default", "--description", "x")
    assert (status, err) == (0, "This touches 1 person.\n")


async def test_a_service_that_is_away_says_so_and_that_it_may_come_back(run, site):
    (site / "private.sock").unlink()
    status, _, err = await run("domain", "list")
    assert (status, "does not answer" in err) == (75, True)


@pytest.mark.parametrize("noun", [NOUNS[name] for name in RECORDS], ids=lambda noun: noun.name)
def test_every_noun_has_its_commands(noun):
    parser, name = build_parser(), noun.singular.replace("_", "-")
    assert parser.parse_args([name, "list"]).run
    assert parser.parse_args([name, "show", "x"]).run
    if "update" in noun.verbs:
        assert read_values(noun, parser.parse_args([name, "set", "x"])) == {}


def test_what_a_terminal_would_obey_is_not_printed(capsys):
    from jupyterhub_backendai.cli.table import printable

    assert printable("a\x1b[31mb\x07\nc") == "a�[31mb� c"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.DURATION, 7200, "2h"),
        (Kind.DURATION, 61, "61s"),
        (Kind.DURATION, "Infinity", "Infinity"),
        (Kind.BYTES, 10 * 1024**3, "10GiB"),
        (Kind.SLOTS, {"cpu": "4", "mem": "Infinity"}, "cpu=4,mem=Infinity"),
        (Kind.HOSTS, {"home": ["upload-file", "download-file"]}, "home=upload-file+download-file"),
        (Kind.LABELS, {"en": "News", "ko": "소식"}, "en=News; ko=소식"),
        (Kind.MOMENT, "2026-03-01T09:00:00+00:00", "2026-03-01 09:00:00"),
        (Kind.REFERENCES, ["a", "b"], "a,b"),
        (Kind.OPTIONS, {"a": 1}, '{"a": 1}'),
        (Kind.BOOLEAN, False, "no"),
        (Kind.INTEGER, 0, "0"),
        (Kind.TEXT, None, "-"),
    ],
)
def test_values_are_shown_as_they_are_given(kind, value, text):
    assert format_cell(Field("x", kind, "X"), value) == text


@pytest.mark.parametrize(
    ("option", "given", "value"),
    [
        ("--allowed-vfolder-hosts", "home=upload-file+download-file,scratch=", {"home": ["upload-file", "download-file"], "scratch": []}),
        ("--total-resource-slots", "", {}),
        ("--resource-groups", "a, b,", ["a", "b"]),
        ("--description", "a=b,c", "a=b,c"),
    ],
)
def test_options_are_taken_apart(option, given, value):
    options = build_parser().parse_args(["domain", "set", "x", option, given])
    assert read_values(NOUNS["domains"], options) == {option.removeprefix("--").replace("-", "_"): value}


def test_texts_come_in_languages():
    options = build_parser().parse_args(["announcement", "create", "--title", "en=News=1", "--title", "ko=소식", "--body", "ko=글"])
    assert read_values(NOUNS["announcements"], options) == {"title": {"en": "News=1", "ko": "소식"}, "body": {"ko": "글"}}


async def test_a_list_shows_the_keys_that_other_commands_want(run):
    await run("announcement", "create", "--title", "ko=점검", "--body", "ko=월요일")
    _, out, _ = await run("announcement", "list")
    head, line = out.splitlines()
    assert (head.split()[:2], "ko=점검" in line) == (["ID", "TITLE"], True)
    assert (await run("announcement", "set", line.split()[0], "--no-is-active"))[0] == 0


async def test_a_secret_is_read_and_never_given(run, tmp_path):
    (tmp_path / "secret").write_text("hunter2 hunter2\n")
    for arguments, stdin in ((("--password-file", str(tmp_path / "secret")), ""), (("--password-file", "-"), "hunter2 hunter2\n")):
        name = f"registry-{bool(stdin)}"
        status, out, err = await run("container-registry", "create", name, "--url", "https://cr.example.org", *arguments, stdin=stdin)
        assert (status, "hunter2" in out + err) == (0, False), err
    assert (await run("container-registry", "set", "registry-True", "--password", "x"))[0] == 2
    assert "cannot be read" in (await run("container-registry", "set", "registry-True", "--password-file", "/no/such"))[2]


def test_a_table_without_rows_is_its_head():
    assert format_table(["NAME", "X"], []) == "NAME  X\n"
