"""Container registries: what their answers say (Docker Registry HTTP API v2, OCI distribution), and what an image's labels mean. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from .slots import ResourceSlots, SlotKind, parse_amount

INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
KERNEL_LABEL = "ai.backend.kernelspec"
LABEL_PREFIX = "ai.backend."
_MINIMUM, _MAXIMUM = "ai.backend.resource.min.", "ai.backend.resource.max."
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+|/)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
_PARAMETER = re.compile(r'([A-Za-z_]+)=(?:"([^"]*)"|([^\s,"]+))')
_NEXT = re.compile(r'<([^<>]{1,2048})>\s*;[^,]*\brel="?next"?')
MAX_LABELS, MAX_LABEL_LENGTH = 200, 4096
# Processors as programs for images call them, and as machines do.
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}
_PREFERRED = "x86_64"


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a registry wants to be asked: ``scheme`` is basic or bearer; a bearer's token comes from ``realm``."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One image of an index: the same for another processor."""

    digest: str
    architecture: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a tag names: an index of ``parts``, or (none) an image whose configuration has the digest ``config``."""

    digest: str
    parts: tuple[Part, ...] = ()
    config: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ScannedImage:
    """An image as its registry has it. ``labels`` are the image's own of ``ai.backend.``; ``is_labelled``: made for Backend.AI."""

    repository: str
    tag: str
    digest: str
    architectures: tuple[str, ...] = ()
    size_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        return KERNEL_LABEL in self.labels


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look through a registry came to, before it is kept. Names are ``repository:tag``.

    ``images`` were read anew; ``unchanged`` still have the digest that we know; ``skipped`` are not for us; ``failed`` could not
    be read. ``projects`` are those that were looked through; what is beneath ``unread`` repositories is unknown. ``only``: the registry
    did not list its repositories, so that nothing is known of others than these.
    """

    images: tuple[ScannedImage, ...] = ()
    unchanged: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    projects: tuple[str, ...] = ()
    only: frozenset[str] | None = None

    def is_gone(self, path: str) -> bool:
        """Whether ``repository:tag`` would have been found if the registry still had it, and was not. Call it for the absent."""
        repository = path.rpartition(":")[0]
        if path in self.unchanged or path in self.skipped or path in self.failed or repository in self.unread:
            return False
        return repository in self.only if self.only is not None else is_wanted(repository, self.projects)


def parse_challenge(header: str) -> Challenge | None:
    """The first challenge of a ``WWW-Authenticate`` that we can answer."""
    for scheme in ("bearer", "basic"):
        if found := re.search(rf"(?:^|,)\s*{scheme}\b(.*)", header, re.IGNORECASE):
            values = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(found[1])}
            return Challenge(scheme, values.get("realm", ""), values.get("service", ""), values.get("scope", ""))
    return None


def parse_next(header: str) -> str:
    """The address of the next page in a ``Link`` header, "" on the last one."""
    found = _NEXT.search(header)
    return found[1] if found else ""


def parse_names(data: Any, key: str) -> list[str]:
    """The names of a page of repositories or tags; those that no registry may have are left out. Raises ValueError."""
    names = data.get(key) if isinstance(data, dict) else None
    if names is None and isinstance(data, dict) and key in data:
        return []  # a repository whose last tag was deleted says null
    if not isinstance(names, list):
        raise ValueError("no list of names")  # noqa: TRY004 - what a registry says is data, not a type of ours
    pattern = _REPOSITORY if key == "repositories" else _TAG
    return [name for name in names if isinstance(name, str) and len(name) <= 255 and pattern.fullmatch(name)]


def parse_manifest(body: bytes) -> Manifest:
    """A manifest from its bytes. Raises ValueError, also for the old first schema and for what is no image."""
    data = _read_object(body)
    digest = digest_of(body)
    if isinstance(data.get("manifests"), list):
        return Manifest(digest, parts=tuple(_parse_parts(data["manifests"])))
    if data.get("schemaVersion") != 2 or not isinstance(data.get("config"), dict):
        raise ValueError("not an image")
    config = data["config"].get("digest")
    if not isinstance(config, str) or not _DIGEST.fullmatch(config):
        raise ValueError("not an image")
    layers = data.get("layers") if isinstance(data.get("layers"), list) else []
    size_bytes = sum(_size(entry) for entry in [data["config"], *(layers or [])])
    return Manifest(digest, config=config, size_bytes=size_bytes)


def _parse_parts(entries: Sequence[Any]) -> list[Part]:
    """The images of Linux in an index; attestations and the like have no processor."""
    found = []
    for entry in entries:
        platform = entry.get("platform") if isinstance(entry, dict) else None
        platform = platform if isinstance(platform, dict) else {}
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if platform.get("os", "linux") != "linux" or platform.get("architecture") == "unknown":
            continue
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            found.append(Part(digest, name_architecture(str(platform.get("architecture", "")))))
    return sorted(found, key=lambda part: (part.architecture != _PREFERRED, part.architecture, part.digest))


def parse_config(body: bytes) -> tuple[str, dict[str, str]]:
    """The processor and the labels ``ai.backend.…`` of an image, from its configuration. Raises ValueError."""
    data = _read_object(body)
    config = data.get("config") or data.get("container_config") or {}
    labels = config.get("Labels") if isinstance(config, dict) else {}
    texts = {
        str(name)[:255]: value[:MAX_LABEL_LENGTH]
        for name, value in (labels or {}).items()
        if isinstance(value, str) and str(name).startswith(LABEL_PREFIX) and "\0" not in value
    }
    return name_architecture(str(data.get("architecture", ""))), dict(sorted(texts.items())[:MAX_LABELS])


def digest_of(body: bytes) -> str:
    """The digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def is_digest(body: bytes, digest: str) -> bool:
    """Whether bytes are those that a digest names."""
    algorithm, _, value = digest.partition(":")
    return algorithm in {"sha256", "sha512"} and hashlib.new(algorithm, body).hexdigest() == value


