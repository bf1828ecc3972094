"""The client against a real registry (basic login, and tokens of a server of our own), and against servers that misbehave."""

from __future__ import annotations

import pytest
import pytest_asyncio
from aiohttp import web

from jupyterhub_backendai.backends.registry import Catalog, RegistryClient
from jupyterhub_backendai.core.addresses import AddressRules, parse_networks
from jupyterhub_backendai.errors import AddressRefused, NotFound, RegistryRefused, RegistryUnavailable
from tests.lab import REGISTRY_LOGIN, REGISTRY_URL
from tests.pushing import DOCKER, DOCKER_LIST, KERNEL, Pusher, basic

USER, PASSWORD = REGISTRY_LOGIN


@pytest_asyncio.fixture
async def pusher():
    async with Pusher() as pusher:
        yield pusher


@pytest.mark.registry
@pytest.mark.parametrize(("kind", "list_kind"), [(None, None), (DOCKER, DOCKER_LIST)])
async def test_what_a_registry_has(pusher, kind, list_kind):
    kinds = {"kind": kind} if kind else {}
    plain = await pusher.push("python", "3.12", {**KERNEL, "ai.backend.resource.min.cpu": "2", "maintainer": "kim01"}, **kinds)
    parts = {name: await pusher.push("many", f"1-{name}", architecture=name, **kinds) for name in ("arm64", "amd64")}
    index = await pusher.push_index("many", "1", parts, *([list_kind] if list_kind else []))
    async with RegistryClient(REGISTRY_URL, user_name=USER, password=PASSWORD) as client:
        await client.ping()
        assert (await client.list_repositories((pusher.project,))).names == (f"{pusher.project}/many", f"{pusher.project}/python")
        assert sorted(await client.list_tags(f"{pusher.project}/many")) == ["1", "1-amd64", "1-arm64"]
        assert await client.get_digest(f"{pusher.project}/python", "3.12") == plain
        image = await client.read_image(f"{pusher.project}/python", "3.12")
        assert (image.digest, image.architectures, image.size_bytes > 100) == (plain, ("x86_64",), True)
        assert image.labels == {"ai.backend.kernelspec": "1", "ai.backend.resource.min.cpu": "2"}
        many = await client.read_image(f"{pusher.project}/many", "1")
        assert (many.digest, many.architectures) == (index, ("x86_64", "aarch64"))
        with pytest.raises(NotFound):
            await client.read_image(f"{pusher.project}/python", "none")
        assert await client.list_tags(f"{pusher.project}/nothing") == []
        await pusher.delete("python", plain)
        assert await client.list_tags(f"{pusher.project}/python") == []


@pytest.mark.registry
@pytest.mark.parametrize("login", [{}, {"user_name": USER, "password": "wrong"}])
async def test_who_does_not_know_the_password_is_told_so(login):
    async with RegistryClient(REGISTRY_URL, **login) as client:
        with pytest.raises(RegistryRefused, match="user name"):
            await client.ping()


