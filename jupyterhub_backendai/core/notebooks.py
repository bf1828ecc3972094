"""Notebooks as something to look at: their cells and the outputs that are safe to show. Nothing of them is ever run or trusted."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_NOTEBOOK_BYTES = 16 * 1024 * 1024
MAX_CELLS = 2000
MAX_TEXT = 200_000
PNG = b"\x89PNG\r\n\x1a\n"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class Output:
    """What a cell put out: ``text``, or a PNG as base64; ``kind``: text, error, image, or other (``text`` then names what it was)."""

    kind: str
    text: str = ""
    png: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """``kind``: markdown, code or raw."""

    kind: str
    source: str
    number: int | None = None
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class Notebook:
    """``is_cut``: there were more cells than are shown."""

    language: str
    cells: tuple[Cell, ...] = field(default=())
    is_cut: bool = False


def read_notebook(content: bytes) -> Notebook | None:
    """A notebook of format 3 or 4, None for what is none. Whatever in it is not as it should be is left out."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    cells = data.get("cells")
    if cells is None and isinstance(sheets := data.get("worksheets"), list):
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in _list(sheet.get("cells"))]
    if not isinstance(cells, list):
        return None
    found = [cell for item in cells[:MAX_CELLS] if isinstance(item, dict) and (cell := _read_cell(item))]
    return Notebook(_language(data), tuple(found), len(cells) > MAX_CELLS)


def _language(data: Mapping[str, Any]) -> str:
    found: Any = data.get("metadata")
    for name in ("kernelspec", "language"):
        found = found.get(name) if isinstance(found, dict) else None
    return found[:32] if isinstance(found, str) else ""


def _read_cell(item: Mapping[str, Any]) -> Cell | None:
    kind, source = item.get("cell_type"), _join(item.get("source", item.get("input", "")))
    if kind == "heading":  # of format 3
        level = item.get("level")
        return Cell("markdown", "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + " " + source)
    if kind not in ("markdown", "code", "raw"):
        return None
    number = item.get("execution_count", item.get("prompt_number"))
    outputs = [output for one in _list(item.get("outputs"))[:MAX_CELLS] if isinstance(one, dict) and (output := _read_output(one))]
    return Cell(kind, source, number if isinstance(number, int) and not isinstance(number, bool) else None, tuple(outputs))


def _read_output(item: Mapping[str, Any]) -> Output | None:
    kind = item.get("output_type")
    if kind == "stream":
        return Output("text", _clean(_join(item.get("text"))))
    if kind in ("error", "pyerr"):
        lines = [line for line in _list(item.get("traceback")) if isinstance(line, str)]
        return Output("error", _clean("\n".join(lines) or f"{item.get('ename', '')}: {item.get('evalue', '')}"))
    if kind in ("execute_result", "display_data", "pyout"):
        return _read_data(item)
    return None


def _read_data(item: Mapping[str, Any]) -> Output | None:
    """The picture, else the plain text; HTML and scripts are only named."""
    bundle: Mapping[str, Any] = item
    if isinstance(item.get("data"), dict):
        bundle = item["data"]
    if png := _read_png(bundle.get("image/png", bundle.get("png"))):
        return Output("image", _clean(_join(bundle.get("text/plain", bundle.get("text", "")))), png)
    if text := _clean(_join(bundle.get("text/plain", bundle.get("text", "")))):
        return Output("text", text)
    others = sorted(name for name in bundle if isinstance(name, str) and "/" in name)
    return Output("other", ", ".join(others)[:200]) if others else None


def _read_png(value: object) -> str:
    """The base64 of what is a PNG by its first bytes, "" for anything else."""
    try:
        content = base64.b64decode("".join(_join(value).split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return base64.b64encode(content).decode() if content.startswith(PNG) else ""


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _join(value: object) -> str:
    """Text that notebooks keep whole or in lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _clean(text: str) -> str:
    """Without colours and other orders to a terminal, and of a length that a page bears."""
    return _ESCAPES.sub("", text[:MAX_TEXT]).replace("\r\n", "\n")
