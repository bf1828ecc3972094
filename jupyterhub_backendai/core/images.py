"""Images (environments): what a session of one may be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..errors import N_, Violation
from .slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, format_bytes


@dataclass(frozen=True, slots=True)
class Image:
    """An environment as it is offered. A slot that ``max_slots`` does not name is not limited."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    min_slots: ResourceSlots = field(default_factory=ResourceSlots)
    max_slots: ResourceSlots = field(default_factory=ResourceSlots)

    def label(self, language: str) -> str:
        """The name to show in a language."""
        return self.labels.get(language) or self.labels.get("en") or self.name


_FIELDS = {CPU: "cpu", MEM: "mem", CUDA_DEVICE: "gpu"}


def check_image(image: Image, asked: ResourceSlots) -> list[Violation]:
    """Every slot of which less than the image's minimum or more than its maximum was asked for."""
    found = []
    for slot in sorted({*image.min_slots, *image.max_slots}):
        wanted, least, most = asked.amount(slot), image.min_slots.amount(slot), image.max_slots.get(slot)
        show: Callable[..., object] = format_bytes if slot == MEM else _plain
        params = {"environment": image.name, "slot": slot}
        if wanted < least:
            message = N_("The environment %(environment)s needs at least %(least)s of %(slot)s; you asked for %(asked)s.")
            numbers = {"least": show(least), "asked": show(wanted)}
            found.append(Violation(message, params | numbers, _FIELDS.get(slot, slot), "image-minimum"))
        elif most is not None and wanted > most:
            message = N_("The environment %(environment)s takes at most %(most)s of %(slot)s; you asked for %(asked)s.")
            numbers = {"most": show(most), "asked": show(wanted)}
            found.append(Violation(message, params | numbers, _FIELDS.get(slot, slot), "image-maximum"))
    return found


def _plain(amount: object) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
