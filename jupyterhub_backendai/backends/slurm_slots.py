"""What a Slurm cluster hands out besides CPUs, memory and GPUs: generic resources and licences. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..core.nouns.slot_types import check_slot_name
from ..core.slots import SlotKind

_GRES = re.compile(r"\sGres=(\S+)")
_LICENSE = re.compile(r"^\s*LicenseName=([^\s@]+)", re.MULTILINE)
# GPUs are cuda.device, which every site has.
_KNOWN = frozenset({"gpu"})


def build_licenses(slurm_bin: str) -> list[str]:
    """The command that lists the licences; without any it says so in words."""
    return [str(Path(slurm_bin, "scontrol")), "-o", "show", "license"]


def parse_gres_names(text: str) -> set[str]:
    """The names of generic resources in the answer of ``scontrol -o show node``: of ``gpu:v100:2(S:0-1),shard:v100:16`` both."""
    found: set[str] = set()
    for fields in _GRES.findall(text):
        entries = re.sub(r"\([^()]*\)", "", fields).split(",")
        found |= {entry.partition(":")[0] for entry in entries}
    return found - {""}


def parse_license_names(text: str) -> set[str]:
    """The names of licences; of one that a server hands out (``matlab@flex``) without the server's."""
    return set(_LICENSE.findall(text))


def list_slots(gres: Iterable[str], licenses: Iterable[str]) -> dict[str, SlotKind]:
    """The slots that these are here. A name that no slot can have is left out."""
    names = [*(f"gres.{name.lower()}" for name in gres if name not in _KNOWN), *(f"license.{name.lower()}" for name in licenses)]
    return {name: SlotKind.COUNT for name in sorted(names) if not check_slot_name(name)}
