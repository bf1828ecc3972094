import io
import stat
import subprocess
import sys
from datetime import timedelta

import pytest

from jupyterhub_backendai.cli.main import main
from jupyterhub_backendai.identity.local import verify
from jupyterhub_backendai.store import active_logins, models, otp, users
from jupyterhub_backendai.store.database import Database


@pytest.fixture
def run(site, capsys, monkeypatch):
    def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main(["--config", str(site / "jupyterhub_config.py"), *arguments])
        return status, capsys.readouterr()

    return run


@pytest.fixture
def look(site):
    """Ask the site's database one question."""
    import asyncio

    async def ask(function, *arguments):
        database = Database(f"sqlite:///{site}/backendai.sqlite", threads=1)
        try:
            return await database.run(function, *arguments)
        finally:
            await database.close()

    return lambda function, *arguments: asyncio.run(ask(function, *arguments))


def test_a_new_database_is_checked_upgraded_and_checked(run, site):
    status, output = run("db", "check")
    assert (status, "db upgrade" in output.err) == (1, True)
    status, output = run("db", "upgrade")
    assert (status, "from nothing to 000" in output.out) == (0, True)
    assert run("db", "check")[0] == run("db", "upgrade")[0] == 0
    assert stat.S_IMODE((site / "backendai.sqlite").stat().st_mode) == 0o600


def test_somebody_is_added_with_the_password_from_standard_input(run, look):
    run("db", "upgrade")
    status, output = run("user", "add", "Kim01", "--admin", "--groups", "staff, kisti", "--display-name", "김", stdin="correct horse 1\n")
    assert (status, output.out) == (0, "kim01 can log in.\n")
    account = look(users.get_local_account, "kim01")
    assert (account.groups, account.display_name) == (("admins", "kisti", "staff"), "김")
    assert verify(account.password_hash, "correct horse 1")
    entry = look(lambda db: [(row.action, row.object, row.result, row.details) for row in db.query(models.AuditEntry)])
    assert entry == [("user.add", "kim01", "ok", {})]


def test_the_password_may_come_from_a_file(run, look, tmp_path):
    run("db", "upgrade")
    (tmp_path / "password").write_text("battery staple 1\n")
    assert run("user", "add", "lee01", "--password-file", str(tmp_path / "password"))[0] == 0
    assert verify(look(users.get_local_account, "lee01").password_hash, "battery staple 1")
    assert run("user", "remove", "lee01")[0] == 0
    assert look(users.get_local_account, "lee01") is None


@pytest.mark.parametrize("command", [["user", "add", "kim01"], ["user", "remove", "kim01"]])
def test_who_gets_another_password_or_goes_is_logged_in_no_more(run, look, command):
    run("db", "upgrade")
    run("user", "add", "kim01", stdin="correct horse 1\n")
    at = models.now()

    def begin(db):
        active_logins.open_login(db, active_logins.BrowserLogin("0" * 64, "kim01", "", "", at, at, at + timedelta(days=1)))
        db.add(models.LoginTicket(id="one", user_name="kim01", step="notes", expires_at=at + timedelta(minutes=5)))

    look(begin)
    assert run(*command, stdin="battery staple 1\n")[0] == 0
    assert look(lambda db: (db.query(models.ActiveLogin).count(), db.query(models.LoginTicket).count())) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "stdin", "word"),
    [
        (["user", "add", "kim01"], "short\n", "8 to 1024"),
        (["user", "add", "kim01"], "", "8 to 1024"),
        (["user", "add", "kim01"], "without-digits", "a digit and a special character"),
        (["user", "add", "../x"], "correct horse 1\n", "cannot be a user's name"),
        (["user", "add", "a b"], "correct horse 1\n", "cannot be a user's name"),
        (["user", "add", "kim01", "--password-file", "/no/such"], "", "cannot be read"),
        (["user", "remove", "nobody"], "", "There is no nobody"),
        (["otp", "reset", "nobody"], "", "nobody"),
    ],
)
def test_mistakes_are_said_and_change_nothing(run, look, arguments, stdin, word):
    run("db", "upgrade")
    status, output = run(*arguments, stdin=stdin)
    assert status == 1
    assert word in output.err
    assert look(lambda db: db.query(models.LocalAccount).count() + db.query(models.AuditEntry).count()) == 0


def test_a_password_is_never_an_argument(run):
    with pytest.raises(SystemExit):
        run("user", "add", "kim01", "--password", "correct horse 1")


