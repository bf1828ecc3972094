from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.policies import Holding, build_refusal, check_capacity, check_gpu_type, choose_devices, join_violations
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, ResourceSlots
from jupyterhub_backendai.errors import Forbidden, InvalidParameters, QuotaExceeded, Violation
from tests.factories import GIB, make_queue, make_slots

amounts = st.builds(make_slots, st.integers(0, 8), st.integers(0, 16).map(lambda size: size * GIB), st.integers(0, 4))
QUEUE = make_queue(capacity=make_slots(8, 16 * GIB, 2), max_sessions=3)


@pytest.mark.parametrize(
    ("asked", "held", "expected"),
    [
        (make_slots(8, 16 * GIB, 2), [], []),
        (make_slots(5), [Holding(make_slots(4))], ["capacity"]),
        (make_slots(4), [Holding(make_slots(4))], []),
        (make_slots(8, 16 * GIB, 2), [Holding(make_slots(1, GIB, 1), (0,))], ["capacity"] * 3),
        (make_slots(1), [Holding()] * 3, ["sessions"]),
        (make_slots(9), [Holding()] * 3, ["sessions", "capacity"]),
    ],
)
def test_every_limit_that_is_hit_is_named(asked, held, expected):
    assert [violation.rule for violation in check_capacity(QUEUE, asked, held)] == expected


def test_a_refusal_has_the_numbers():
    [violation] = check_capacity(QUEUE, make_slots(1, 12 * GIB), [Holding(make_slots(2, 6 * GIB))])
    assert violation.field == "mem"
    assert str(violation) == (
        "The queue local-cpu has 16 GiB of memory and 6 GiB are in use; you asked for 12 GiB, at most 10 GiB would fit now."
    )


def test_a_smaller_capacity_than_what_is_in_use_is_never_negative():
    [violation] = check_capacity(make_queue(capacity=ResourceSlots({CPU: 1})), make_slots(1), [Holding(make_slots(4))])
    assert violation.params["free"] == 0


def test_what_a_queue_does_not_count_is_not_limited_but_unnamed_gpus_do_not_exist():
    queue = make_queue(capacity=ResourceSlots({CPU: 1}))
    assert check_capacity(queue, make_slots(1, 999 * GIB), []) == []
    assert [violation.field for violation in check_capacity(queue, make_slots(1, GIB, 1), [])] == ["gpu"]


def test_an_engine_with_a_scheduler_is_not_counted_except_for_its_sessions():
    queue = make_queue(engine="slurm", max_sessions=1)
    assert check_capacity(queue, make_slots(999), []) == []
    assert [violation.rule for violation in check_capacity(queue, make_slots(), [Holding()])] == ["sessions"]
    assert choose_devices(queue, 2, []) == ()


@pytest.mark.parametrize(
    ("taken", "count", "expected"),
    [((), 0, ()), ((), 2, (0, 1)), ((0,), 1, (1,)), ((1, 2), 2, (0, 3)), ((0, 2), 1, (1,))],
)
def test_devices_are_the_lowest_free_ones(taken, count, expected):
    queue = make_queue(capacity=make_slots(8, 8 * GIB, 4))
    assert choose_devices(queue, count, [Holding(devices=taken)]) == expected


@given(capacity=amounts, asked=amounts, held=st.lists(amounts.map(Holding), max_size=4), more=amounts)
def test_more_capacity_never_refuses_what_less_allowed(capacity, asked, held, more):
    less, most = make_queue(capacity=capacity), make_queue(capacity=capacity + more)
    if not check_capacity(less, asked, held):
        assert not check_capacity(most, asked, held)


@given(asks=st.lists(amounts, max_size=8))
def test_what_is_admitted_never_exceeds_the_capacity_and_no_device_is_given_twice(asks):
    queue, held = make_queue(capacity=make_slots(8, 16 * GIB, 4)), []
    for asked in asks:
        if not check_capacity(queue, asked, held):
            held.append(Holding(asked, choose_devices(queue, int(asked.amount(CUDA_DEVICE)), held)))
    total = sum((holding.slots for holding in held), ResourceSlots())
    devices = [device for holding in held for device in holding.devices]
    assert all(total.amount(slot) <= queue.capacity.amount(slot) for slot in total)
    assert len(devices) == len(set(devices)) == total.amount(CUDA_DEVICE) if held else devices == []
    assert all(Decimal(device) < 4 for device in devices)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["capacity"], QuotaExceeded),
        (["sessions", "capacity"], QuotaExceeded),
        (["queue-limit", "capacity"], InvalidParameters),
        (["closed"], InvalidParameters),
        (["capacity", "project"], Forbidden),
    ],
)
def test_the_error_says_whether_waiting_helps(rules, expected):
    error = build_refusal([Violation("no", rule=rule) for rule in rules])
    assert type(error) is expected
    assert len(error.violations) == len(rules)


def test_one_complaint_per_field_is_enough():
    first, second = [Violation("never", field="cpu")], [Violation("not now", field="cpu"), Violation("not now", field="gpu")]
    assert [str(violation) for violation in join_violations(first, second)] == ["never", "not now"]


@pytest.mark.parametrize(
    ("queue", "gpu_type", "expected"),
    [
        (make_queue(gpu_type="demo"), "demo", None),
        (make_queue(gpu_type="demo"), "", None),
        (make_queue(), "gpu", None),
        (make_queue(gpu_type="demo"), "v100", "The queue local-cpu has no GPU of type v100; it has: demo."),
        (make_queue(capacity=make_slots(1)), "v100", "The queue local-cpu has no GPU of type v100; it has: -."),
        (make_queue(engine="slurm"), "v100", None),
    ],
)
def test_the_gpu_type_of_a_counted_queue(queue, gpu_type, expected):
    assert [str(violation) for violation in check_gpu_type(queue, gpu_type)] == ([expected] if expected else [])
