"""Container registries: how to reach them, and what a look through one changes of the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.identity import Actor
from ..core.nouns.images import check_bounds, check_image_name
from ..core.registries import Finding, ScannedImage, host_of, merge_bounds, read_bounds
from ..core.slots import ResourceSlots, SlotKind
from ..errors import N_, BackendAIError, Conflict, NotFound
from . import audit
from .models import ContainerRegistry, Image, now
from .records import list_slot_kinds
from .records.images import read_password

MAX_NAMES = 100  # how many names of images an entry of the audit log has


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry as somebody who looks through it needs it. ``known`` are digests by ``repository:tag`` of the images that we have."""

    name: str
    url: str
    type: str
    projects: tuple[str, ...] = ()
    user_name: str = ""
    password: str = field(default="", repr=False)
    takes_unlabelled: bool = False
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many images a look through a registry added, changed, left alone, marked as gone, could not read, and did not take."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    gone: int = 0
    failed: int = 0
    skipped: int = 0


def list_registries(db: Session) -> list[str]:
    """The names of all registries that are looked through; those of the kind ``local`` are no servers."""
    return list(db.scalars(select(ContainerRegistry.name).where(ContainerRegistry.type != "local").order_by(ContainerRegistry.name)))


def find_registry(db: Session, name: str) -> Registry:
    """One registry. Raises NotFound, and Conflict for one that is no server."""
    row = db.get(ContainerRegistry, name)
    if row is None:
        raise NotFound(N_("There is no registry %(name)s."), name=name)
    if row.type == "local":
        raise Conflict(N_("The registry %(name)s is no server: there is nothing to look through."), name=name)
    start = f"{host_of(row.url)}/"
    images = db.execute(select(Image.name, Image.digest).where(Image.container_registry == name, Image.is_gone.is_(False)))
    known = {image.removeprefix(start): digest for image, digest in images if digest}
    password = read_password(db, name)
    return Registry(name, row.url, row.type, tuple(row.projects), row.user_name, password, row.takes_unlabelled, known)


def keep_finding(db: Session, actor: Actor, registry: Registry, finding: Finding) -> Outcome:
    """Make the images as the registry has them (use it exclusively); twice changes nothing.

    What administrators set stays: who may start an image, how it is shown, and every bound that differs from the image's own word.
    An image that the registry has no more is marked, not removed: sessions and statistics name it. Raises NotFound when the registry
    was removed meanwhile, Conflict when its address was changed.
    """
    row = db.get(ContainerRegistry, registry.name, with_for_update=True)
    if row is None:
        raise NotFound(N_("There is no registry %(name)s."), name=registry.name)
    if row.url != registry.url:
        raise Conflict(N_("Somebody else changed this meanwhile. Look at it again, then change it."))
    outcome, names = _Keeper(db, registry, finding).keep()
    row.scanned_at, row.scan_result = now(), {"state": "done", **asdict(outcome)}
    _record(db, actor, registry.name, "ok", {**asdict(outcome), **names})
    return outcome


def keep_failure(db: Session, actor: Actor, name: str, error: BackendAIError) -> None:
    """Keep that a look through a registry failed, and why; its images stay as they are."""
    row = db.get(ContainerRegistry, name, with_for_update=True)
    result = {"state": "failed", "message": error.message, "params": {key: str(value) for key, value in error.params.items()}}
    if row is not None:
        row.scan_result = result
    _record(db, actor, name, "failed", {"error": str(error)})


def list_results(db: Session) -> dict[str, dict[str, Any]]:
    """What the last look through each registry came to, by name; ``scanned_at`` is when one last succeeded."""
    rows = db.scalars(select(ContainerRegistry).where(ContainerRegistry.type != "local").order_by(ContainerRegistry.name))
    return {row.name: {**row.scan_result, "scanned_at": row.scanned_at} for row in rows}


def _record(db: Session, actor: Actor, name: str, result: str, details: dict[str, Any]) -> None:
    audit.record(db, actor=actor.name, action="image.rescan", object=name, source=actor.source, result=result, details=details)


