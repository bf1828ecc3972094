"""Slurm's nodes: one command tells everything of all of them. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from ..core.nodes import Node, NodeState
from ..core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots
from .slurm_answers import count_gpus, parse_fields, parse_number
from .slurm_figures import count_used_gpus

ENGINE = "slurm"
_MIB = 2**20
# What an operator wrote, and who and when; it stands behind everything that is read by name.
_REASON = re.compile(r"\sReason=(.*?)(?:\s\[[^\s\[\]]+@[\dT:-]+\]|$)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_DOWN = frozenset({"DOWN", "FAIL", "ERROR", "NOT_RESPONDING", "NO_RESPOND", "POWERED_DOWN", "POWERING_DOWN"})
_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
_AWAY = frozenset({"DRAIN", "MAINTENANCE", "MAINT", "REBOOT", "REBOOT_ISSUED", "REBOOT_REQUESTED", "FAILING", "BLOCKED"})


def parse_nodes(text: str) -> list[Node]:
    """The answer of ``scontrol -a -d -o show node``, in the order of the names."""
    nodes = [_parse(line) for line in text.splitlines() if "NodeName=" in line]
    return sorted((node for node in nodes if _NAME.fullmatch(node.name)), key=lambda node: _sort_key(node.name))


def _parse(line: str) -> Node:
    fields = parse_fields(line)
    word = fields.get("State", "UNKNOWN")
    total, used = count_gpus(fields.get("Gres", "")), count_used_gpus(fields)
    reason = _REASON.search(line)
    return Node(
        fields.get("NodeName", ""),
        ENGINE,
        parse_state(word),
        detail=word,
        slots=_slots(
            parse_number(fields.get("CPUEfctv", "")) or parse_number(fields.get("CPUTot", "")) or 0,
            max(0, (parse_number(fields.get("RealMemory", "")) or 0) - (parse_number(fields.get("MemSpecLimit", "")) or 0)),
            sum(total.values()),
        ),
        used=_slots(
            parse_number(fields.get("CPUAlloc", "")) or 0,
            parse_number(fields.get("AllocMem", "")) or 0,
            sum(min(used[kind], count) for kind, count in total.items()),
        ),
        gpus={kind: (count, min(used[kind], count)) for kind, count in sorted(total.items())},
        load=_load(fields),
        partitions=tuple(name for name in fields.get("Partitions", "").split(",") if name),
        reason=reason[1].strip()[:256] if reason else "",
    )


def _slots(cpus: int, mem_mib: int, gpus: int) -> ResourceSlots:
    return ResourceSlots({CPU: cpus, MEM: mem_mib * _MIB, **({CUDA_DEVICE: gpus} if gpus else {})})


def parse_state(word: str) -> NodeState:
    """The state that Slurm's word stands for, such as ``MIXED+DRAIN`` or ``IDLE*`` (which does not answer)."""
    words = {part for part in re.split(r"[^A-Z_]+", word.replace("*", "+NOT_RESPONDING")) if part}
    if words & _DOWN:
        return NodeState.DOWN
    if words & _AWAY:
        return NodeState.DRAINING if words & _BUSY else NodeState.DRAINED
    if words & _BUSY:
        return NodeState.BUSY
    return NodeState.IDLE if "IDLE" in words else NodeState.UNKNOWN


def _load(fields: Mapping[str, str]) -> float | None:
    try:
        return float(fields.get("CPULoad", ""))
    except ValueError:
        return None


def _sort_key(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def build_update(program: str, node: str, reason: str | None) -> list[str]:
    """The command that drains a node with a reason, or (None) gives it back. Raises ValueError for what is no node's name."""
    if not _NAME.fullmatch(node):
        raise ValueError("not the name of a node")
    state = ["State=RESUME"] if reason is None else ["State=DRAIN", f"Reason={reason}"]
    return [program, "update", f"NodeName={node}", *state]


def show_update(node: str, reason: str | None) -> str:
    """The same as somebody would type it."""
    return shlex.join(build_update("scontrol", node, reason))
