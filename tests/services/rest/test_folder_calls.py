"""Whatever is sent to the calls about folders, the answer is never a fault of ours, and nothing outside of the folder changes."""

import base64
import json

import aiohttp
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tests.databases import sqlite_template
from tests.services.file_pages import file_pages
from tests.services.public import settings, site

__all__ = ["file_pages", "settings", "site", "sqlite_template"]
OTHER = "f" * 32
GETS = ["", "/files", "/files/text", "/files/preview", "/download", "/uploads", "/shares", "/entries"]
WRITES = [
    ("POST", "/rename"),
    ("POST", "/options"),
    ("POST", "/files/mkdir"),
    ("POST", "/files/move"),
    ("POST", "/files/rename"),
    ("POST", "/files/delete"),
    ("PUT", "/files/text"),
    ("POST", "/invite"),
    ("POST", "/archive"),
    ("POST", "/uploads"),
    ("POST", "/upload"),
    ("POST", "/change-ownership"),
    ("POST", "/restore"),
    ("POST", "/purge"),
]
WORDS = [
    "path",
    "path_ref",
    "source",
    "source_ref",
    "target",
    "name",
    "paths",
    "path_refs",
    "content",
    "etag",
    "recursive",
    "parents",
    "emails",
]
WORDS += ["permission", "cloneable", "replace", "exist_ok", "user"]
TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "a.txt", "../x", "/etc/passwd", "a/../../b", "\x00", "\u202ea", "가", "가", "x" * 300, "\udc80", "true", "rw"]),
)
VALUE = st.recursive(
    TEXT | st.booleans() | st.none() | st.integers() | st.floats(), lambda inner: st.lists(inner, max_size=3), max_leaves=4
)
BODY = st.dictionaries(st.sampled_from(WORDS), VALUE, max_size=4) | VALUE
QUERY = st.dictionaries(
    st.sampled_from(["path", "path_ref", "after", "limit", "sort", "order", "search", "archive", "page", "tab"]),
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.sampled_from(["-1", "99999999999", "%ff", "name", "size", "desc"]),
    ),
    max_size=4,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Tus-Resumable": st.sampled_from(["1.0.0", "0.1"]),
        "Upload-Length": st.sampled_from(["0", "5", "-1", "x", "9" * 30]),
        "Upload-Metadata": st.sampled_from(["filename YQ==", "filename", "x y z", "filename Ly4u", "relativePath Li4vYQ=="]),
        "Content-Type": st.sampled_from(
            ["multipart/form-data; boundary=x", "application/offset+octet-stream", "text/plain", "multipart/form-data"]
        ),
        "Range": st.sampled_from(["bytes=0-", "bytes=5-2", "bytes=-0", "x=1", "bytes=0-1,3-4"]),
    },
)
quick = limits(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def calls(file_pages):
    """Ask as kim01 and see that it is no fault of ours."""
    outside = file_pages.top.parents[2] / "outside"
    outside.mkdir()
    (outside / "secret").write_text("untouched")
    (file_pages.top / "a.txt").write_text("a\n")
    token = file_pages.site.hub.let_in("kim01")

    async def ask(method, path, **kwargs):
        headers = {"Authorization": f"token {token}", **kwargs.pop("headers", {})}
        async with aiohttp.ClientSession(headers=headers) as http, http.request(method, path, allow_redirects=False, **kwargs) as answer:
            body = await answer.read()
            assert answer.status < 500 or answer.status == 507, (method, path, kwargs, answer.status, body[:300])
            if "problem+json" in answer.headers.get("Content-Type", ""):
                assert json.loads(body)["error_code"]

    ask.base = f"{file_pages.site.url}rest/v1/folders/"
    ask.folder = file_pages.folder
    yield ask
    assert (outside / "secret").read_text() == "untouched"
    assert {path.name for path in outside.parent.iterdir()} >= {"outside"}


async def test_no_address_is_a_fault_of_ours(calls):
    import asyncio

    loop = asyncio.get_running_loop()

    def run():
        @quick
        @given(st.sampled_from(GETS), QUERY, HEADERS, st.sampled_from([calls.folder, OTHER]))
        def ask(path, query, headers, folder):
            asyncio.run_coroutine_threadsafe(calls("GET", f"{calls.base}{folder}{path}", params=query, headers=headers), loop).result(30)

        ask()

    await asyncio.to_thread(run)


async def test_no_body_is_a_fault_of_ours(calls):
    import asyncio

    loop = asyncio.get_running_loop()

    def run():
        @quick
        @given(st.sampled_from(WRITES), BODY, HEADERS, QUERY)
        def ask(write, body, headers, query):
            method, path = write
            data = json.dumps(body).encode("utf-8", "surrogatepass")
            address = f"{calls.base}{calls.folder}{path}"
            work = calls(method, address, data=data, params=query, headers={"Content-Type": "application/json", **headers})
            asyncio.run_coroutine_threadsafe(work, loop).result(30)

        ask()

    await asyncio.to_thread(run)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000, b'{"path": "\\ud800"}', b'{"paths": [1, null, {}]}'])
async def test_no_broken_body_is_a_fault_of_ours(calls, data):
    for method, path in WRITES:
        await calls(method, f"{calls.base}{calls.folder}{path}", data=data, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("ref", ["", "a", "====", "Li4", "L2V0Yw", "AA", "가", base64.urlsafe_b64encode(b"a/" * 3000).decode()])
async def test_no_reference_is_a_fault_of_ours(calls, ref):
    for path in GETS:
        await calls("GET", f"{calls.base}{calls.folder}{path}", params={"path_ref": ref, "after": ref})
