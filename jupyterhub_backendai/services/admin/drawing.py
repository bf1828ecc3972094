"""A cell as HTML. A page has hundreds of them: a macro of the template would take longer than everything else of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from .show import Cell

# A reference's words and addresses ("" for none).
Names = Callable[[Cell], Sequence[tuple[str, str]]]
_STATES = {"idle": "run", "wait": "wait", "down": "down"}
_MOMENT = Markup('<time datetime="{}">{}</time>')
_STATE = Markup('<span class="bai-state {} text-nowrap"><span class="bai-mark {}" aria-hidden="true"></span>{}</span>')
_LINK = Markup('<a href="{}">{}</a>')
_LONG = Markup('<pre class="bai-long">{}</pre>')


def draw_cell(cell: Cell, names: Names | None = None) -> Markup:
    """What stands in a table or beside a label; with ``names``, references are links."""
    if cell.moment:
        return _MOMENT.format(cell.moment, cell.text)
    if cell.mark:
        return _STATE.format(_STATES[cell.mark], cell.mark, cell.text)
    if cell.keys and names:
        return Markup(", ").join(_LINK.format(url, words) if url else escape(words) for words, url in names(cell))
    return _LONG.format(cell.text) if cell.is_long else escape(cell.text)