def name_architecture(word: str) -> str:
    """A processor's name as machines say it (``uname -m``)."""
    return _ARCHITECTURES.get(word, word)[:32]


def _size(entry: Any) -> int:
    size = entry.get("size") if isinstance(entry, dict) else 0
    return size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**50 else 0


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise ValueError("not JSON") from exc
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - what a registry says is data, not a type of ours
    return data


def is_wanted(repository: str, projects: Sequence[str]) -> bool:
    """Whether a repository is one of the projects, or beneath one; without projects every one is."""
    return not projects or any(repository == name or repository.startswith(f"{name}/") for name in projects)


def host_of(url: str) -> str:
    """What the names of a registry's images begin with."""
    return urlsplit(url).netloc.lower()


def read_bounds(labels: Mapping[str, str], kinds: Mapping[str, SlotKind]) -> tuple[ResourceSlots, ResourceSlots]:
    """The least and the most that an image's labels ask for. Slots that nobody has here, and what is no amount, are left out."""
    return _read_amounts(labels, _MINIMUM, kinds), _read_amounts(labels, _MAXIMUM, kinds)


def _read_amounts(labels: Mapping[str, str], prefix: str, kinds: Mapping[str, SlotKind]) -> ResourceSlots:
    found: dict[str, Decimal] = {}
    for name, text in labels.items():
        slot = name.removeprefix(prefix)
        if not name.startswith(prefix) or slot not in kinds:
            continue
        try:
            amount = parse_amount(text, kinds[slot])
        except (ValueError, ArithmeticError):
            continue
        if amount or prefix == _MAXIMUM:
            found[slot] = amount
    return ResourceSlots(found)


def merge_bounds(now: ResourceSlots, before: ResourceSlots, after: ResourceSlots) -> ResourceSlots:
    """What holds when an image's own word changes from ``before`` to ``after``: slots that an administrator set otherwise stay."""
    merged = {}
    for slot in {*now, *before, *after}:
        is_own_word = now.get(slot) == before.get(slot)
        amount = after.get(slot) if is_own_word else now.get(slot)
        if amount is not None:
            merged[slot] = amount
    return ResourceSlots(merged)
