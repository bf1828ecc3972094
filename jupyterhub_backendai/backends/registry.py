"""A container registry as its client sees it: which repositories and tags it has, and what an image says of itself.

Docker Registry HTTP API v2, which the OCI's distribution specification continues: with no login, a password (basic) or tokens
(bearer). Only what is written about images is read, never their layers.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from ..core.addresses import AddressRules, is_own_machine
from ..core.registries import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Challenge,
    Manifest,
    ScannedImage,
    is_digest,
    is_wanted,
    parse_challenge,
    parse_config,
    parse_manifest,
    parse_names,
    parse_next,
)
from ..errors import N_, AddressRefused, BackendAIError, NotFound, RegistryRefused, RegistryUnavailable
from .guard import check_url, is_refusal, open_session, read_body

T = TypeVar("T")
PAGE_SIZE = 500
MAX_PAGES = 400
MAX_REDIRECTS = 3
HARBOR, HARBOR_PAGE = frozenset({"harbor", "harbor2"}), 100
MAX_PAGE, MAX_MANIFEST, MAX_CONFIG, MAX_TOKEN = 8 * 2**20, 4 * 2**20, 8 * 2**20, 2**18
TOKEN_S = 60.0  # how long a token lasts whose registry does not say
TOKEN_SPARE_S = 10.0
_TYPES = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))
_NO_IMAGE = N_("The registry answers something that is no image.")
_NO_REGISTRY = N_("What answers at %(host)s is no registry.")
_TOO_MANY = N_("The registry has more pages than we read.")
_NO_CATALOG = N_("The registry does not list its repositories to us. Name them in its field for projects.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry said: its headers, and the body as far as it was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Names of repositories; not ``is_complete``: the registry may have others that it does not list to us."""

    names: tuple[str, ...]
    is_complete: bool = True


