"""What a page shows of a file without running anything of it: text, a notebook, a picture."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import nh3
from markdown_it import MarkdownIt

from ..core.files import Entry, split_path
from ..core.notebooks import MAX_NOTEBOOK_BYTES, Notebook, read_notebook
from ..core.slots import format_bytes
from ..core.text_files import MAX_TEXT_BYTES, TextFile, read_text
from ..errors import N_, InvalidParameters
from .storage.files import FolderFiles, OpenFile
from .storage.pools import HostPool

TOO_LARGE = N_("This is for files of at most %(most)s. Download it, or open it in a session.")
MAX_IMAGE_BYTES = 32 * 1024 * 1024
PIECE = 1024 * 1024
# characters: a table takes 40 µs for each
MAX_DRAWN_CELL, MAX_DRAWN = 20_000, 100_000
_drawing = ThreadPoolExecutor(1, thread_name_prefix="markdown")
# raster formats only, by their first bytes: an SVG is a program
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_TAGS = {
    "p",
    "br",
    "hr",
    "em",
    "strong",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
_TAGS |= {f"h{level}" for level in range(1, 7)}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


@dataclass(frozen=True, slots=True)
class Preview:
    """``kind``: text, notebook, image, large (nobody looked into it) or none."""

    kind: str
    entry: Entry
    etag: str = ""
    text: TextFile | None = None
    notebook: Notebook | None = None
    content: bytes = b""
    media_type: str = ""
    # the notebook's cells of Markdown as HTML, by their place; what is missing is shown as it was typed
    drawn: Mapping[int, str] = field(default_factory=dict)


async def load(files: FolderFiles, path: bytes, pool: HostPool) -> Preview:
    """What can be shown of a file; ``pool`` are the threads of its host, so that one that hangs holds up nobody else."""
    found = await files.open(path)
    try:
        return await _look(found, path, pool)
    finally:
        pool.close(found.descriptor)


async def _look(found: OpenFile, path: bytes, pool: HostPool) -> Preview:
    size, entry, etag = found.entry.size, found.entry, found.etag
    head = await pool.run(lambda: os.pread(found.descriptor, 64, 0))
    if media_type := find_image(head):
        if size > MAX_IMAGE_BYTES:
            return Preview("large", entry, etag)
        return Preview("image", entry, etag, media_type=media_type, content=await read_all(found.descriptor, MAX_IMAGE_BYTES, pool))
    if split_path(path)[1].lower().endswith(b".ipynb") and size <= MAX_NOTEBOOK_BYTES:
        content = await read_all(found.descriptor, MAX_NOTEBOOK_BYTES, pool)
        if notebook := await asyncio.to_thread(read_notebook, content):
            drawn = await asyncio.get_running_loop().run_in_executor(_drawing, draw_cells, notebook)
            return Preview("notebook", entry, etag, notebook=notebook, drawn=drawn)
    if size > MAX_TEXT_BYTES:
        return Preview("large", entry, etag)
    text = read_text(await read_all(found.descriptor, MAX_TEXT_BYTES, pool))
    return Preview("text", entry, etag, text=text) if text else Preview("none", entry, etag)


async def read_small(files: FolderFiles, path: bytes, most: int, pool: HostPool) -> tuple[bytes, str]:
    """A whole small file, and its etag. Raises InvalidParameters for a larger one."""
    found = await files.open(path)
    try:
        if found.entry.size > most:
            raise InvalidParameters(TOO_LARGE, most=format_limit(most))
        return await read_all(found.descriptor, most, pool), found.etag
    finally:
        pool.close(found.descriptor)


async def read_all(descriptor: int, most: int, pool: HostPool) -> bytes:
    """At most so many bytes of an open file, from its beginning, beside the loop."""

    def read() -> bytes:
        pieces, offset = [], 0
        while offset < most and (piece := os.pread(descriptor, min(PIECE, most - offset), offset)):
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    return await pool.run(read)


def find_image(head: bytes) -> str:
    """The media type of a picture that a browser only draws, "" for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in _IMAGES if head.startswith(magic)), "")


def draw_cells(notebook: Notebook) -> dict[int, str]:
    """A notebook's Markdown as HTML, as far as that takes no long time: whoever wrote it decides how long it is."""
    drawn, rest = {}, MAX_DRAWN
    for number, cell in enumerate(notebook.cells):
        if cell.kind == "markdown" and len(cell.source) <= min(MAX_DRAWN_CELL, rest):
            rest -= len(cell.source)
            drawn[number] = draw_markdown(cell.source)
    return drawn


def draw_markdown(source: str) -> str:
    """Somebody's Markdown as HTML that can do nothing: no pictures, no addresses but the open web's, no HTML of its own."""
    html = _MARKDOWN.render(source)
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        attribute_filter=_drop_inner,
        link_rel="noopener noreferrer nofollow",
    )


def _drop_inner(tag: str, attribute: str, value: str) -> str | None:
    """Addresses of this site itself are no links: a press would act in the reader's name."""
    return value if (tag, attribute) != ("a", "href") or value.startswith(("http://", "https://", "mailto:")) else None


def etag_of(entry: Entry) -> str:
    return OpenFile(-1, entry).etag


def format_limit(size: int) -> str:
    return format_bytes(size)
