"""The rows of the benchmarks: what was measured, against what, and whether it is as good as it should be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one side; its value is their median."""

    samples: tuple[float, ...]

    @property
    def value(self) -> float:
        return median(self.samples)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({min(self.samples):.3f}-{max(self.samples):.3f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``aim`` is a comparison with the ratio ours ÷ other, such as ``<= 0.5``."""

    bench: str
    row: str
    ours: Figure
    other: Figure
    other_is: str
    unit: str
    aim: str

    @property
    def ratio(self) -> float:
        return self.ours.value / self.other.value if self.other.value else float("inf")

    @property
    def met(self) -> bool:
        sign, limit = self.aim.split()
        # judged by the number that is printed
        return round(self.ratio, 3) <= float(limit) if sign == "<=" else round(self.ratio, 3) >= float(limit)

    def to_json(self) -> dict[str, object]:
        return {
            "bench": self.bench,
            "row": self.row,
            "ours": round(self.ours.value, 4),
            "other": round(self.other.value, 4),
            "other_is": self.other_is,
            "unit": self.unit,
            "ratio": round(self.ratio, 4),
            "aim": self.aim,
            "met": self.met,
        }


def save(rows: Sequence[Row], path: Path) -> None:
    """Add the rows to the results of earlier runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps(row.to_json()) + "\n" for row in rows)


def format_table(rows: Sequence[Row]) -> str:
    """The rows for a person: medians, extremes in brackets."""
    head = ("bench", "row", "ours", "other", "other is", "unit", "ratio", "aim", "met")
    lines = [head] + [
        (r.bench, r.row, str(r.ours), str(r.other), r.other_is, r.unit, f"{r.ratio:.3f}", r.aim, "yes" if r.met else "NO") for r in rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