def test_a_token_is_reset_without_the_service(run, look):
    run("db", "upgrade")
    look(otp.set_confirmed, "kim01", "encrypted")
    at = models.now()
    for name in ("kim01", "lee01"):
        look(active_logins.open_login, active_logins.BrowserLogin(name[0] * 64, name, "", "", at, at, at + timedelta(days=1)))
    status, output = run("otp", "reset", "kim01")
    assert (status, "logins end when it is back" in output.err) == (0, True)
    assert look(otp.get_token, "kim01") is None
    assert look(lambda db: [row.user_name for row in db.query(models.ActiveLogin)]) == ["lee01"]


def test_before_the_first_upgrade_a_change_says_what_to_run(run):
    status, output = run("user", "add", "kim01", stdin="correct horse 1\n")
    assert (status, "db upgrade" in output.err) == (1, True)


def test_a_good_configuration(run):
    run("db", "upgrade")
    status, output = run("config", "check")
    assert (status, output.out) == (0, "The configuration can be used.\n")


@pytest.mark.filterwarnings("ignore:Config option")
def test_every_problem_of_a_configuration_is_listed(run, site):
    (site / "secrets.json").write_text('{"private": "short", "crypt": "nokey", "cookie": "0123456789abcdef", "proxy": ""}')
    with (site / "jupyterhub_config.py").open("a") as file:
        file.write(
            """
c.BackendAI.no_such_setting = 1
c.BackendAI.hub_id = "a b"
c.BackendAI.queues = [{"name": "x y", "engine": "pbs"}, {"name": "l", "engine": "local"},
    {"name": "s", "engine": "slurm", "max_time_s": 60}]
c.BackendAI.environments = [{"name": "e", "command": "python"}, {"labels": {}}, {"name": "e"},
    {"name": "f", "min_slots": {"cpu": "lots"}, "max_slots": {"cpu": -1}}]
c.BackendAI.directory = "ldap"
c.BackendAI.ldap_servers = ["ldap://directory", "http://directory"]
c.BackendAI.ldap_tls = "none"
c.BackendAI.ldap_verify = False
c.BackendAI.ldap_ca_file = "/no/such.pem"
c.BackendAI.sign_up = True
c.BackendAI.mail_server, c.BackendAI.mail_from, c.BackendAI.mail_tls = "mail.example.org:25", "hub@example.org", "none"
c.BackendAI.mail_password_file = "/no/such"
c.BackendAI.user_root = "/scratch"
c.BackendAI.slurm_bin = "/no/such"
"""
        )
    status, output = run("config", "check")
    assert status == 1
    for word in (
        *("c.BackendAI.sign_up needs", "mail goes to mail.example.org:25 in clear", "mail_password_file"),
        *("no_such_setting", "hub_id", "secret private is too short", "not a Fernet key", "secret proxy", "secret oauth_state"),
        *("Queue x y: the name", "no engine 'pbs'", "Queue l: a local queue", "Queue s: default_time_s"),
        *(
            "command must be",
            "no usable name",
            "Two environments",
            "min_slots must be",
            "max_slots: an amount",
            "ldap_user_base is empty",
            "begins neither",
            "in clear",
        ),
        *(
            "ldap_verify is off",
            "/no/such.pem cannot be read",
            "no {user}",
            "no sbatch in /no/such",
            "helper does not run",
            "no tables yet",
        ),
    ):
        assert word in output.err, word


@pytest.mark.parametrize(
    ("text", "word"), [("1 +", "SyntaxError"), ("import sys; sys.exit(3)", "SystemExit"), ("c.BackendAI.queues = 5", "queues")]
)
def test_a_file_that_cannot_be_read_says_why(run, site, text, word):
    (site / "jupyterhub_config.py").write_text(text)
    status, output = run("config", "check")
    assert status == 1
    assert word in output.err


def test_a_missing_file_is_named(capsys):
    assert main(["--config", "/no/such.py", "db", "check"]) == 1
    assert "/no/such.py" in capsys.readouterr().err


def test_the_reference_names_every_setting(capsys):
    assert main(["config", "reference"]) == 0
    output = capsys.readouterr().out
    assert "| `queues` |" in output
    assert "| `otp_required` | Bool | `True` |" in output


def test_the_console_script_runs():
    answer = subprocess.run([sys.executable, "-m", "jupyterhub_backendai.cli.main", "--help"], capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert "one-time passwords" in answer.stdout
