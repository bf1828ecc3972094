"""Sessions in containers of a real engine: as the person's own uid, with the limits that were admitted, and ended for real."""

from __future__ import annotations

import pwd
import secrets
from collections.abc import AsyncIterator, Iterator

import docker
import pytest
import pytest_asyncio

from tests import lab
from tests.e2e.browsing import chromium, visit
from tests.e2e.conftest import QUICK
from tests.e2e.folders import live_with_a_folder
from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import Client, Stack, check, running, until

pytestmark = [*PLATFORM, *LAB, pytest.mark.docker, pytest.mark.browser]
GIB = 1024**3
ASK = {"queue": "containers", "cpu": "1", "mem": str(GIB), "time": "1800"}


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with running("lab", QUICK, lambda: request.session.testsfailed, docker=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(f"unix://{lab.DOCKER_SOCKET}", timeout=30)
    yield client
    client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kim(stack: Stack) -> AsyncIterator[Client]:
    async with stack.client("kim01") as client:
        await client.enter()
        yield client
        await client.end_all()


def list_containers(engine: docker.APIClient, stack: Stack) -> list[dict]:
    return engine.containers(all=True, filters={"label": [f"backendai.hub=backendai-{stack.name}"]})


async def test_a_cell_runs_in_a_container_of_the_persons_own(stack, kim, engine):
    status, answer = await kim.start("", **ASK)
    assert status in (201, 202), answer
    await kim.until_ready("", 120)
    [container] = list_containers(engine, stack)
    found = engine.inspect_container(container["Id"])
    account = pwd.getpwnam("kim01")
    assert found["Config"]["User"] == f"{account.pw_uid}:{account.pw_gid}"
    limits = found["HostConfig"]
    assert (limits["Memory"], limits["MemorySwap"], limits["PidsLimit"], limits["CapDrop"]) == (GIB, GIB, 4096, ["ALL"])
    async with kim.kernel() as socket:
        code = "import os; print('here', os.getuid(), os.getcwd(), os.cpu_count() > 0)"
        assert await check.execute(socket, code, f"here {account.pw_uid} /home/work True")
    await kim.stop("")
    await kim.until_stopped("")
    assert list_containers(engine, stack) == []


async def test_a_killed_hub_finds_its_containers_again_and_says_why_one_ends(stack, kim, engine):
    await kim.start("", **ASK)
    await kim.until_ready("", 120)
    stack.kill_hub()
    stack.restart_hub()
    await kim.until_ready("", 60)
    [container] = list_containers(engine, stack)
    assert container["State"] == "running"
    engine.kill(container["Id"])
    await kim.until_stopped("")

    async def is_cleared() -> bool:
        return not list_containers(engine, stack)

    await until(is_cleared, 20, "the removal of the container")
    page = await kim.get(f"{stack.url}/services/backendai/sessions")
    assert "137" in page.text or "exit code" in page.text


async def folder_rest(kim: Client, method: str, path: str, body=None):
    """(status, answer) of a call of the service's REST about folders."""
    kim.token = kim.token or await kim.take_token()
    url = f"{kim.stack.url}/services/backendai/rest/v1/{path}"
    async with kim.program.request(method, url, json=body, headers={"Authorization": f"token {kim.token}"}) as answer:
        return answer.status, await answer.json(content_type=None) if answer.status != 204 else None


WRITE = """
import os, pathlib
def attempt(path):
    try:
        pathlib.Path(path).write_text("from the container")
        return "written"
    except OSError as exc:
        return type(exc).__name__ + str(exc.errno)
print("seen", attempt("한글/새 파일"), attempt("read/x"), attempt("part/deep"), os.path.islink("part"), attempt(".local/own"))
"""


async def test_folders_are_bind_mounts_whose_mode_the_kernel_enforces(stack, kim, engine):
    ids, mark = {}, secrets.token_hex(4)  # a second try meets the folders of the first
    for name in ("data", "read", "whole"):
        status, answer = await folder_rest(kim, "POST", "folders", {"name": f"{name}-{mark}"})
        assert status == 201, answer
        ids[name] = answer["id"]
    status, answer = await folder_rest(kim, "POST", f"folders/{ids['whole']}/files/mkdir", {"path": "안/쪽"})
    assert status in (200, 201), answer
    status, answer = await folder_rest(kim, "POST", "folders", {"name": ".local", "project": "prj001"})
    assert status in (201, 409), answer  # a second try finds it
    status, answer = await kim.start("", **ASK, mounts=f"data-{mark}:한글,read-{mark}:read:ro,whole-{mark}/안/쪽:part")
    assert status in (201, 202), answer
    await kim.until_ready("", 120)
    async with kim.kernel() as socket:
        assert await check.execute(socket, WRITE, "seen written OSError30 written True written")
    await kim.stop("")
    await kim.until_stopped("")
    status, answer = await folder_rest(kim, "GET", f"folders/{ids['data']}/files")
    assert (status, sorted(entry["name"] for entry in answer["entries"])) == (200, ["새 파일"]), answer
    status, answer = await folder_rest(kim, "GET", f"folders/{ids['whole']}/files?path=안/쪽")
    assert [entry["name"] for entry in answer["entries"]] == ["deep"], answer


async def test_what_is_in_a_folder_outlives_the_container(stack, tmp_path):
    async with chromium() as browser, visit(browser, stack) as visitor:
        await visitor.log_in("kim02")
        await live_with_a_folder(visitor, tmp_path, "containers", is_link=False)
