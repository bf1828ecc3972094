"""Both sides of `bench login`: their authenticators, their hubs, and a browser that types into their forms."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
from bench_hubs import PeerHub
from instance import APP, PORTS, SCRIPTS, Instance, choose_ports
from tornado.httputil import HTTPHeaders

LAB = Path(os.environ.get("BACKENDAI_LAB") or "/var/tmp/backendai-lab")
LDAP_CA = LAB / "ldap" / "tls" / "ca.pem"
SERVER, PORT, BASE = "ldaps://127.0.0.1:3893", 3893, "dc=big,dc=test"
SERVICE_DN, SERVICE_PASSWORD = f"cn=hub,ou=services,{BASE}", "hub-secret"
OURS = """
import sys
from pathlib import Path
c = get_config()
load_subconfig({config!r})
c.JupyterHub.services[0]["command"][-1] = str(Path(__file__).resolve())
sys.path.insert(0, {scripts!r})
from bench_gap import handlers
c.JupyterHub.extra_handlers = handlers
c.BackendAI.directory = "ldap"
c.BackendAI.ldap_servers = [{server!r}]
c.BackendAI.ldap_ca_file = {ca!r}
c.BackendAI.ldap_bind_dn = {dn!r}
c.BackendAI.ldap_bind_password_file = {password_file!r}
c.BackendAI.ldap_user_base = {user_base!r}
c.BackendAI.ldap_group_base = {base!r}
c.BackendAI.otp_required = {otp!r}
"""
PEERS = """
import sys
sys.path.insert(0, {scripts!r})
from bench_gap import handlers
c.JupyterHub.extra_handlers = handlers
c.JupyterHub.authenticator_class = "ldapauthenticator.LDAPAuthenticator"
c.JupyterHub.spawner_class = "simple"
c.Authenticator.allow_all = True
for name, value in {settings!r}.items():
    setattr(c.LDAPAuthenticator, name, value)
