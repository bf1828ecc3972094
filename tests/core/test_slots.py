from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.slots import INFINITY, ResourceSlots, format_bytes, parse_bytes

amounts = st.dictionaries(
    st.sampled_from(["cpu", "mem", "cuda.device", "cuda.shares"]),
    st.decimals(min_value=0, max_value=10**15, places=3, allow_nan=False, allow_infinity=False),
)
slots = st.builds(ResourceSlots, amounts)


def without_zeros(value: ResourceSlots) -> dict:
    return {name: amount for name, amount in value.items() if amount}


@given(slots, slots)
def test_adding_then_subtracting_changes_nothing(one, other):
    assert without_zeros(one + other - other) == without_zeros(one)


@given(slots, slots)
def test_sums_do_not_depend_on_the_order(one, other):
    assert one + other == other + one


@given(slots)
def test_json_and_back(value):
    assert ResourceSlots.from_json(value.to_json()) == value
    assert hash(ResourceSlots.from_json(value.to_json())) == hash(value)


def test_a_slot_without_a_name_counts_as_zero():
    assert (ResourceSlots({"cpu": 1}) + ResourceSlots({"mem": 2})) == {"cpu": 1, "mem": 2}
    assert ResourceSlots().amount("cpu") == 0
    assert ResourceSlots({"cpu": "0.1"}) + ResourceSlots({"cpu": "0.2"}) == ResourceSlots({"cpu": "0.3"})


def test_infinity_is_text_on_the_wire():
    assert ResourceSlots({"cpu": INFINITY}).to_json() == {"cpu": "Infinity"}
    assert ResourceSlots.from_json({"cpu": "Infinity"})["cpu"] == INFINITY


@pytest.mark.parametrize("value", ["", "x", "1,5", "0x1", None, [], "1 2"])
def test_what_is_no_amount(value):
    with pytest.raises(ValueError, match="not an amount"):
        ResourceSlots.from_json({"cpu": value})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1073741824", 1 << 30), ("1g", 1 << 30), ("1G", 1 << 30), ("1 GiB", 1 << 30), ("1gb", 1 << 30), ("512m", 512 << 20), ("1.5k", 1536),
        ("0", 0), (" 2t ", 2 << 40), ("1p", 1 << 50), ("10b", 10),
    ],
)  # fmt: skip
def test_parse_bytes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "g", "-1g", "1x", "1 g g", "1e3", "١g", "1g\n1", "0x10", "inf", "9" * 20, "1.g", "1,5g", "1ib"])
def test_no_amount_of_memory(text):
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_bytes(text)


@given(st.integers(0, 1 << 50))
def test_plain_bytes_are_read_exactly(size):
    assert parse_bytes(str(size)) == size


@given(st.integers(0, 1 << 50))
def test_formatted_bytes_can_be_read_and_are_close(size):
    assert abs(parse_bytes(format_bytes(size)) - size) <= max(1, size * Decimal("0.06"))


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (1 << 30, "1 GiB"), (5 << 50, "5120 TiB")])
def test_format_bytes(size, text):
    assert format_bytes(size) == text
