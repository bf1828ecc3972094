"""Batch sessions on the real engines: started from the page and over REST, followed, ended, and what is killed meanwhile."""

from __future__ import annotations

import json
import pwd
from pathlib import Path

from tests.e2e.marks import PLATFORM, needs_lab
from tests.e2e.stack import until, words

pytestmark = PLATFORM
OVER = {"TERMINATED", "CANCELLED", "ERROR"}


async def ask(user, method: str, path: str, body=None):
    """(status, answer) of our REST, with the person's own token."""
    user.token = user.token or await user.take_token()
    url = f"{user.stack.url}/services/backendai/rest/v1/{path}"
    async with user.program.request(method, url, json=body, headers={"Authorization": f"token {user.token}"}) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if "json" in answer.headers["Content-Type"] else text


async def start(user, command: str, **fields):
    status, session = await ask(user, "POST", "sessions", {"command": command, "cpu": 1, "mem": "512m", **fields})
    assert status == 201, session
    return session["id"]


async def find(user, session_id: str, *statuses: str):
    _, session = await ask(user, "GET", f"sessions/{session_id}")
    return session if session.get("status") in statuses else None


async def until_over(user, session_id: str, timeout: float = 60):
    return await until(lambda: find(user, session_id, *OVER), timeout, f"the end of {session_id}")


async def test_commands_typed_on_the_launch_page_run_to_their_end(people):
    user = await people("user1")
    page = await user.submit(queue="compute", session_type="batch", command="echo 안녕 $((6 * 7))\r\npwd", name="연습")
    assert "/services/backendai/sessions/" in page.url, words(page)
    session_id = page.url.rpartition("/")[2]
    session = await until_over(user, session_id)
    assert (session["status"], session["exit_code"], session["name"]) == ("TERMINATED", 0, "연습")
    _, log = await ask(user, "GET", f"sessions/{session_id}/log")
    first, second = log.splitlines()
    assert (first, second.endswith("/workspace")) == ("안녕 42", True)
    page = await user.get(page.url)
    assert "안녕 42" in page.text
    assert "연습" in words(await user.get(f"{user.stack.url}/services/backendai/summary"))
    other = await people("user2")
    assert (await other.get(page.url)).status == 404
    assert (await ask(other, "GET", f"sessions/{session_id}/log"))[0] == 404
    page = await user.get(f"{user.stack.url}/services/backendai/launch?again={session_id}")
    assert "echo 안녕 $((6 * 7))" in page.text


async def test_it_lives_through_the_deaths_of_service_and_hub(local, people):
    user = await people("user1")
    session_id = await start(user, "echo begun; until [ -e go ]; do sleep 0.1; done; rm go; echo done; exit 3", queue="compute")
    await until(lambda: find(user, session_id, "RUNNING"), 30, "its start")
    after = await start(user, "true", queue="compute", depends_on=session_id)
    local.kill_service()
    local.kill_hub()
    local.restart_hub()
    user.token = ""
    session = await find(user, session_id, "RUNNING")
    assert session
    status, _ = await ask(user, "POST", "sessions", {"command": "touch go", "queue": "compute", "cpu": 1, "mem": "512m"})
    assert status == 201
    session = await until_over(user, session_id)
    assert (session["status"], session["exit_code"]) == ("ERROR", 3)
    assert (await ask(user, "GET", f"sessions/{session_id}/log"))[1] == "begun\ndone\n"
    await until(lambda: is_waiting_in_vain(user, after), 20, "the word of the failure")
    assert (await ask(user, "DELETE", f"sessions/{after}"))[0] == 202
    assert (await find(user, after, "CANCELLED"))["exit_code"] is None


async def is_waiting_in_vain(user, session_id: str) -> bool:
    _, session = await ask(user, "GET", f"sessions/{session_id}")
    return "will never start" in session["waiting"]["reason"]


async def test_ended_while_it_runs_with_all_that_it_started(people):
    user = await people("user1")
    session_id = await start(user, "(setsid sleep 604801 &); sleep 604802 & echo begun; wait", queue="compute")
    await until(lambda: find(user, session_id, "RUNNING"), 30, "its start")
    assert (await ask(user, "DELETE", f"sessions/{session_id}"))[0] == 202
    session = await until_over(user, session_id)
    assert (session["status"], session["reason"]) == ("CANCELLED", "You ended it.")
    assert not any(b"sleep\x0060480" in line for line in processes())


def processes():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


@needs_lab
async def test_on_slurm_it_is_the_users_own_job(researchers):
    user = await researchers("kim01")
    first = await start(user, 'id -u; echo "$SLURM_JOB_PARTITION"; pwd; exit 4', queue="jupyter", name="prepare")
    held = await start(user, "true", queue="jupyter", depends_on="prepare")
    session = await until_over(user, first)
    assert (session["status"], session["exit_code"], session["reason"]) == ("ERROR", 4, "The commands ended with an error.")
    _, log = await ask(user, "GET", f"sessions/{first}/log")
    assert log.splitlines()[:2] == [str(pwd.getpwnam("kim01").pw_uid), "jupyter"]
    await until(lambda: is_waiting_in_vain(user, held), 20, "the word of the failure")
    running = await start(user, "echo begun; sleep 300", queue="jupyter")
    await until(lambda: find(user, running, "RUNNING"), 40, "its start")
    assert (await ask(user, "DELETE", f"sessions/{running}"))[0] == 202
    session = await until_over(user, running)
    assert (session["status"], session["reason"]) == ("CANCELLED", "You ended it.")
    assert (await ask(user, "DELETE", f"sessions/{held}"))[0] == 202
