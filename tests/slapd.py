"""An OpenLDAP of a test's own, with the lab's people and some more: passwords are changed in it, and it is stopped and started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ldap3

LIB = Path(__file__).parent.parent / "script" / "lib"
BASE = "dc=cm,dc=cluster"
CLIENT = "hub-client"
POLICIES = {
    "young": {"pwdMinAge": 86400},
    "fixed": {"pwdAllowUserChange": "FALSE"},
    "safe": {"pwdAllowUserChange": "TRUE", "pwdSafeModify": "TRUE"},
    "graceful": {"pwdAllowUserChange": "TRUE", "pwdMaxAge": 86400, "pwdGraceAuthnLimit": 50},
    "ended": {"pwdAllowUserChange": "TRUE", "pwdMaxAge": 86400},
    "warned": {"pwdAllowUserChange": "TRUE", "pwdMaxAge": 86400, "pwdExpireWarning": 86000},
}
_AGES_DAYS = {"young": 0.0, "graceful": 30, "ended": 30, "warned": 0.5}


class Slapd:
    """One server in a directory of its own, on free ports."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port, self.tls_port = directory, _free_port(), _free_port()
        self.ca, self.client_cert, self.client_key = (directory / "tls" / name for name in ("ca.pem", "client.pem", "client.key"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def make(self) -> None:
        """Certificates, configuration and content, as the lab makes them."""
        (self.directory / "run").mkdir(parents=True)
        commands = f". {LIB}/common.sh; . {LIB}/lab/ldap.sh; LDAP={self.directory}; ldap_certificates && ldap_config >$LDAP/slapd.conf"
        _run(["bash", "-c", commands], env={**_environment(), "BASE": str(self.directory), "LIB": str(LIB)})
        self._make_client_certificate()
        config = self.directory / "slapd.conf"
        text = config.read_text().replace("TLSVerifyClient never", "TLSVerifyClient try")
        config.write_text(text.replace("disallow bind_anon", f'authz-regexp "cn={CLIENT}" "cn=hub,ou=services,{BASE}"\ndisallow bind_anon'))
        _run([sys.executable, str(LIB / "lab" / "people.py"), "ldif", str(self.directory)])
        with (self.directory / "people.ldif").open("a") as file:
            file.write("\n" + "\n".join(_more_people()))
        (self.directory / "data").mkdir()
        _run(["slapadd", "-q", "-f", str(config), "-b", BASE, "-l", str(self.directory / "people.ldif")])

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = ["slapd", "-d", "0", "-f", str(self.directory / "slapd.conf"), "-h", f"{self.url}/ {self.tls_url}/"]
        with (self.directory / "out.log").open("ab") as out:
            self._process = subprocess.Popen(command, env=_environment(), stdout=out, stderr=out)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return
        raise RuntimeError((self.directory / "out.log").read_text())

    def stop(self) -> None:
        """End it; nothing when it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None

    def fill_groups(self) -> None:
        """The groups whose members an overlay writes into the people's entries."""
        environment = {**_environment(), "LDAPTLS_CACERT": str(self.ca)}
        for name in ("groups", "otp"):
            file = str(self.directory / f"{name}.ldif")
            _run(["ldapmodify", "-a", "-x", "-H", self.tls_url, "-D", f"cn=root,{BASE}", "-w", "root-secret", "-f", file], env=environment)

    def as_root(self) -> Any:
        """A connection that may do everything."""
        server = ldap3.Server("127.0.0.1", port=self.tls_port, use_ssl=True, get_info=ldap3.NONE)
        return ldap3.Connection(server, f"cn=root,{BASE}", "root-secret", auto_bind=True, raise_exceptions=True, check_names=False)

    def _make_client_certificate(self) -> None:
        tls = self.directory / "tls"
        key, request = str(self.client_key), str(tls / "client.csr")
        authority = ["-CA", str(self.ca), "-CAkey", str(tls / "ca.key"), "-CAcreateserial", "-days", "2"]
        _run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={CLIENT}", "-keyout", key, "-out", request])
        _run(["openssl", "x509", "-req", "-in", request, *authority, "-out", str(self.client_cert)])


def _more_people() -> list[str]:
    """One person for each policy, named like it."""
    entries = []
    for number, (name, settings) in enumerate(POLICIES.items()):
        lines = [f"dn: cn={name},ou=policies,{BASE}", "objectClass: device", "objectClass: pwdPolicy", f"cn: {name}"]
        lines += ["pwdAttribute: userPassword", *(f"{key}: {value}" for key, value in settings.items()), ""]
        lines += [f"dn: uid={name},ou=people,{BASE}", "objectClass: inetOrgPerson", f"uid: {name}", f"cn: {name}", f"sn: {number}"]
        lines += [f"userPassword: Pa55w0rd!{name}", f"pwdPolicySubentry: cn={name},ou=policies,{BASE}"]
        if name in _AGES_DAYS:
            lines.append(f"pwdChangedTime: {datetime.now(UTC) - timedelta(days=_AGES_DAYS[name]):%Y%m%d%H%M%SZ}")
        entries.append("\n".join(lines) + "\n")
    return entries


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env or _environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
