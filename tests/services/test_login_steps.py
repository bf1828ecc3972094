"""The steps between a password and being logged in, on both databases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.identity import PasswordCheck, Person
from jupyterhub_backendai.errors import InvalidParameters, NotFound
from jupyterhub_backendai.identity.factors import FactorAnswer, FactorQuestion
from jupyterhub_backendai.services import login
from jupyterhub_backendai.store import models, notes, recovery
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures

from .desk import PASSWORD, Counter, code

NEW = "a long new password"


@pytest_asyncio.fixture
async def counter(database: Database) -> AsyncIterator[Counter]:  # noqa: F811
    yield Counter(database)


@pytest_asyncio.fixture
async def two_step(database: Database) -> AsyncIterator[Counter]:  # noqa: F811
    yield Counter(database, otp_form="two-step")


async def enrol(counter: Counter, name: str = "kim01") -> list[str]:
    """A first login to its end; the recovery codes."""
    answer = await counter.log_in(name)
    secret = otp.parse_secret((await counter.show(answer))["secret"])
    answer = await counter.go_on(answer, otp=otp.code_at(secret, otp.step_of(time.time())))
    codes = (await counter.show(answer))["codes"]
    assert (await counter.go_on(answer))["outcome"] == "ok"
    return codes


# -- the two-step form


async def test_two_steps(two_step: Counter) -> None:
    await two_step.add("kim01")
    answer = await two_step.log_in("kim01", next_url="/hub/token")
    assert (answer["outcome"], answer["step"]) == ("step", "code")
    assert await two_step.show(answer) == {"step": "code", "username": "kim01", "message": "", "has_recovery": True}
    answer = await two_step.go_on(answer, otp=code())
    assert (answer["outcome"], answer["next"]) == ("ok", "/hub/token")


async def test_two_steps_do_not_say_which_was_wrong(two_step: Counter) -> None:
    await two_step.add("kim01")
    await two_step.add("lee01", token=False)
    seen = set()
    for name, password, typed in [
        ("kim01", PASSWORD, "000000"),
        ("kim01", "wrong", code()),
        ("nobody", PASSWORD, code()),
        ("lee01", "wrong", ""),
        ("kim01", "wrong", "AAAAA-BBBBB"),
        ("kim01", PASSWORD, "AAAAA-BBBBB"),
        ("\u202e", PASSWORD, ""),
    ]:
        answer = await two_step.log_in(name, password=password)
        shown = await two_step.show(answer)
        refused = await two_step.go_on(answer, otp=typed)
        seen.add((answer["step"], tuple(sorted(shown)), shown["message"], tuple(sorted(refused)), refused["message"], refused["over"]))
        await two_step.forgive()
    assert len(seen) == 1
    assert (await two_step.go_on(await two_step.log_in("kim01"), otp=code()))["outcome"] == "ok"


async def test_codes_on_a_ticket_are_throttled_like_passwords(two_step: Counter) -> None:
    await two_step.add("kim01")
    answer = await two_step.log_in("kim01")
    tries = await asyncio.gather(*(two_step.go_on(answer, otp="000000") for _ in range(9)))
    assert sum("throttled" not in refused for refused in tries) <= 3
    await two_step.forgive()
    assert (await two_step.go_on(answer, otp=code()))["outcome"] == "ok"


async def test_a_ticket_of_a_wrong_password_ends(two_step: Counter) -> None:
    await two_step.add("kim01")
    answer = await two_step.log_in("kim01", password="wrong")
    for _ in range(10):
        await two_step.forgive()
        refused = await two_step.go_on(answer, otp=code())
    assert refused["over"]
    with pytest.raises(NotFound):
        await two_step.go_on(answer, otp=code())


async def test_a_form_that_is_none(database: Database) -> None:  # noqa: F811
    with pytest.raises(InvalidParameters):
        Counter(database, otp_form="three-step")


# -- a new password


@pytest.mark.parametrize("reason", ["must-change", "grace", "expired"])
async def test_a_new_password_first(counter: Counter, reason: str) -> None:
    await counter.add("jang05")
    counter.directory.reasons["jang05"] = reason
    assert (await counter.log_in("jang05", "000000"))["message"] == login.REFUSED  # the code comes before
    answer = await counter.log_in("jang05", code(), next_url="/hub/token")
    assert (answer["outcome"], answer["step"]) == ("step", "password")
    shown = await counter.show(answer)
    assert (shown["reason"], shown["may_wait"], shown["asks_code"]) == (reason, reason == "grace", False)
    for fields, message in [
        ({"old": PASSWORD, "new": "short", "again": "short"}, "The new password is too short."),
        ({"old": PASSWORD, "new": NEW, "again": "other"}, "The new password was not typed the same twice."),
        ({"old": "wrong", "new": NEW, "again": NEW}, "The current password is not right."),
        ({"later": "1"} if reason != "grace" else {}, "Type the current password and the new one."),
    ]:
        refused = await counter.go_on(answer, **fields)
        assert (refused["outcome"], refused["message"], refused["over"]) == ("refused", message, False)
    assert (await counter.go_on(answer, old=PASSWORD, new="short", again="short"))["said"] == "Password fails quality checking policy"
    answer = await counter.go_on(answer, old=PASSWORD, new=NEW, again=NEW)
    assert (answer["outcome"], answer["next"]) == ("ok", "/hub/token")
    assert counter.directory.changed == [("jang05", PASSWORD, NEW)]
    kept = await counter.db.run(lambda db: [str(vars(row)) for row in db.scalars(select(models.AuditEntry))])
    assert not [row for row in kept if NEW in row or PASSWORD + "'" in row]


async def test_a_grace_login_may_wait(counter: Counter) -> None:
    await counter.add("yoon05")
    counter.directory.reasons["yoon05"] = "grace"
    answer = await counter.go_on(await counter.log_in("yoon05", code()), later="1")
    assert answer["outcome"] == "ok"
    assert counter.directory.changed == []


async def test_a_local_persons_new_password_is_kept(counter: Counter) -> None:
    from jupyterhub_backendai.identity.local import hash_password, verify
    from jupyterhub_backendai.store import users

    await counter.add("jang05")
    await counter.db.run(users.set_local_account, "jang05", hash_password(PASSWORD))
    counter.directory.reasons["jang05"] = "must-change"
    answer = await counter.log_in("jang05", code())
    assert (await counter.go_on(answer, old=PASSWORD, new=NEW, again=NEW))["outcome"] == "ok"
    account = await counter.db.run(users.get_local_account, "jang05")
    assert verify(account.password_hash, NEW)


# -- recovery codes


async def test_each_recovery_code_is_good_once(counter: Counter) -> None:
    await counter.add("kim01", token=False)
    codes = await enrol(counter)
    kept = await counter.db.run(lambda db: [row.hash + row.salt for row in db.scalars(select(models.RecoveryCode))])
    assert len(kept) == 10
    assert not [one for one in codes if one in "".join(kept)]
    answers = await asyncio.gather(*(counter.log_in("kim01", codes[0], source=f"10.{n}.0.1") for n in range(3)))
    told = [answer for answer in answers if answer["outcome"] == "step"]
    assert [answer["step"] for answer in told] == ["notes"]
    note = (await counter.show(told[0]))["notes"][0]
    assert note["params"] == {"count": 9}
    assert (await counter.go_on(told[0]))["outcome"] == "ok"
    typed = codes[1].lower().replace("-", " ")
    assert (await counter.log_in("kim01", typed, password="wrong"))["outcome"] == "refused"  # uses nothing up
    assert (await counter.log_in("kim01", typed))["step"] == "notes"
    assert await counter.db.run(recovery.count_codes, "kim01") == 8
    assert "wrong-recovery-code" in await counter.reasons()


async def test_who_leaves_before_the_codes_are_kept_has_a_token_all_the_same(counter: Counter) -> None:
    await counter.add("kim01", token=False)
    answer = await counter.log_in("kim01")
    secret = otp.parse_secret((await counter.show(answer))["secret"])
    await counter.go_on(answer, otp=otp.code_at(secret, otp.step_of(time.time())))
    answer = await counter.log_in("kim01", otp.code_at(secret, otp.step_of(time.time()) + 1))
    assert answer["outcome"] == "ok"


# -- notes


async def test_what_is_to_be_told_is_told_once(counter: Counter) -> None:
    await counter.add("kim01")
    assert await counter.db.run(lambda db: tokens.reset(db, "kim01", actor="root", source="10.0.0.9", at=models.now()))
    answer = await counter.log_in("kim01")
    assert answer["step"] == "enrol"
    secret = otp.parse_secret((await counter.show(answer))["secret"])
    answer = await counter.go_on(answer, otp=otp.code_at(secret, otp.step_of(time.time())))
    answer = await counter.go_on(answer)
    assert answer["step"] == "notes"
    told = (await counter.show(answer))["notes"]
    assert [note["message"] for note in told] == [tokens.RESET]
    assert (await counter.go_on(answer))["outcome"] == "ok"
    assert await counter.db.run(notes.list_notes, "kim01") == []


async def test_a_password_that_ends_soon_is_said(counter: Counter) -> None:
    await counter.add("kim01")

    async def check(name: str, password: str, account: object = None) -> PasswordCheck:
        return PasswordCheck(Person(name), expires_in_s=3 * 86400 - 60)

    counter.directory.check = check
    answer = await counter.log_in("kim01", code())
    assert (await counter.show(answer))["notes"][0]["params"] == {"days": 3}
    assert (await counter.go_on(answer))["outcome"] == "ok"


# -- from when


@pytest.mark.parametrize(
    ("rules", "step", "may_wait"),
    [
        ([{"from": "2020-01-01"}], "enrol", False),
        ([{"from": "2999-01-01"}], "enrol", True),
        ([{"from": "2020-01-01", "project": "ai"}], "enrol", False),
        ([{"from": "2020-01-01", "project": "hpc"}], "", False),
        ([{"from": "2020-01-01", "role": "superadmin"}, {"from": "2999-01-01T09:00:00+09:00", "domain": "default"}], "enrol", True),
        ([{"from": "2020-01-01", "domain": "elsewhere"}], "", False),
    ],
)
async def test_enrolment_is_forced_from_a_day(database: Database, rules: list, step: str, may_wait: bool) -> None:  # noqa: F811
    counter = Counter(database, otp_forced_from=rules, project_groups={"ai": "ai"})
    await counter.add("kim01", token=False, groups=("ai",))
    answer = await counter.log_in("kim01")
    assert answer.get("step", "") == step
    if step:
        assert bool((await counter.show(answer))["until"]) is may_wait
        later = await counter.go_on(answer, later="1")
        assert later["outcome"] == ("ok" if may_wait else "refused")
    await counter.add("lee01", groups=("ai",))  # who has one is asked, whatever the day
    assert (await counter.log_in("lee01"))["outcome"] == "refused"
    assert (await counter.log_in("lee01", code()))["outcome"] == "ok"


async def test_enrolment_is_forced_by_what_an_administrator_gave(database: Database) -> None:  # noqa: F811
    counter = Counter(database, otp_forced_from=[{"from": "2020-01-01", "project": "by-hand"}, {"from": "2020-01-01", "domain": "moved"}])
    for name in ("kim01", "lee01"):
        await counter.add(name, token=False)
        assert (await counter.log_in(name))["outcome"] == "ok"

    def give(db: Any) -> None:
        kim, lee = (db.scalars(select(models.User).where(models.User.name == name)).one() for name in ("kim01", "lee01"))
        project = models.Project(id=models.new_id(), domain="default", name="by-hand")
        db.add_all([project, models.Domain(name="moved")])
        db.flush()
        db.add(models.ProjectMember(user_id=kim.id, project_id=project.id))
        lee.domain = "moved"

    await counter.db.run(give)
    for name in ("kim01", "lee01"):
        assert (await counter.log_in(name))["step"] == "enrol"


# -- somebody else who knows the codes


class Asking:
    """A server that asks for a code, then for a second one."""

    joins_password = wants_password = False
    asks_first = True

    def __init__(self) -> None:
        self.asked: list[FactorQuestion] = []

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        self.asked.append(question)
        match question.state, question.code:
            case "", "":
                return FactorAnswer("challenge", message="Type the number that was sent.", state="one")
            case "one", "111":
                return FactorAnswer("challenge", message="And the next.", state="two")
            case "two", "222":
                return FactorAnswer("ok")
        return FactorAnswer("refused", "wrong-code")

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_challenge_goes_on_until_the_server_is_content(database: Database) -> None:  # noqa: F811
    factor = Asking()
    counter = Counter(database, factor, otp_backend="radius")
    await counter.add("kim01", token=False)
    assert (await counter.log_in("kim01", password="wrong"))["outcome"] == "refused"
    assert factor.asked == []
    answer = await counter.log_in("kim01")
    assert await counter.show(answer) == {
        "step": "code",
        "username": "kim01",
        "message": "Type the number that was sent.",
        "has_recovery": False,
    }
    refused = await counter.go_on(answer, otp="999")
    assert (refused["message"], refused["over"]) == (login.REFUSED, True)  # a server asks once
    answer = await counter.log_in("kim01")
    second = await counter.go_on(answer, otp="111")
    assert (await counter.show(second))["message"] == "And the next."
    with pytest.raises(NotFound):  # the first page is over
        await counter.go_on(answer, otp="111")
    assert (await counter.go_on(second, otp="222"))["outcome"] == "ok"


# -- tickets


async def test_a_step_is_done_once(counter: Counter) -> None:
    await counter.add("yoon05")
    counter.directory.reasons["yoon05"] = "grace"
    answer = await counter.log_in("yoon05", code())
    done = await asyncio.gather(*(counter.go_on(answer, later="1") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, dict) and one["outcome"] == "ok" for one in done) == 1
    assert all(isinstance(one, dict | NotFound) for one in done)


async def test_old_tickets_open_nothing(counter: Counter) -> None:
    await counter.add("yoon05")
    counter.directory.reasons["yoon05"] = "grace"
    answer = await counter.log_in("yoon05", code())

    def age(db) -> None:
        for row in db.scalars(select(models.LoginTicket)):
            row.expires_at = models.now() - timedelta(seconds=1)

    await counter.db.run(age)
    with pytest.raises(NotFound):
        await counter.go_on(answer, later="1")


# -- nothing is learnt from the time taken


async def test_every_refusal_takes_the_same_time(database: Database) -> None:  # noqa: F811
    counter = Counter(database, login_pace_s=0.4)
    await counter.add("kim01")
    await counter.add("lee01", token=False)

    async def take(name: str, password: str, typed: str) -> float:
        started = time.monotonic()
        assert (await counter.log_in(name, typed, password, source=f"10.1.{len(name + password + typed)}.1"))["outcome"] == "refused"
        return time.monotonic() - started

    cases = [("nobody", PASSWORD, ""), ("kim01", "wrong", "000000"), ("kim01", PASSWORD, "000000"), ("kim01", PASSWORD, "AAAAA-BBBBB")]
    taken = [await take(*case) for case in cases]
    late = [seconds % 0.4 for seconds in taken]
    assert max(late) < 0.2, taken
    assert await counter.count(models.User) == 0
