import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.registries import (
    Challenge,
    Finding,
    digest_of,
    host_of,
    is_digest,
    is_wanted,
    merge_bounds,
    parse_challenge,
    parse_config,
    parse_manifest,
    parse_names,
    parse_next,
    read_bounds,
)
from jupyterhub_backendai.core.slots import KNOWN_SLOTS, ResourceSlots

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="https://a/token",service="s",scope="x:y:pull,push"', Challenge("bearer", "https://a/token", "s", "x:y:pull,push")),
        ('bearer service=s, realm="https://a"', Challenge("bearer", "https://a", "s")),
        ('Basic realm="Registry"', Challenge("basic", "Registry")),
        ('Basic realm="x", Bearer realm="https://a"', Challenge("bearer", "https://a")),
        ("Negotiate", None),
        ("", None),
    ],
)
def test_how_a_registry_wants_to_be_asked(header, expected):
    assert parse_challenge(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('</v2/_catalog?n=2&last=b>; rel="next"', "/v2/_catalog?n=2&last=b"),
        ("<https://a/b>; rel=next", "https://a/b"),
        ('<a>; rel="prev", <b>; rel="next"', "b"),
        ('<a>; rel="prev"', ""),
        ("", ""),
    ],
)
def test_where_the_next_page_is(header, expected):
    assert parse_next(header) == expected


def test_names_that_nobody_may_have_are_left_out():
    assert parse_names({"repositories": ["a/b-c", "A", "../x", "a//b", 7, "a b", "x" * 300]}, "repositories") == ["a/b-c"]
    assert parse_names({"tags": ["latest", "3.12", "-x", "a/b", "x" * 200]}, "tags") == ["latest", "3.12"]
    assert parse_names({"tags": None}, "tags") == []
    for data in ([], {}, {"tags": "x"}, None):
        with pytest.raises(ValueError, match="no list"):
            parse_names(data, "tags")


def test_an_image_and_an_index():
    body = json.dumps({"schemaVersion": 2, "config": {"digest": DIGEST, "size": 10}, "layers": [{"size": 5}, {"size": -1}, 7]}).encode()
    manifest = parse_manifest(body)
    assert (manifest.digest, manifest.config, manifest.size_bytes, manifest.parts) == (digest_of(body), DIGEST, 15, ())
    entries = [
        {"digest": DIGEST, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": DIGEST, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": DIGEST, "platform": {"os": "windows", "architecture": "amd64"}},
        {"digest": DIGEST, "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": "../../etc", "platform": {"os": "linux", "architecture": "amd64"}},
        "nonsense",
    ]
    index = parse_manifest(json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
    assert [part.architecture for part in index.parts] == ["x86_64", "aarch64"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"schemaVersion": 1, "fsLayers": []}',
        b'{"schemaVersion": 2, "config": {"digest": "x"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_image(body):
    with pytest.raises(ValueError):
        parse_manifest(body)


def test_the_labels_of_an_image():
    labels = {"ai.backend.role": "COMPUTE", "maintainer": "kim01", "ai.backend.x": 7, "ai.backend.nul": "\0"}
    assert parse_config(json.dumps({"architecture": "amd64", "config": {"Labels": labels}}).encode()) == (
        "x86_64",
        {"ai.backend.role": "COMPUTE"},
    )
    assert parse_config(b'{"architecture": "s390x", "config": {"Labels": null}}') == ("s390x", {})
    assert parse_config(b"{}") == ("", {})


def test_digests():
    assert is_digest(b"x", digest_of(b"x"))
    assert not is_digest(b"y", digest_of(b"x"))
    assert not is_digest(b"x", "md5:9dd4e461268c8034f5c8564e155c67a6")


def test_projects_and_hosts():
    assert is_wanted("stable/python", ())
    assert is_wanted("stable/python", ("stable",))
    assert is_wanted("stable", ("stable",))
    assert not is_wanted("stable2/python", ("stable",))
    assert host_of("https://Registry.example:5000/v2/") == "registry.example:5000"


def test_what_is_gone_is_what_was_looked_for_and_not_found():
    finding = Finding(unchanged=frozenset({"a:1"}), failed=frozenset({"a:2"}), unread=frozenset({"b"}), projects=("a", "b"))
    assert [finding.is_gone(path) for path in ("a:1", "a:2", "a:3", "b:1", "c:1")] == [False, False, True, False, False]
    unlisted = Finding(projects=("a",), only=frozenset({"a"}))
    assert [unlisted.is_gone(path) for path in ("a:1", "a/b:1")] == [True, False]


def test_bounds_are_read_from_labels():
    labels = {"min.cpu": "2", "min.mem": "512m", "min.cuda.device": "0", "max.cuda.device": "0", "min.tpu": "1", "max.cpu": "-1"}
    least, most = read_bounds({f"ai.backend.resource.{name}": text for name, text in labels.items()}, KNOWN_SLOTS)
    assert (least, most) == (ResourceSlots({"cpu": 2, "mem": 2**29}), ResourceSlots({"cuda.device": 0}))


amounts = st.dictionaries(st.sampled_from(["cpu", "mem", "cuda.device"]), st.integers(0, 4)).map(ResourceSlots)


@given(amounts, amounts, amounts)
def test_bounds_that_an_administrator_set_stay_and_the_others_follow_the_image(now, before, after):
    merged = merge_bounds(now, before, after)
    for slot in KNOWN_SLOTS:
        assert merged.get(slot) == (after.get(slot) if now.get(slot) == before.get(slot) else now.get(slot))
    assert merge_bounds(merged, after, after) == merged
