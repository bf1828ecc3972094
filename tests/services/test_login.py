"""The login decision, on both databases, with a directory that knows what a test tells it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.identity import Person, PosixAccount
from jupyterhub_backendai.errors import BackendAIError, Conflict, DirectoryUnavailable, NotFound
from jupyterhub_backendai.services import login
from jupyterhub_backendai.store import models, users
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures

from .desk import PASSWORD, Counter, code


@pytest_asyncio.fixture
async def counter(database: Database) -> AsyncIterator[Counter]:  # noqa: F811
    yield Counter(database, admin_users=["boss"], project_groups={"physics": "quarks", "ai": "ai"})


async def test_everything_right(counter: Counter) -> None:
    await counter.add("kim01", display_name="김", email="k@x.kr", groups=("physics",), posix=PosixAccount("KIM", 5000, 5001, "/home/k"))
    answer = await counter.log_in(" KIM01 ", code())
    identity = answer["identity"]
    assert answer["outcome"] == "ok"
    assert (identity["name"], identity["display_name"], identity["domain"]) == ("kim01", "김", "default")
    assert (list(identity["projects"]), identity["is_admin"], identity["is_active"]) == (["quarks"], False, True)
    assert identity["posix"] == {"name": "KIM", "uid": 5000, "gid": 5001, "home": "/home/k"}
    keypair = await counter.db.run(lambda db: db.scalars(select(models.Keypair)).one())
    assert keypair.access_key == identity["access_key"]
    assert (keypair.is_main, keypair.is_active) == (True, True)
    assert len(counter.crypt.decrypt(keypair.secret_key, f"keypair:{keypair.access_key}")) == 40
    assert await counter.reasons() == ["ok"]


async def test_whatever_is_wrong_the_answer_is_the_same(counter: Counter) -> None:
    await counter.add("kim01")
    wrong_code = f"{(int(code()) + 1) % 10**6:06d}"
    answers = []
    for name, password, typed in [
        ("nobody", PASSWORD, code()),
        ("kim01", "wrong", code()),
        ("kim01", PASSWORD, wrong_code),
        ("kim01", PASSWORD, ""),
        ("kim01\n", PASSWORD, code()),
        ("x" * 900, PASSWORD, code()),
        ("", "", ""),
    ]:
        answers.append(await counter.log_in(name, typed, password))
        await counter.forgive()
    assert answers == [{"outcome": "refused", "message": login.REFUSED, "params": {}}] * 7
    assert await counter.reasons() == ["unknown", "wrong-password", "wrong-code", "no-code", "unknown", "unknown", "unknown"]
    assert await counter.count(models.User) == 0


async def test_a_wrong_password_does_not_burn_the_code(counter: Counter) -> None:
    await counter.add("kim01")
    good = code()
    assert (await counter.log_in("kim01", good, "wrong"))["outcome"] == "refused"
    assert (await counter.log_in("kim01", good))["outcome"] == "ok"


async def test_a_code_is_good_once(counter: Counter) -> None:
    await counter.add("kim01")
    now = code()
    assert (await counter.log_in("kim01", now))["outcome"] == "ok"
    assert (await counter.log_in("kim01", now))["outcome"] == "refused"
    assert (await counter.log_in("kim01", code(-1)))["outcome"] == "refused"  # older than the last
    await counter.forgive()
    assert (await counter.log_in("kim01", code(1)))["outcome"] == "ok"
    assert await counter.reasons() == ["ok", "used-code", "used-code", "ok"]


async def test_twenty_at_once_with_one_code(counter: Counter) -> None:
    await counter.add("kim01")
    now = code()
    answers = await asyncio.gather(*(counter.log_in("kim01", now) for _ in range(20)))
    assert [answer["outcome"] for answer in answers].count("ok") == 1
    # and without anybody having to wait: the step itself is taken once
    step = otp.step_of(time.time()) + 5
    taken = await asyncio.gather(*(counter.db.run(tokens.consume_step, "kim01", step, 0) for _ in range(20)))
    assert taken.count(True) == 1


async def test_drift_is_remembered(counter: Counter) -> None:
    await counter.add("kim01")
    assert (await counter.log_in("kim01", code(1)))["outcome"] == "ok"
    assert (await counter.log_in("kim01", code(2)))["outcome"] == "ok"
    token = await counter.db.run(tokens.get_token, "kim01")
    assert token.drift in {0, 1, 2}


async def test_a_secret_of_somebody_else_does_not_open(counter: Counter) -> None:
    await counter.add("kim01")
    await counter.add("choi02", token=False)
    stolen = await counter.db.run(tokens.get_token, "kim01")
    await counter.db.run(tokens.set_confirmed, "choi02", stolen.secret)
    with pytest.raises(BackendAIError):
        await counter.log_in("choi02", code())


# -- waiting


async def test_who_fails_again_and_again_waits(counter: Counter) -> None:
    await counter.add("kim01")
    for _ in range(3):
        assert "throttled" not in await counter.log_in("kim01", password="wrong")
    asked = len(counter.directory.asked)
    answer = await counter.log_in("kim01", code())
    assert (answer["outcome"], answer["throttled"], answer["message"]) == ("refused", True, login.WAIT)
    assert answer["params"]["seconds"] >= 1
    assert len(counter.directory.asked) == asked  # the directory is not even asked
    # an unknown name waits the same
    for _ in range(3):
        await counter.log_in("nobody", password="wrong")
    assert (await counter.log_in("nobody"))["throttled"]
    # and in time it is over
    await counter.forgive()
    assert (await counter.log_in("kim01", code()))["outcome"] == "ok"
    assert (await counter.log_in("kim01", code(), "wrong"))["outcome"] == "refused"
    failures = select(models.LoginFailure.count).where(models.LoginFailure.key == "user:kim01@10.0.0.0/24")
    assert await counter.db.run(lambda db: db.scalar(failures)) == 1  # kim01 began again at one


async def test_many_at_once_gain_nothing(counter: Counter) -> None:
    await counter.add("kim01")
    answers = await asyncio.gather(*(counter.log_in("kim01", f"{number:06d}") for number in range(30)))
    assert sum("throttled" not in answer for answer in answers) <= 3


async def test_a_source_that_fails_again_and_again_waits(counter: Counter) -> None:
    await counter.add("kim01")
    for number in range(30):
        await counter.log_in(f"guess{number}", password="x", source="10.9.9.9")
    assert (await counter.log_in("kim01", code(), source="10.9.9.77"))["throttled"]
    assert (await counter.log_in("kim01", code(), source="10.9.8.1"))["outcome"] == "ok"


async def test_an_outage_is_no_failure(counter: Counter) -> None:
    await counter.add("kim01")
    counter.directory.is_away = True
    for _ in range(6):
        with pytest.raises(DirectoryUnavailable):
            await counter.log_in("kim01", code())
    counter.directory.is_away = False
    assert (await counter.log_in("kim01", code()))["outcome"] == "ok"


# -- who may


@pytest.mark.parametrize("token", [True, False])
async def test_not_allowed_is_said_to_who_is_right(database: Database, token: bool) -> None:  # noqa: F811
    counter = Counter(database, allowed_groups=["jhub-users"])
    await counter.add("out", token=token)
    assert (await counter.log_in("out", code()))["message"] == login.NOT_ALLOWED
    if token:
        assert (await counter.log_in("out", "000000"))["message"] == login.REFUSED
    assert await counter.count(models.User) == 0


@pytest.mark.parametrize(
    ("status", "words"), [(models.UserStatus.INACTIVE, "is closed"), (models.UserStatus.BEFORE_VERIFICATION, "is not verified yet")]
)
async def test_who_is_not_active_stays_out(counter: Counter, status: models.UserStatus, words: str) -> None:
    await counter.add("kim01")
    await counter.log_in("kim01", code())
    await counter.db.run(users.set_status, "kim01", status)
    assert await counter.identities.get_identity("kim01") is None
    answer = await counter.log_in("kim01", code(1))
    assert (answer["outcome"], words in answer["message"]) == ("refused", True)
    assert await counter.identities.get_identity("nobody") is None


async def test_rights_and_projects_follow_the_directory(counter: Counter) -> None:
    await counter.add("boss", groups=("physics", "ai"))
    first = (await counter.log_in("boss", code()))["identity"]
    assert (first["is_admin"], list(first["projects"])) == (True, ["ai", "quarks"])

    def join_another(db: Any) -> None:
        user = db.scalars(select(models.User).where(models.User.name == "boss")).one()
        project = models.Project(id=models.new_id(), domain="default", name="by-hand")
        db.add(project)
        db.flush()
        db.add(models.ProjectMember(user_id=user.id, project_id=project.id))

    await counter.db.run(join_another)
    counter.directory.people["boss"] = Person("boss", groups=("ai",))
    second = (await counter.log_in("boss", code(1)))["identity"]
    assert list(second["projects"]) == ["ai", "by-hand"]
    assert second["access_key"] == first["access_key"]


async def test_the_same_person_twenty_times_at_once(database: Database) -> None:  # noqa: F811
    counter = Counter(database, otp_required=False)
    for number in range(20):
        await counter.add(f"user{number}", token=False)
    names = [f"user{number % 10}" for number in range(20)]
    answers = await asyncio.gather(*(counter.log_in(name) for name in names))
    assert [answer["outcome"] for answer in answers] == ["ok"] * 20
    assert (await counter.count(models.User), await counter.count(models.Keypair)) == (10, 10)
    assert (await counter.count(models.Domain), await counter.count(models.Project)) == (1, 1)


# -- enrolment


async def enrol(counter: Counter, name: str = "kim01", next_url: str = "/hub/token") -> tuple[str, bytes]:
    await counter.add(name, token=False)
    answer = await counter.log_in(name, next_url=next_url)
    assert (answer["outcome"], answer["step"]) == ("step", "enrol")
    shown = await counter.desk.show_step(answer["ticket"])
    assert shown["username"] == name
    assert shown["svg"].startswith("<svg")
    return answer["ticket"], base64.b32decode(shown["secret"])


def first_code(secret: bytes, ahead: int = 0) -> str:
    return otp.code_at(secret, otp.step_of(time.time()) + ahead)


async def test_enrolment(counter: Counter) -> None:
    ticket, secret = await enrol(counter)
    assert len(secret) == 20
    assert await counter.count(models.User) == 0
    rows = await counter.db.run(lambda db: list(db.scalars(select(models.LoginTicket))))
    assert ticket not in {rows[0].id, rows[0].payload}
    assert otp.format_secret(secret) not in rows[0].payload
    answer = await counter.desk.confirm_step(ticket, {"otp": first_code(secret)})
    assert (answer["outcome"], answer["step"]) == ("step", "recovery")
    codes = (await counter.desk.show_step(answer["ticket"]))["codes"]
    assert len(set(codes)) == 10
    answer = await counter.desk.confirm_step(answer["ticket"], {})
    assert (answer["outcome"], answer["next"], answer["identity"]["name"]) == ("ok", "/hub/token", "kim01")
    assert (await counter.log_in("kim01", first_code(secret)))["outcome"] == "refused"  # that code is used up
    assert (await counter.log_in("kim01", first_code(secret, 1)))["outcome"] == "ok"
    token = await counter.db.run(lambda db: db.scalars(select(models.OTPToken)).one())
    assert otp.format_secret(secret) not in token.secret


async def test_a_ticket_is_good_once(counter: Counter) -> None:
    ticket, secret = await enrol(counter)
    right = first_code(secret)
    answers = await asyncio.gather(*(counter.desk.confirm_step(ticket, {"otp": right}) for _ in range(8)), return_exceptions=True)
    assert [isinstance(answer, dict) for answer in answers].count(True) == 1
    assert all(isinstance(answer, (dict, NotFound)) for answer in answers)
    with pytest.raises(NotFound):
        await counter.desk.show_step(ticket)


async def test_tickets_that_are_none(counter: Counter) -> None:
    ticket, secret = await enrol(counter)
    for made_up in ("", "x", ticket[:-1], ticket + "x", "\x00"):
        with pytest.raises(NotFound):
            await counter.desk.show_step(made_up)
    row_id = await counter.db.run(lambda db: db.scalar(select(models.LoginTicket.id)))
    with pytest.raises(NotFound):  # what the database holds opens nothing
        await counter.desk.show_step(row_id)
    late = models.now() - timedelta(seconds=1)
    await counter.db.run(lambda db: db.execute(update(models.LoginTicket).values(expires_at=late)))
    with pytest.raises(NotFound):
        await counter.desk.confirm_step(ticket, {"otp": first_code(secret)})
    assert await counter.count(models.OTPToken) == 0


async def test_a_second_ticket_does_not_replace_the_token(counter: Counter) -> None:
    first, secret = await enrol(counter)
    second, other = await enrol(counter)
    assert (await counter.desk.confirm_step(first, {"otp": first_code(secret)}))["step"] == "recovery"
    with pytest.raises(Conflict):
        await counter.desk.confirm_step(second, {"otp": first_code(other)})
    assert (await counter.log_in("kim01", first_code(other)))["outcome"] == "refused"


async def test_wrong_first_codes_are_limited(counter: Counter) -> None:
    ticket, secret = await enrol(counter)
    for _ in range(10):
        answer = await counter.desk.confirm_step(ticket, {"otp": "12345"})
        assert (answer["outcome"], answer["message"]) == ("refused", login.WRONG_CODE)
    with pytest.raises(NotFound):
        await counter.desk.confirm_step(ticket, {"otp": first_code(secret)})


async def test_a_token_that_was_removed_is_set_up_again(counter: Counter) -> None:
    await counter.add("kim01")
    assert await counter.db.run(tokens.remove_token, "kim01")
    assert (await counter.log_in("kim01", code()))["outcome"] == "step"