class RegistryClient:
    """One registry; use it in ``async with``. Raises RegistryUnavailable, RegistryRefused and AddressRefused."""

    def __init__(
        self, url: str, *, kind: str = "docker", user_name: str = "", password: str = "", rules: AddressRules | None = None
    ) -> None:
        self._kind = kind
        self._base = url.rstrip("/").removesuffix("/v2")
        self._host = urlsplit(self._base).netloc
        self._is_here = is_own_machine(urlsplit(self._base).hostname or "")
        self._login = f"{user_name}:{password}" if user_name or password else ""
        self._rules = rules or AddressRules()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._is_basic = False
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = open_session(self._rules, is_here=self._is_here)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._http is not None:
            await self._http.close()

    async def ping(self) -> None:
        """Return when this is a registry that lets us in. Raises as everything here."""
        answer = await self._get("/v2/", "", MAX_TOKEN)
        if answer.status != 200:
            raise RegistryRefused(_NO_REGISTRY, host=self._host)

    async def list_repositories(self, projects: tuple[str, ...]) -> Catalog:
        """The names of the repositories of these projects, of all without any.

        A registry that lists nothing to us still has the repositories that the projects name.
        """
        try:
            if self._kind in HARBOR:
                found = [name for part in projects or ("",) for name in await self._list_harbor(part)]
            else:
                found = [name async for name in self._names("/v2/_catalog", "registry:catalog:*", "repositories")]
        except (NotFound, RegistryRefused):
            if projects:
                return Catalog(projects, is_complete=False)
            raise RegistryRefused(_NO_CATALOG) from None
        return Catalog(tuple(name for name in dict.fromkeys(found) if is_wanted(name, projects)))

    async def _list_harbor(self, project: str) -> list[str]:
        """The repositories of one of Harbor's projects, of all that we may see without one: its catalog is for its administrators."""
        part, _, _ = project.partition("/")
        path = f"/api/v2.0/projects/{quote(part, safe='')}/repositories" if part else "/api/v2.0/repositories"
        headers = {"Authorization": self._basic()} if self._login else {}
        found: list[str] = []
        for page in range(1, MAX_PAGES + 1):
            url = f"{self._base}{path}?{urlencode({'page': page, 'page_size': HARBOR_PAGE})}"
            answer = await self._follow("GET", url, MAX_PAGE, headers)
            if answer.status != 200:
                raise RegistryUnavailable(host=self._host) if answer.status >= 500 else RegistryRefused(_NO_CATALOG)
            entries = _parse(json.loads, answer.body)
            if not isinstance(entries, list):
                raise RegistryRefused(_NO_REGISTRY, host=self._host)
            found += parse_names({"repositories": [entry.get("name") for entry in entries if isinstance(entry, dict)]}, "repositories")
            if len(entries) < HARBOR_PAGE:
                return found
        raise RegistryRefused(_TOO_MANY)

    async def list_tags(self, repository: str) -> list[str]:
        """The tags of a repository; none when it is gone."""
        try:
            found = [tag async for tag in self._names(f"/v2/{repository}/tags/list", _pull(repository), "tags")]
        except NotFound:
            return []
        return list(dict.fromkeys(found))

    async def get_digest(self, repository: str, tag: str) -> str:
        """The digest of what a tag names now, without reading it; "" when the registry does not tell."""
        answer = await self._ask("HEAD", f"/v2/{repository}/manifests/{tag}", _pull(repository), 0, {"Accept": _TYPES})
        return answer.headers.get("Docker-Content-Digest", "") if answer.status == 200 else ""

    async def read_image(self, repository: str, tag: str) -> ScannedImage:
        """What a tag names. Raises NotFound when there is no such tag any more, RegistryRefused for what is no image."""
        first = manifest = await self._read_manifest(repository, tag)
        architectures = [part.architecture for part in first.parts]
        if first.parts:
            manifest = await self._read_manifest(repository, first.parts[0].digest)
        if not manifest.config:
            raise RegistryRefused(_NO_IMAGE)
        body = await self._read(f"/v2/{repository}/blobs/{manifest.config}", repository, MAX_CONFIG)
        if not is_digest(body, manifest.config):
            raise RegistryRefused(_NO_IMAGE)
        architecture, labels = _parse(parse_config, body)
        names = tuple(dict.fromkeys(name for name in (*architectures, architecture) if name))
        return ScannedImage(repository, tag, first.digest, names, manifest.size_bytes, labels)

    async def _read_manifest(self, repository: str, reference: str) -> Manifest:
        body = await self._read(f"/v2/{repository}/manifests/{reference}", repository, MAX_MANIFEST, {"Accept": _TYPES})
        if reference.startswith("sha") and ":" in reference and not is_digest(body, reference):
            raise RegistryRefused(_NO_IMAGE)
        return _parse(parse_manifest, body)

    async def _read(self, path: str, repository: str, most: int, headers: Mapping[str, str] | None = None) -> bytes:
        answer = await self._get(path, _pull(repository), most, headers)
        if answer.status != 200:
            raise RegistryUnavailable(host=self._host)
        return answer.body

    async def _names(self, path: str, scope: str, key: str) -> AsyncIterator[str]:
        """The names of every page of a list."""
        url = f"{path}?{urlencode({'n': PAGE_SIZE})}"
        for _ in range(MAX_PAGES):
            answer = await self._get(url, scope, MAX_PAGE)
            if answer.status != 200:
                raise RegistryRefused(_NO_REGISTRY, host=self._host)
            for name in _parse(lambda body: parse_names(json.loads(body), key), answer.body):
                yield name
            following = parse_next(answer.headers.get("Link", ""))
            # Only the question is taken over: a page never sends us, and our token, somewhere else.
            if not following or f"{path}?{urlsplit(following).query}" == url:
                return
            url = f"{path}?{urlsplit(following).query}"
        raise RegistryRefused(_TOO_MANY)

    # -- asking

    async def _get(self, path: str, scope: str, most: int, headers: Mapping[str, str] | None = None) -> Answer:
        """A page of the registry's. Raises NotFound for what it does not have, RegistryRefused when it does not let us."""
        answer = await self._ask("GET", path, scope, most, headers or {})
        if answer.status == 404:
            raise NotFound
        return answer

    async def _ask(self, method: str, path: str, scope: str, most: int, headers: Mapping[str, str]) -> Answer:
        answer = await self._follow(method, self._base + path, most, {**headers, **self._authorize(scope)})
        if answer.status == 401:
            await self._log_in(answer, scope)
            answer = await self._follow(method, self._base + path, most, {**headers, **self._authorize(scope)})
        if answer.status in (401, 403):
            raise RegistryRefused(N_("The registry %(host)s does not let us in. Check the user name and the password."), host=self._host)
        if answer.status == 429 or answer.status >= 500:
            raise RegistryUnavailable(host=self._host)
        return answer

    def _authorize(self, scope: str) -> dict[str, str]:
        token, until = self._tokens.get(scope, ("", 0.0))
        if token and time.monotonic() < until:
            return {"Authorization": f"Bearer {token}"}
        return {"Authorization": self._basic()} if self._is_basic else {}

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(self._login.encode()).decode("ascii")

    async def _log_in(self, answer: Answer, scope: str) -> None:
        challenge = parse_challenge(answer.headers.get("WWW-Authenticate", ""))
        if challenge is None:
            raise RegistryRefused(_NO_REGISTRY, host=self._host)
        if challenge.scheme == "basic":
            self._is_basic = bool(self._login)
            return
        self._tokens[scope] = await self._fetch_token(challenge, scope)

    async def _fetch_token(self, challenge: Challenge, scope: str) -> tuple[str, float]:
        """A token for a scope, and until when it can be used."""
        query = {"service": challenge.service, "scope": challenge.scope or scope}
        sign = "&" if "?" in challenge.realm else "?"
        url = challenge.realm + sign + urlencode({name: value for name, value in query.items() if value})
        answer = await self._follow("GET", url, MAX_TOKEN, {"Authorization": self._basic()} if self._login else {})
        if answer.status >= 500:
            raise RegistryUnavailable(host=self._host)
        data = _parse(json.loads, answer.body) if answer.status == 200 else {}
        token = (data.get("token") or data.get("access_token")) if isinstance(data, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryRefused(N_("The registry %(host)s does not let us in. Check the user name and the password."), host=self._host)
        lasts_s = data.get("expires_in")
        lasts_s = float(lasts_s) if isinstance(lasts_s, int | float) and 0 < lasts_s < 10**6 else TOKEN_S
        return token, time.monotonic() + max(lasts_s - TOKEN_SPARE_S, lasts_s / 2)

    async def _follow(self, method: str, url: str, most: int, headers: Mapping[str, str]) -> Answer:
        """One request, and where it leads: every address is checked, and a password or token goes to no other server."""
        origin = urlsplit(url)[:2]
        for _ in range(MAX_REDIRECTS + 1):
            checked = check_url(url, self._rules, is_here=self._is_here)
            answer = await self._send(method, checked, most, headers)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            following = urljoin(url, answer.headers.get("Location", ""))
            if url.startswith("https:") and not following.startswith("https:"):
                raise AddressRefused(host=urlsplit(following).hostname or "")
            url = following
            if urlsplit(url)[:2] != origin:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
        raise RegistryRefused(N_("The registry sends us from one address to the next."))

    async def _send(self, method: str, url: URL, most: int, headers: Mapping[str, str]) -> Answer:
        if self._http is None:
            raise RuntimeError("use the client in `async with`")
        try:
            async with self._http.request(method, url, headers=headers, allow_redirects=False) as response:
                body = await read_body(response, most) if response.status in (200, 401) and method != "HEAD" else b""
                return Answer(response.status, response.headers, body)
        except BackendAIError:
            raise
        except aiohttp.InvalidURL as exc:
            raise AddressRefused(host=url.host or "") from exc
        except ValueError as exc:
            raise RegistryRefused(N_("The registry's answer is longer than we read, or cannot be read.")) from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            if is_refusal(exc):
                raise AddressRefused(host=url.host or "") from exc
            raise RegistryUnavailable(host=self._host) from exc


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _parse(function: Callable[[bytes], T], body: bytes) -> T:
    try:
        return function(body)
    except (ValueError, RecursionError) as exc:
        raise RegistryRefused(_NO_IMAGE) from exc