class _Keeper:
    """Puts a finding into the rows of one registry."""

    def __init__(self, db: Session, registry: Registry, finding: Finding) -> None:
        self._db, self._registry, self._finding = db, registry, finding
        self._start = f"{host_of(registry.url)}/"
        self._kinds: Mapping[str, SlotKind] = list_slot_kinds(db)
        self._at = now()
        self._names: dict[str, list[str]] = {"added": [], "updated": [], "gone": []}
        self._counts = {"unchanged": 0, "failed": len(finding.failed), "skipped": len(finding.skipped)}

    def keep(self) -> tuple[Outcome, dict[str, Any]]:
        """Do it; what was done, in numbers and (the first of them) by name."""
        rows = self._list_rows()
        seen = {self._start + f"{image.repository}:{image.tag}" for image in self._finding.images}
        for image in self._finding.images:
            self._keep_image(rows, image)
        for path in self._finding.unchanged:
            row = rows.get(self._start + path)
            if row is not None and row.container_registry == self._registry.name:
                self._touch(row)
        for name, row in rows.items():
            is_ours = row.container_registry == self._registry.name and not row.is_gone and row.scanned_at is not None
            if is_ours and name not in seen and self._finding.is_gone(name.removeprefix(self._start)):
                row.is_gone = True
                self._names["gone"].append(name)
        self._db.flush()
        counts = {key: len(names) for key, names in self._names.items()}
        return Outcome(**counts, **self._counts), {f"{key}_names": sorted(names)[:MAX_NAMES] for key, names in self._names.items() if names}

    def _list_rows(self) -> dict[str, Image]:
        """The images that this registry may have, also those that somebody made by hand."""
        pattern = self._start.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = select(Image).where((Image.container_registry == self._registry.name) | Image.name.like(pattern, escape="\\"))
        return {row.name: row for row in self._db.scalars(found.with_for_update())}

    def _touch(self, row: Image) -> None:
        row.scanned_at = self._at
        self._counts["unchanged"] += 1

    def _keep_image(self, rows: dict[str, Image], image: ScannedImage) -> None:
        name = self._start + f"{image.repository}:{image.tag}"
        row = rows.get(name)
        if len(name) > 255 or check_image_name(name) or (row is not None and row.container_registry not in (None, self._registry.name)):
            self._counts["failed"] += 1
            return
        is_new = row is None
        if row is None:
            row = rows[name] = Image(name=name, is_active=True, is_configured=False, image_labels={})
            self._db.add(row)
        before = _facts(row)
        self._set_bounds(row, image.labels)
        row.container_registry, row.is_gone, row.scanned_at = self._registry.name, False, self._at
        row.digest, row.architectures, row.size_bytes = image.digest, list(image.architectures), image.size_bytes
        row.image_labels = dict(image.labels)
        if is_new or before != _facts(row):
            self._names["added" if is_new else "updated"].append(name)
        else:
            self._counts["unchanged"] += 1

    def _set_bounds(self, row: Image, labels: Mapping[str, str]) -> None:
        """The image's own word where an administrator said nothing else; never bounds that contradict each other."""
        old_least, old_most = read_bounds(row.image_labels, self._kinds)
        new_least, new_most = read_bounds(labels, self._kinds)
        least = merge_bounds(_amounts(row.min_slots), old_least, new_least)
        most = merge_bounds(_amounts(row.max_slots), old_most, new_most)
        if not check_bounds(least, most):
            row.min_slots, row.max_slots = least, most


def _amounts(slots: ResourceSlots | None) -> ResourceSlots:
    return ResourceSlots() if slots is None else slots  # a new row has its defaults only when it is written


def _facts(row: Image) -> tuple[Any, ...]:
    return (
        row.digest,
        tuple(row.architectures or ()),
        row.size_bytes,
        tuple(sorted(row.image_labels.items())),
        row.is_gone,
        row.container_registry,
        row.min_slots,
        row.max_slots,
    )
