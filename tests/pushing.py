"""Tiny images pushed to a registry, as a build would push them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from typing import Any, Self

import aiohttp

from tests.lab import REGISTRY_LOGIN, REGISTRY_URL

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
KERNEL = {"ai.backend.kernelspec": "1"}


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Pusher:
    """Pushes beneath a project of its own, so that tests do not meet each other's images."""

    def __init__(self, url: str = REGISTRY_URL, login: tuple[str, str] | None = REGISTRY_LOGIN) -> None:
        self.url, self.project = url, f"t{uuid.uuid4().hex[:12]}"
        self._http = aiohttp.ClientSession(headers={"Authorization": basic(*login)} if login else {})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    def name(self, repository: str, tag: str = "latest") -> str:
        """The whole name of an image, as our tables have it."""
        return f"{self.url.partition('://')[2]}/{self.project}/{repository}:{tag}"

    async def push(
        self, repository: str, tag: str = "latest", labels: dict[str, str] | None = None, architecture: str = "amd64", kind: str = OCI
    ) -> str:
        """One image with labels; its digest."""
        config = {"architecture": architecture, "os": "linux", "config": {"Labels": KERNEL if labels is None else labels}}
        layer = gzip.compress(f"{repository}:{architecture}".encode(), mtime=0)
        entries = [await self._blob(repository, body) for body in (json.dumps(config).encode(), layer)]
        docker = kind == DOCKER
        types = (
            ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
            if docker
            else ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
        )
        parts = [{"mediaType": media, **entry} for media, entry in zip(types, entries, strict=True)]
        return await self._manifest(repository, tag, kind, {"config": parts[0], "layers": parts[1:]})

    async def push_index(self, repository: str, tag: str, digests: dict[str, str], kind: str = OCI_INDEX) -> str:
        """One name for images of several processors."""
        part = DOCKER if kind == DOCKER_LIST else OCI
        manifests = [
            {"mediaType": part, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": name}}
            for name, digest in digests.items()
        ]
        return await self._manifest(repository, tag, kind, {"manifests": manifests})

    async def delete(self, repository: str, digest: str) -> None:
        async with self._http.delete(f"{self._repository(repository)}/manifests/{digest}") as response:
            assert response.status == 202, await response.text()

    def _repository(self, repository: str) -> str:
        return f"{self.url}/v2/{self.project}/{repository}"

    async def _blob(self, repository: str, body: bytes) -> dict[str, Any]:
        async with self._http.post(f"{self._repository(repository)}/blobs/uploads/") as response:
            assert response.status == 202, await response.text()
            where = response.headers["Location"]
        sign = "&" if "?" in where else "?"
        async with self._http.put(f"{where}{sign}digest={digest_of(body)}", data=body) as response:
            assert response.status == 201, await response.text()
        return {"digest": digest_of(body), "size": len(body)}

    async def _manifest(self, repository: str, tag: str, kind: str, content: dict[str, Any]) -> str:
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, **content}).encode()
        url = f"{self._repository(repository)}/manifests/{tag}"
        async with self._http.put(url, data=body, headers={"Content-Type": kind}) as response:
            assert response.status == 201, await response.text()
        return digest_of(body)
