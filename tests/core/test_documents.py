import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_backendai.core.documents import MAX_SIZE_BYTES, format_document, is_same, parse_document, write_field
from jupyterhub_backendai.core.nouns import Field, Kind
from jupyterhub_backendai.core.nouns.values import parse_value
from jupyterhub_backendai.core.slots import KNOWN_SLOTS, MEM, ResourceSlots, SlotKind
from jupyterhub_backendai.errors import InvalidParameters

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=20)
# A slot's name looks like nothing else; everything that people write may look like a date, a number or a boolean.
WORDS = TEXTS | st.sampled_from(
    [
        "no",
        "yes",
        "on",
        "1.0",
        "1:30",
        "2026-03-01",
        "~",
        "null",
        "=",
        "<<",
        "!tag",
        "&a",
        "*a",
        "0x1f",
        "1_000",
        "1e3",
        ".inf",
        "- a",
        "a: b",
        " x ",
    ]
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(WORDS, PLAIN, max_size=5))
def test_a_document_is_read_as_it_was_written(document):
    assert parse_document(format_document(document)) == document
    assert format_document(document) == format_document(parse_document(format_document(document)))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KNOWN_SLOTS)), st.integers(0, 10**17) | st.just("Infinity")), st.integers(0, 10**8))
def test_amounts_sizes_and_times_are_read_as_they_were_written(amounts, number):
    for item, value in (
        (Field("slots", Kind.SLOTS, ""), ResourceSlots(amounts)),
        (Field("size", Kind.BYTES, ""), number),
        (Field("time", Kind.DURATION, ""), number),
        (Field("limit", Kind.DURATION, "", is_limit=True), None),
    ):
        assert is_same(item, parse_value(item, write_field(item, value, KNOWN_SLOTS)), value)


def test_values_are_written_for_people():
    def write(kind, value, **fields):
        return write_field(Field("x", kind, "", **fields), value, KNOWN_SLOTS | {"ipu": SlotKind.FRACTION})

    assert write(Kind.BYTES, 16 * 1024**3) == "16g"
    assert (write(Kind.BYTES, 1025), write(Kind.BYTES, 0)) == (1025, 0)
    assert (write(Kind.DURATION, 604_800), write(Kind.DURATION, 90 * 60), write(Kind.DURATION, 61)) == ("7d", "90m", 61)
    slots = ResourceSlots({"cpu": 8, MEM: 1024**4, "ipu": Decimal("0.125"), "cuda.device": "Infinity"})
    assert write(Kind.SLOTS, slots) == {"cpu": 8, "cuda.device": "Infinity", "ipu": "0.125", "mem": "1t"}
    assert write(Kind.REFERENCES, ("b", "a")) == ["a", "b"]
    assert write(Kind.MOMENT, datetime(2026, 3, 1, 9, tzinfo=UTC)) == "2026-03-01T09:00:00+00:00"
    assert is_same(Field("x", Kind.REFERENCES, ""), ("b", "a"), ("a", "b"))
    assert is_same(Field("x", Kind.SLOTS, ""), ResourceSlots({"cpu": "1.50"}), ResourceSlots({"cpu": "1.5"}))


BOMB = "a: &a [x, x]\n" + "\n".join(f"{new}: &{new} [*{old}, *{old}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("domains: [", "malformed", "this is no YAML"),
        ("a: b: c", "malformed", "Line 1"),
        ("a:\n\t- b", "malformed", "Line 2"),
        ("a: \x01", "malformed", "characters"),
        (b"\xff\xfe\xfa", "encoding", "UTF-8"),
        (BOMB, "anchor", "Line 1"),
        ("a: 1\nb: *a", "anchor", "Line 2"),
        ("a: !!python/object/apply:os.system [id]", "tag", "Line 1"),
        ("a: !!set {b}", "tag", "Line 1"),
        ("a: 1\nb: 2\na: 3", "duplicate", "Line 3: a comes twice"),
        ("a:\n  - b: 1\n    b: 1", "duplicate", "Line 3"),
        ("? [a]\n: 1", "key", "Line 1"),
        ("a: 1\n---\nb: 1", "documents", "Line 2"),
        ("a: " + "[" * 17 + "]" * 17, "depth", "16 levels"),
        ("[" * 100_000, "depth", "16 levels"),
        ("a: " + "x" * MAX_SIZE_BYTES, "too-large", "1048576"),
        ("", "not-a-document", "section"),
        ("- a\n- b", "not-a-document", "section"),
        ("just words", "not-a-document", "section"),
    ],
)
def test_what_is_no_document_is_refused_with_one_clear_message(text, rule, words):
    with pytest.raises(InvalidParameters) as caught:
        parse_document(text)
    assert [item.rule for item in caught.value.violations] == [rule]
    assert words in str(caught.value.violations[0])


def test_words_stay_words():
    found = parse_document(
        "a: no\nb: 2026-03-01\nc: 1:30\nd: 012\ne: 1e3\nf: <<\ng: true\nh: -4\ni: 0.5\nj:\nk: ~\nl: 99999999999999999999\nno: x\n1: y\n<<: z"
    )
    assert list(found.values()) == [
        "no",
        "2026-03-01",
        "1:30",
        "012",
        "1e3",
        "<<",
        True,
        -4,
        0.5,
        None,
        None,
        99999999999999999999,
        "x",
        "y",
        "z",
    ]
    assert [key for key in found if key in {"no", "1", "<<"}] == ["no", "1", "<<"]


def test_json_is_a_document_too():
    assert parse_document('{"domains": [{"name": "물리", "is_active": true}]}') == {"domains": [{"name": "물리", "is_active": True}]}


def test_the_largest_document_is_read_in_time():
    text = "a:\n" + "- {n: x}\n" * ((MAX_SIZE_BYTES - 3) // 9)
    start = time.monotonic()
    assert len(parse_document(text)["a"]) > 100_000
    assert time.monotonic() - start < 60  # one of the shared machine's slow moments; 5 s is usual