"""

LogIn = Callable[[str], Awaitable[bool]]


class OurLogin(Instance):
    """The embedded default on free ports, with the large directory in place of its own."""

    def __init__(self, directory: Path) -> None:
        node, _, proxy = os.environ["BENCH_PROXY"].partition(" ")
        ports = choose_ports({**dict.fromkeys(PORTS, 0), "BACKENDAI_PORT": 0, "BACKENDAI_PRIVATE_PORT": 0})
        directory.mkdir(parents=True)
        super().__init__(directory / "state", f"login{os.getpid()}{directory.name}", ports, node=node, proxy=proxy)
        self._directory = directory
        self.config = directory / "jupyterhub_config.py"
        self._write()
        self.prepare()

    def _write(self, *, server: str = SERVER, with_codes: bool = False) -> None:
        password = self._directory / "bind-password"
        password.write_text(SERVICE_PASSWORD)
        self.config.write_text(
            OURS.format(
                config=str(APP / "jupyterhub_config.py"), scripts=str(SCRIPTS), server=server, ca=str(LDAP_CA), dn=SERVICE_DN,
                password_file=str(password), user_base=f"ou=people,{BASE}", base=BASE, otp=with_codes,
            )
        )  # fmt: skip
        for file in (self.config, password):
            file.chmod(0o600)
            os.chown(file, self.account.pw_uid, self.account.pw_gid)

    def restart(self, *, server: str = SERVER, with_codes: bool = False) -> None:
        """The same with another directory, or with one-time passwords."""
        self.stop()
        self._write(server=server, with_codes=with_codes)
        self.start()

    def settings(self) -> Any:
        """What its service runs with."""
        return self.read_settings()

    def add_tokens(self, names: list[str]) -> Callable[[str], str]:
        """Give people one key; returns who knows the code of now."""
        from sqlalchemy.orm import Session

        from jupyterhub_backendai.core import otp
        from jupyterhub_backendai.store import otp as tokens
        from jupyterhub_backendai.store.crypt import Crypt
        from jupyterhub_backendai.store.database import make_engine

        settings = self.read_settings()
        crypt, secret = Crypt(settings.read_secret("crypt")), otp.format_secret(b"one key for everybody")
        with Session(make_engine(settings.database_url)) as db, db.begin():
            for name in names:
                tokens.set_confirmed(db, name, crypt.encrypt(secret, tokens.purpose(name)))
        return lambda _: otp.code_at(otp.parse_secret(secret), otp.step_of(time.time()))


def our_authenticator(settings: Any) -> LogIn:
    """``authenticate()`` as our hub calls it."""
    from traitlets.config import Config

    from jupyterhub_backendai.authenticator.authenticator import BackendAIAuthenticator

    config = Config({"BackendAI": {name: settings.trait_values()[name] for name in ("private_url", "secrets_file", "otp_required")}})
    authenticator = BackendAIAuthenticator(config=config)
    request = SimpleNamespace(connection=None, remote_ip="127.0.0.1", headers=HTTPHeaders())
    handler = SimpleNamespace(request=request, authenticator=authenticator)

    async def log_in(name: str) -> bool:
        return bool(await authenticator.authenticate(handler, {"username": name, "password": "bigpass", "otp": ""}))

    return log_in


def _peer_settings(port: int, allowed_groups: list[str]) -> dict[str, Any]:
    return {
        "server_address": "127.0.0.1",
        "server_port": port,
        "tls_strategy": "on_connect",
        "tls_kwargs": {"validate": ssl.CERT_REQUIRED.value, "ca_certs_file": str(LDAP_CA)},
        "lookup_dn": True,
        "lookup_dn_search_user": SERVICE_DN,
        "lookup_dn_search_password": SERVICE_PASSWORD,
        "user_search_base": f"ou=people,{BASE}",
        "user_attribute": "uid",
        "lookup_dn_user_dn_attribute": "uid",
        **({"allowed_groups": allowed_groups} if allowed_groups else {}),
    }


def peer_authenticator(*, port: int = PORT, allowed_groups: list[str] | None = None) -> LogIn:
    """``authenticate()`` as the peer's hub calls it."""
    from ldapauthenticator import LDAPAuthenticator

    authenticator = LDAPAuthenticator(**_peer_settings(port, allowed_groups or []))

    async def log_in(name: str) -> bool:
        return bool(await authenticator.authenticate(None, {"username": name, "password": "bigpass"}))

    return log_in


async def close_ours() -> None:
    """Close what our authenticators keep open to their services."""
    from jupyterhub_backendai import client

    for one in client._clients.values():
        await one.close()
    client._clients.clear()


class PeerLogin(PeerHub):
    """A plain hub with ldapauthenticator."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, PEERS.format(scripts=str(SCRIPTS), settings=_peer_settings(PORT, [])))


class Client:
    """Browsers: each form has the cookies of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: list[aiohttp.ClientSession] = []
        self._gap = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (*self._open, self._gap):
            await session.close()

    async def open_form(self) -> aiohttp.ClientSession:
        """A browser that looks at the login form."""
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._open.append(session)
        async with session.get(f"{self._url}/hub/login") as response:
            response.raise_for_status()
            await response.read()
        return session

    async def post(self, form: aiohttp.ClientSession, name: str, password: str, code: str) -> bool:
        """Send the form; whether somebody is logged in now."""
        token = next(cookie.value for cookie in form.cookie_jar if cookie.key == "_xsrf")
        fields = {"username": name, "password": password, "otp": code, "_xsrf": token}
        async with form.post(f"{self._url}/hub/login?next=%2Fhub%2Fhome", data=fields, allow_redirects=False) as response:
            await response.read()
            return response.status == 302 and response.headers["Location"].endswith("/hub/home")

    async def read_gap(self) -> float:
        """The worst gap of the hub's loop since this was last asked, in seconds."""
        async with self._gap.get(f"{self._url}/hub/bench-gap") as response:
            response.raise_for_status()
            return float(await response.text())
