"""What cannot be, on the page and over REST: a clear message in the reader's language, the right status, and nothing started."""

from __future__ import annotations

import re
import sqlite3

import pytest
from bs4 import BeautifulSoup

from tests.e2e.marks import PLATFORM, needs_lab
from tests.e2e.stack import list_jobs, until, words

pytestmark = PLATFORM
HANGUL = re.compile("[가-힣]")
HUGE = "9" * 40
HOSTILE = "a\"; $(id) '`x`\n#SBATCH --uid=0\r\n<script>alert(1)</script>"
GOOD = {"queue": "interactive", "cpu": "1", "mem": "512m"}

# field, value, a part of the message in English
REFUSED = [
    ("queue", "nowhere", "no queue nowhere"),
    ("queue", "", "Choose a queue"),
    ("cpu", "3", "At most 2 CPUs"),
    ("cpu", "-1", "whole number"),
    ("cpu", "0", "whole number"),
    ("cpu", HUGE, "whole number"),
    ("cpu", "1e400", "whole number"),
    ("cpu", "٣", "whole number"),
    ("mem", "5g", "At most 4 GiB"),
    ("mem", "-5g", "memory as a number"),
    ("mem", f"{HUGE}t", "memory as a number"),
    ("gpu", "1", "At most 0 GPUs"),
    ("gpu", "-1", "whole number"),
    ("time", "5h", "At most 4:00"),
    ("time", "-60", "at least one minute"),
    ("time", f"{HUGE}h", "at least one minute"),
    ("environment", "nowhere", "no environment nowhere"),
    ("project", "prj001", "not a member of the project prj001"),  # a right, hence 403
    *[(field, HOSTILE, "") for field in ("queue", "environment", "interface", "project", "cpu", "mem", "gpu", "gpu_type", "time", "name")],
]


def rows(stack) -> list[tuple]:
    """The sessions that the platform knows, and what each still holds."""
    with sqlite3.connect(f"file:{stack.state}/backendai.sqlite?mode=ro", uri=True) as db:
        return db.execute("SELECT id, status, released_at FROM sessions ORDER BY id").fetchall()


async def start_nothing(user) -> bool:
    """Whether nothing of this person's runs, or is about to."""
    _, model = await user.stack.rest(user.program, "GET", f"/users/{user.name}")
    return not model["servers"]


def check_message(message: str, language: str, part: str) -> None:
    assert len(message) > 8, message
    assert "Traceback" not in message
    if language == "ko":
        assert HANGUL.search(message), message
    else:
        assert part in message
        assert not HANGUL.search(message), message


@pytest.mark.parametrize(("name", "language"), [("user1", "en"), ("user2", "ko")])
async def test_over_rest(local, people, name, language):
    user = await people(name, language)
    before = rows(local)
    for field, value, part in REFUSED:
        status, answer = await user.start(**{**GOOD, field: value})
        assert status == (403 if value == "prj001" else 400), (field, value, status, answer)
        check_message(answer["message"], language, part)
    for field, value in (("cpu", {"a": 1}), ("cpu", [1, 2]), ("mem", True), ("name", {}), ("queue", ["interactive", "gpu"]), ("queue", 7)):
        status, answer = await user.start(**{**GOOD, field: value})
        assert status == 400, (field, value, status, answer)
        check_message(answer["message"], language, "")
    assert rows(local) == before
    assert await start_nothing(user)


@pytest.mark.parametrize(("name", "language"), [("user1", "en"), ("user2", "ko")])
async def test_on_the_page(local, people, name, language):
    user = await people(name, language)
    before = rows(local)
    for field, value, part in REFUSED:
        page = await user.submit(**{**GOOD, field: value})
        assert page.status == (403 if value == "prj001" else 400), (field, value, page.status, words(page))
        assert page.url.endswith("/services/backendai/launch")
        soup = BeautifulSoup(page.text, "html.parser")
        check_message(" ".join(alert.get_text(" ") for alert in soup.select('[role="alert"], .alert-danger')), language, part)
        assert not soup.find("script", string=re.compile("alert"))
    assert rows(local) == before
    assert await start_nothing(user)


@pytest.mark.parametrize("body", [[], 7, "text", {"queue": {}}, {"user_options": "interactive"}, {"user_options": ["interactive"]}, {}])
async def test_what_is_no_request(local, people, body):
    user = await people("user1")
    before = rows(local)
    user.token = user.token or await user.take_token()
    status, answer = await local.rest(user.program, "POST", user.server_path(), body, user.token)
    assert (status, bool(answer["message"])) == (400, True), answer
    assert rows(local) == before
    assert await start_nothing(user)


async def test_several_faults_are_said_at_once(people):
    user = await people("user1")
    status, answer = await user.start(queue="interactive", cpu="7", mem="64g", time="9h", project="prj001")
    assert status == 403
    for part in ("At most 2 CPUs", "At most 4 GiB", "At most 4:00", "not a member"):
        assert part in answer["message"]


async def test_an_expired_token(local, people):
    user = await people("user1")
    token = await user.take_token(expires_in=1)

    async def is_over() -> bool:
        status, _ = await local.rest(user.program, "GET", "/user", token=token)
        return status != 200

    await until(is_over, 10, "the end of the token")
    status, answer = await local.rest(user.program, "POST", user.server_path(), GOOD, token)
    assert (status, bool(answer["message"])) == (403, True)
    async with user.program.get(f"{local.url}/services/backendai/rest/v1/queues", headers={"Authorization": f"token {token}"}) as response:
        assert response.status in {401, 403}
    assert await start_nothing(user)


async def test_somebody_elses_server(local, people):
    user = await people("user1")
    user.token = user.token or await user.take_token()
    status, answer = await local.rest(user.program, "POST", "/users/user2/server", GOOD, user.token)
    assert (status, bool(answer["message"])) == (404, True)


@needs_lab
@pytest.mark.parametrize(("language", "part"), [("en", "Unix account"), ("ko", "Unix 계정")])
async def test_without_a_unix_account(slurm, researchers, language, part):
    user = await researchers("guest01", language)
    page = await user.submit(queue="jupyter", cpu="1", mem="512m")
    assert (page.status, part in words(page)) == (403, True), words(page)
    status, answer = await user.start(queue="jupyter", cpu="1", mem="512m")
    assert (status, part in answer["message"]) == (403, True), answer
    assert await start_nothing(user)


@needs_lab
async def test_more_than_a_partition_has(slurm, researchers):
    user = await researchers("kim02")
    before = list_jobs(slurm)
    for field, value, part in (
        ("mem", "9000g", "At most 96 GiB"),
        ("cpu", "11", "At most 10 CPUs"),
        ("gpu", "3", "At most 2 GPUs"),
        ("time", "13h", "At most 12:00"),
        ("gpu_type", "h100", "no GPU of type h100"),
        ("project", "prj008", "not a member of the project prj008"),
    ):
        options = {"queue": "jupyter", "cpu": "1", "mem": "512m", "gpu": "1", field: value}
        expected = (403 if field == "project" else 400, True)
        status, answer = await user.start(**options)
        assert (status, part in answer["message"]) == expected, answer
        page = await user.submit(**options)
        assert (page.status, part in words(page)) == expected, words(page)
    assert list_jobs(slurm) == before
    assert await start_nothing(user)
