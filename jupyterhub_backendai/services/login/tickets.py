"""Tickets of logins that wait for a step: what is in them, and what their pages draw."""

from __future__ import annotations

import io

import segno


def draw_qr(uri: str) -> str:
    """The address as an SVG that stands in the page. Dark on white, whatever the page's colours are: phones want it so."""
    out = io.BytesIO()
    code = segno.make(uri, error="m", micro=False)
    code.save(out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False, svgns=False, nl=False)
    return out.getvalue().decode()