class Bad:
    """A server that answers as a test says."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, web.StreamResponse | dict] = {}
        self.asked: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Authorization", "")))
        kwargs = self.answers.get(request.path, {"status": 404})
        return web.Response(**kwargs)


@pytest_asyncio.fixture
async def bad():
    server = Bad()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_a_token_is_fetched_once_for_a_scope_and_used(bad):
    realm = f'Bearer realm="{bad.url}/token",service="lab",scope="registry:catalog:*"'
    bad.answers = {"/v2/": {"status": 401, "headers": {"WWW-Authenticate": realm}}, "/token": {"text": '{"access_token": "abc"}'}}
    async with RegistryClient(bad.url, user_name="robot", password="secret") as client:
        with pytest.raises(RegistryRefused):
            await client.ping()
    assert [path for path, _ in bad.asked] == ["/v2/", "/token", "/v2/"]
    assert bad.asked[1][1].startswith("Basic ")
    assert bad.asked[2][1] == "Bearer abc"


@pytest.mark.parametrize(
    "realm",
    ["http://169.254.169.254/token", "https://10.0.0.1/", "http://example.org/token", "file:///etc/passwd", "https://[::ffff:10.1.1.1]/"],
)
async def test_a_realm_elsewhere_is_not_followed_into_the_site(bad, realm):
    bad.answers = {"/v2/": {"status": 401, "headers": {"WWW-Authenticate": f'Bearer realm="{realm}"'}}}
    async with RegistryClient(bad.url, user_name="robot", password="secret") as client:
        with pytest.raises(AddressRefused):
            await client.ping()


async def test_a_redirect_is_checked_and_takes_no_password_along(bad):
    other = bad.url.replace("127.0.0.1", "localhost")
    bad.answers = {
        "/v2/": {"status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}},
        "/v2/_catalog": {"status": 307, "headers": {"Location": f"{other}/elsewhere"}},
        "/elsewhere": {"text": '{"repositories": ["a", "../b", "C", 7]}'},
        "/v2/b/tags/list": {"status": 307, "headers": {"Location": "https://192.168.1.1/"}},
        "/v2/c/tags/list": {"status": 307, "headers": {"Location": "/v2/c/tags/list"}},
    }
    async with RegistryClient(bad.url, user_name="robot", password="secret") as client:
        with pytest.raises(RegistryRefused):
            await client.ping()
        assert (await client.list_repositories(())).names == ("a",)
        assert [login[:5] for path, login in bad.asked if path in ("/v2/_catalog", "/elsewhere")] == ["Basic", ""]
        with pytest.raises(AddressRefused):
            await client.list_tags("b")
        with pytest.raises(RegistryRefused, match="one address to the next"):
            await client.list_tags("c")


@pytest.mark.parametrize(
    ("path", "answer", "error"),
    [
        ("/v2/_catalog", {"text": "<html>"}, RegistryRefused),
        ("/v2/_catalog", {"text": '{"repositories": 7}'}, RegistryRefused),
        ("/v2/_catalog", {"text": "[" * 100_000}, RegistryRefused),
        ("/v2/_catalog", {"body": b"x" * (9 * 2**20)}, RegistryRefused),
        ("/v2/_catalog", {"status": 500}, RegistryUnavailable),
        ("/v2/_catalog", {"status": 429}, RegistryUnavailable),
        ("/v2/_catalog", {"status": 403}, RegistryRefused),
        ("/v2/_catalog", {"text": '{"repositories": []}', "headers": {"Link": '<https://evil.example/v2/_catalog?last=x>; rel="next"'}}, None),
    ],
)  # fmt: skip
async def test_a_registry_that_talks_nonsense(bad, path, answer, error):
    bad.answers = {path: answer}
    async with RegistryClient(bad.url) as client:
        if error is None:
            assert (await client.list_repositories(())).names == ()
            assert {asked for asked, _ in bad.asked} == {path}
            return
        with pytest.raises(error):
            await client.list_repositories(())


async def test_a_catalog_that_is_closed_leaves_the_projects_that_were_named(bad):
    bad.answers = {"/v2/_catalog": {"status": 403}}
    async with RegistryClient(bad.url) as client:
        assert await client.list_repositories(("library/python",)) == Catalog(("library/python",), is_complete=False)


@pytest.mark.parametrize(("projects", "path"), [(("lab", "lab/sub"), "projects/lab/repositories"), ((), "repositories")])
async def test_harbor_lists_by_project(bad, monkeypatch, projects, path):
    monkeypatch.setattr("jupyterhub_backendai.backends.registry.HARBOR_PAGE", 3)
    bad.answers = {f"/api/v2.0/{path}": {"text": '[{"name": "lab/python"}, {"name": "lab/sub/r"}]'}}
    async with RegistryClient(bad.url, kind="harbor2", user_name="robot$lab", password="secret") as client:
        assert (await client.list_repositories(projects)).names == ("lab/python", "lab/sub/r")
        assert bad.asked[0] == (f"/api/v2.0/{path}", basic("robot$lab", "secret"))
        bad.answers = {}
        with pytest.raises(RegistryRefused):
            await client.list_repositories(())
        bad.answers = {"/api/v2.0/repositories": {"text": '{"errors": []}'}}
        with pytest.raises(RegistryRefused):
            await client.list_repositories(())


async def test_bytes_that_are_not_those_of_the_digest_are_refused(bad):
    digest = "sha256:" + "0" * 64
    manifest = f'{{"schemaVersion": 2, "config": {{"digest": "{digest}", "size": 2}}, "layers": []}}'
    bad.answers = {"/v2/a/manifests/1": {"text": manifest}, f"/v2/a/blobs/{digest}": {"text": '{"architecture": "amd64"}'}}
    async with RegistryClient(bad.url) as client:
        with pytest.raises(RegistryRefused):
            await client.read_image("a", "1")


async def test_nobody_answers():
    async with RegistryClient("http://127.0.0.1:1") as client:
        with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:1"):
            await client.ping()


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "127.1", "10.0.0.1", "[fec0::1]", "[::127.0.0.1]", "①②⑦.0.0.1"])
async def test_an_odd_way_to_write_an_address_leads_nowhere(host):
    async with RegistryClient(f"https://{host}:5055") as client:
        with pytest.raises(AddressRefused):
            await client.ping()


async def test_a_site_opens_its_own_network_and_closes_another(bad):
    port = bad.url.rpartition(":")[2]
    elsewhere = f"https://127.0.0.1:{port}/elsewhere"
    bad.answers = {"/v2/": {"status": 307, "headers": {"Location": elsewhere}}}
    async with RegistryClient(bad.url) as client:
        with pytest.raises(RegistryUnavailable):  # it was connected to, and speaks no TLS
            await client.ping()
    async with RegistryClient(bad.url, rules=AddressRules(denied=parse_networks(["127.0.0.0/8"]))) as client:
        with pytest.raises(AddressRefused):
            await client.ping()
