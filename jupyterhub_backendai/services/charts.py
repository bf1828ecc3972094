"""Where the parts of a chart are drawn. Templates draw them (``charts.html``): inline SVG without text, its words around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000.0, 100.0
GAP = 0.15  # of a column
KINDS = 7  # kinds of fill that the style sheet has; what is left over is the last


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, and which kind of fill it has; ``name`` says of what."""

    x: float
    y: float
    width: float
    height: float
    kind: int
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Columns of boxes on one another. ``top`` is the number at the upper edge, ``ticks`` the heights of lines across."""

    boxes: tuple[Box, ...]
    top: float
    ticks: tuple[tuple[float, float], ...]
    legend: tuple[tuple[str, int], ...]

    @property
    def is_empty(self) -> bool:
        return not self.boxes


def build_stack(lines: Mapping[str, Sequence[float]], labels: Sequence[str], unit: str, rest: str) -> Stack:
    """Columns over time, the first line lowest. The line "" is what is left over, called ``rest``; ``labels`` name the columns."""
    top = round_up(max((sum(column) for column in zip(*lines.values(), strict=True)), default=0.0))
    names = sorted(lines, key=lambda name: not name)  # the rest on top, the others in their order
    kinds = {name: (KINDS - 1 if not name else index) for index, name in enumerate(names)}
    boxes: list[Box] = []
    step = WIDTH / max(1, len(labels))
    for column, label in enumerate(labels):
        height = 0.0
        for name in names:
            value = lines[name][column]
            if value <= 0:
                continue
            share = value / top * HEIGHT
            height += share
            words = f"{label} · {name or rest} · {value:,.1f} {unit}"
            x = round(step * (column + GAP / 2), 2)
            boxes.append(Box(x, round(HEIGHT - height, 3), round(step * (1 - GAP), 2), round(share, 3), kinds[name], name or rest, words))
    ticks = tuple((round(HEIGHT - HEIGHT * part / 4, 2), top * part / 4) for part in range(5))
    return Stack(tuple(boxes), top, ticks, tuple((name or rest, kinds[name]) for name in names))


def round_up(value: float) -> float:
    """The next number that an axis may end at: 1, 2, 4 or 8 of a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * step for step in (1, 2, 4, 8) if value <= power * step), power * 10)


def build_spark(values: Sequence[float]) -> str:
    """The points of a line through values, for ``<polyline>``; "" for fewer than two."""
    if len(values) < 2:
        return ""
    top, step = max(*values, 0) or 1, WIDTH / (len(values) - 1)
    return " ".join(f"{index * step:.1f},{HEIGHT - value / top * HEIGHT:.1f}" for index, value in enumerate(values))
