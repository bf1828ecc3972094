"""Tokens: the real registry, which sends its clients to a server of tokens (ours), as the large public ones do."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from tornado.testing import bind_unused_port

from jupyterhub_backendai.backends.registry import RegistryClient
from jupyterhub_backendai.errors import RegistryRefused
from tests.lab import REGISTRY_PROGRAM
from tests.pushing import Pusher, basic

pytestmark = pytest.mark.registry
LOGIN = ("kim01", "hush")


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens:
    """A server of tokens: everything of the catalog and of every repository for one person, nothing for others."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.scopes: list[str] = []
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        at = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        self.certificate = (
            builder.not_valid_before(at - timedelta(days=1)).not_valid_after(at + timedelta(days=1)).sign(self.key, hashes.SHA256())
        )

    def sign(self, access: list[dict]) -> str:
        chain = [base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()]
        head = encode(json.dumps({"typ": "JWT", "alg": "ES256", "x5c": chain}).encode())
        at = int(time.time())
        claims = {"iss": "tokens", "sub": "kim01", "aud": "lab", "exp": at + 300, "nbf": at - 10, "iat": at, "jti": "1", "access": access}
        text = f"{head}.{encode(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != basic(*LOGIN):
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        self.scopes += request.query.getall("scope", [])
        access = []
        for scope in request.query.getall("scope", []):
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return web.json_response({"token": self.sign(access), "expires_in": 300})


class TokenPusher(Pusher):
    """Pushes with a token for everything."""

    def __init__(self, url: str, tokens: Tokens) -> None:
        super().__init__(url, None)
        self.tokens = tokens

    async def push(self, repository: str, *arguments, **kwargs) -> str:
        access = [{"type": "repository", "name": f"{self.project}/{repository}", "actions": ["pull", "push"]}]
        self._http.headers["Authorization"] = f"Bearer {self.tokens.sign(access)}"
        return await super().push(repository, *arguments, **kwargs)


@pytest_asyncio.fixture
async def tokens():
    return Tokens()


@pytest_asyncio.fixture
async def url(tokens, tmp_path):
    """The registry's address; it and the server of tokens run."""
    app = web.Application()
    app.router.add_get("/token", tokens.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "tokens.pem").write_bytes(tokens.certificate.public_bytes(serialization.Encoding.PEM))
    socket, port = bind_unused_port()
    socket.close()
    realm = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    (tmp_path / "config.yml").write_text(
        f"""
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {tmp_path}/data}}}}
http: {{addr: "127.0.0.1:{port}", secret: test}}
auth: {{token: {{realm: "{realm}", service: lab, issuer: tokens, rootcertbundle: {tmp_path}/tokens.pem}}}}
"""
    )
    log = (tmp_path / "log").open("wb")
    process = await asyncio.create_subprocess_exec(REGISTRY_PROGRAM, "serve", tmp_path / "config.yml", stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    await wait_for(f"{url}/v2/")
    yield url
    process.terminate()
    await process.wait()
    log.close()
    await runner.cleanup()


async def wait_for(url: str) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(10):
        while True:
            try:
                async with http.get(url) as response:
                    assert response.status == 401
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)


async def test_a_token_for_each_scope(url, tokens):
    async with TokenPusher(url, tokens) as pusher:
        digest = await pusher.push("python", "3.12")
        repository = f"{pusher.project}/python"
        async with RegistryClient(url, user_name=LOGIN[0], password=LOGIN[1]) as client:
            await client.ping()
            assert (await client.list_repositories(())).names == (repository,)
            assert await client.list_tags(repository) == ["3.12"]
            assert await client.get_digest(repository, "3.12") == digest
            assert (await client.read_image(repository, "3.12")).digest == digest
    assert tokens.scopes == ["registry:catalog:*", f"repository:{repository}:pull"]


@pytest.mark.parametrize("login", [{}, {"user_name": "kim01", "password": "wrong"}])
async def test_without_the_password_there_is_no_token(url, tokens, login):
    async with RegistryClient(url, **login) as client:
        with pytest.raises(RegistryRefused, match="password"):
            await client.ping()
    assert tokens.scopes == []


async def test_a_list_of_many_pages(url, tokens, monkeypatch):
    monkeypatch.setattr("jupyterhub_backendai.backends.registry.PAGE_SIZE", 2)
    async with TokenPusher(url, tokens) as pusher:
        names = tuple([f"{pusher.project}/{name}" for name in "abcde" if await pusher.push(name)])
        async with RegistryClient(f"{url}/v2/", user_name=LOGIN[0], password=LOGIN[1]) as client:
            assert (await client.list_repositories(())).names == names
        monkeypatch.setattr("jupyterhub_backendai.backends.registry.MAX_PAGES", 2)
        async with RegistryClient(url, user_name=LOGIN[0], password=LOGIN[1]) as client:
            with pytest.raises(RegistryRefused):
                await client.list_repositories(())
