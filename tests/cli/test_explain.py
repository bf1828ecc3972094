"""``ldap explain``, on the embedded directory and on the lab's LDAP."""

import json
import shutil

import pytest

from jupyterhub_backendai.cli.main import main
from jupyterhub_backendai.core.identity import PosixAccount, Role
from jupyterhub_backendai.store import models, users
from jupyterhub_backendai.store.database import Database
from tests import lab
from tests.factories import add_user

RULES = [
    {"group": r"team-(?P<team>\w+)", "projects": "{team}", "keypair_resource_policy": "large", "resource_groups": ["v100"]},
    {"user": "kim.*", "home": "/scratch/{user}"},
]


@pytest.fixture
def explain(site, sqlite_template, capsys):
    shutil.copy(sqlite_template, site / "backendai.sqlite")

    def run(name, *options, **settings):
        config = site / "jupyterhub_config.py"
        with config.open("a") as file:
            for key, value in {"mapping_rules": RULES, "local_posix": False, **settings}.items():
                file.write(f"c.BackendAI.{key} = {value!r}\n")
        status = main(["--config", str(config), "ldap", "explain", name, *options])
        return status, capsys.readouterr()

    return run


@pytest.fixture
async def db(site, explain):
    database = Database(f"sqlite:///{site}/backendai.sqlite", threads=1)
    await database.run(
        users.set_local_account, "kim01", "hash", "김", "", ("Team-AI", "staff"), PosixAccount("kim01", 5000, 5000, "/home/kim01")
    )
    yield database
    await database.close()


def explained(explain, name, **settings):
    status, output = explain(name, "--json", **settings)
    return status, json.loads(output.out)


def test_somebody_who_never_came(explain, db):
    status, found = explained(explain, " ＫＩＭ01")
    assert (status, found["user"], found["standing"]) == (0, "kim01", "may work")
    assert found["rules"] == [
        {
            "rule": "rule 1: group team-(?P<team>\\w+)",
            "by": "Team-AI",
            "gives": {"projects": ["AI"], "keypair_resource_policy": "large", "resource_groups": ["v100"]},
        },
        {"rule": "rule 2: user kim.*", "by": "kim01", "gives": {"home": "/scratch/kim01"}},
    ]
    assert found["result"] == {
        "may_log_in": True,
        "role": "user",
        "domain": "default (no rule gives one)",
        "projects": ["AI"],
        "keypair_resource_policy": "large",
        "resource_groups": ["v100"],
        "unix_account": "kim01, uid 5000, gid 5000, home /scratch/kim01",
    }
    assert found["here"] == {
        "status": "never logged in: the first login makes the account",
        "missing": ["there is no keypair resource policy large", "there is no resource group v100"],
    }


async def test_what_the_next_login_would_change(explain, db):
    import asyncio

    def fill(session):
        user_id = add_user(session, "kim01", "old", role=Role.USER)
        session.add_all([models.KeypairResourcePolicy(name="large"), models.ResourceGroup(name="v100", engine="local")])
        session.add(models.Keypair(access_key="AKIA1", user_id=user_id, secret_key="x", is_main=True))
        session.query(models.ProjectMember).update({"source": "directory"})

    await db.run(fill)
    status, found = await asyncio.to_thread(explained, explain, "kim01", admin_users=["kim01"])
    assert status == 0
    assert found["here"] == {
        "status": "active",
        "role": "user, set by the directory",
        "domain": "default, set by the directory",
        "projects": ["old"],
        "next_login_changes": {
            "role": {"from": "user", "to": "superadmin"},
            "projects": {"from": ["old"], "to": ["AI"]},
            "keypair_resource_policy": {"from": "default", "to": "large"},
            "resource_groups": {"from": [], "to": ["v100"]},
        },
    }
    # and nothing of it was done
    identity = await db.run(users.find_identity, "kim01")
    assert (identity.role, identity.projects) == (Role.USER, ("old",))
    assert await db.run(lambda session: session.query(models.ResourceGroupKeypair).count() + session.query(models.AuditEntry).count()) == 0


def test_who_could_not_come_in(explain, db):
    status, found = explained(explain, "kim01", allowed_groups=["others"])
    assert (status, found["result"]["may_log_in"]) == (1, False)
    assert found["rules"][-1] == {"rule": "allowed_groups: everybody", "gives": {"allow": False}}
    status, found = explained(explain, "nobody")
    assert (status, found) == (1, {"user": "nobody", "entry": "", "standing": "not there", "reason": "unknown"})


@pytest.mark.parametrize(
    ("name", "settings", "words"), [("a b", {}, "cannot be a user's name"), ("kim01", {"mapping_rules": [{"x": 1}]}, "rule 1")]
)
def test_mistakes_are_said(explain, name, settings, words):
    status, output = explain(name, **settings)
    assert (status, words in output.err) == (1, True)


def test_the_check_of_the_configuration_names_the_rule(site, explain, capsys):
    config = site / "jupyterhub_config.py"
    config.write_text(config.read_text() + "c.BackendAI.mapping_rules = [{'group': 'x'}, {'group': '(', 'projects': 'y'}]\n")
    assert main(["--config", str(config), "config", "check"]) == 1
    assert "c.BackendAI.mapping_rules: rule 2: " in capsys.readouterr().err


@pytest.mark.ldap
def test_the_labs_directory(explain, tmp_path):
    ldap = lab.ldap_settings(
        tmp_path,
        allowed_groups=["jhub-users"],
        admin_groups=["jhub-admins"],
        mapping_rules=[
            {"group": r"prj(?P<number>\d+)", "projects": "p{number}"},
            {"attribute": "DEPARTMENTNUMBER", "value": "(?P<what>.*)", "domain": "{what}-people"},
        ],
    )
    status, found = explained(explain, "KIM01", **ldap)
    assert (status, found["entry"], found["standing"]) == (0, f"uid=kim01,{lab.LDAP_USER_BASE}", "may work")
    assert (found["result"]["role"], found["result"]["domain"]) == ("superadmin", "admin-people")
    assert found["result"]["projects"] == ["p001"]
    assert set(found["attributes"]) == {"DEPARTMENTNUMBER"}
    for name, standing in (("lim05", "closed"), ("nobody99", "not there")):
        status, found = explained(explain, name, **ldap)
        assert (status, found["standing"]) == (1, standing)
    status, output = explain("kim02", **ldap)
    assert (status, "role: user" in output.out) == (0, True)
