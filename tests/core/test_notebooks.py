"""Notebooks are read whatever they hold; nothing that is not text or a PNG comes out."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.notebooks import MAX_CELLS, PNG, Cell, Output, read_notebook

PICTURE = base64.b64encode(PNG + b"rest").decode()


def read(*cells, **more):
    return read_notebook(json.dumps({"cells": list(cells), **more}).encode())


def outputs(*found):
    return read({"cell_type": "code", "source": "", "outputs": list(found)}).cells[0].outputs


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"cells": 1}', b"[" * 100_000, b'{"worksheets": 3}', b"NaN"])
def test_what_is_no_notebook_is_none(content):
    assert read_notebook(content) is None


def test_cells_are_read_in_both_formats():
    found = read({"cell_type": "markdown", "source": ["# a\n", "b"]}, {"cell_type": "code", "source": "1", "execution_count": 2})
    assert found.cells == (Cell("markdown", "# a\nb"), Cell("code", "1", 2))
    old = {
        "worksheets": [
            {"cells": [{"cell_type": "heading", "level": 2, "source": "a"}, {"cell_type": "code", "input": ["1"], "prompt_number": 3}]}
        ]
    }
    assert read_notebook(json.dumps(old).encode()).cells == (Cell("markdown", "## a"), Cell("code", "1", 3))


def test_outputs_are_text_errors_and_png_only():
    assert outputs({"output_type": "stream", "text": ["\x1b[1;31ma\x1b[0m", "b"]}) == (Output("text", "ab"),)
    assert outputs({"output_type": "error", "traceback": ["\x1b[31mE\x1b[0m"]}) == (Output("error", "E"),)
    data = {"image/png": [PICTURE], "text/html": "<b>", "text/plain": "plot"}
    assert outputs({"output_type": "display_data", "data": data}) == (Output("image", "plot", PICTURE),)
    for hostile in ('" onerror="x', base64.b64encode(b"<svg>").decode(), 3, None, ["\u2028"]):
        assert outputs({"output_type": "display_data", "data": {"image/png": hostile}}) == (Output("other", "image/png"),)
    assert outputs({"output_type": "display_data", "data": {"text/html": "<script>", "image/svg+xml": "<svg>"}}) == (
        Output("other", "image/svg+xml, text/html"),
    )


def test_too_many_cells_are_cut_and_that_is_said():
    found = read(*[{"cell_type": "raw", "source": ""}] * (MAX_CELLS + 1))
    assert (len(found.cells), found.is_cut) == (MAX_CELLS, True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "worksheets", "cell_type", "source", "outputs", "data", "output_type", "text", "image/png", "metadata", "level"]
            ),
            inner | st.sampled_from(["code", "markdown", "heading", "stream", "error", "display_data"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_no_json_breaks_it(value):
    read_notebook(json.dumps({"cells": [value, {"cell_type": "code", "outputs": [value]}], "metadata": value}).encode())
    read_notebook(json.dumps(value).encode())
