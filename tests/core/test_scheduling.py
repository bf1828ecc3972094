"""Who is next in line: by tables, and DRF against the plainest reference there is."""

import random
from fractions import Fraction

import pytest

from jupyterhub_backendai.core.policies import Holding
from jupyterhub_backendai.core.scheduling import Dependency, DominantShares, Gate, Node, Pending, Wait, choose
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots
from jupyterhub_backendai.core.waiting import explain_wait, wait_from_json, wait_to_json
from tests.factories import GIB, make_queue, make_slots

AT = 1_000_000.0


def pend(name, age=0, key="AK1", cpu=1, mem=1, gpu=0, **fields):
    return Pending(name, key, make_slots(cpu, mem * GIB, gpu), AT - age, **fields)


def look(pending, *, scheduler="fifo", held=(), nodes=None, dependencies=None, **queue):
    """One round on a group of 4 CPUs, 8 GiB and 2 GPUs."""
    nodes = nodes or [Node("n1", make_slots(4, 8 * GIB, 2))]
    for _, holding in held:
        nodes[0].used += holding.slots
        nodes[0].devices.update(holding.devices)
    return choose(make_queue(scheduler=scheduler, **queue), pending, held, nodes, dependencies or {}, AT)


def placed(found):
    return [place.session_id for place in found.places]


LINE = [pend("old", 30, cpu=2), pend("mid", 20, cpu=2), pend("new", 10, cpu=2)]


@pytest.mark.parametrize(("scheduler", "first"), [("fifo", ["old", "mid"]), ("lifo", ["new", "mid"]), ("drf", ["old", "mid"])])
def test_the_order_of_each_scheduler(scheduler, first):
    found = look(random.Random(1).sample(LINE, 3), scheduler=scheduler)
    assert placed(found) == first
    (waiting,) = found.waits
    assert found.waits[waiting] == Wait("resources", 1)


def test_drf_gives_to_the_key_with_the_lowest_dominant_share():
    held = [("rich", Holding(make_slots(2, GIB)))]  # half of the CPUs
    pending = [pend("a", 30, "rich"), pend("b", 20, "rich"), pend("c", 10, "poor", mem=3), pend("d", 5, "poor", mem=3)]
    # poor: nothing, then 3/8 of the memory, still less than rich's half of the CPUs
    assert placed(look(pending, scheduler="drf", held=held)) == ["c", "d"]
    assert placed(look(pending, scheduler="fifo", held=held)) == ["a", "b"]


@pytest.mark.parametrize(
    ("skip", "retries", "places", "tried"),
    [
        (0, 99, [], []),  # strict: whoever is first keeps everybody back
        (3, 2, [], ["big"]),  # one more try
        (3, 3, ["small"], []),  # now others may pass
    ],
)
def test_a_blocking_head(skip, retries, places, tried):
    held = [("AK9", Holding(make_slots(3, GIB)))]
    found = look([pend("big", 20, cpu=3, retries=retries), pend("small", 10)], held=held, num_retries_to_skip=skip)
    assert placed(found) == places
    assert list(found.tried) == tried
    assert found.waits["big"] == Wait("resources", 1)
    if not places:
        assert found.waits["small"] == Wait("order", 2)


def test_a_queue_that_runs_as_many_sessions_as_it_may_lets_nobody_pass():
    found = look([pend("a", 9), pend("b", 8), pend("c", 7, retries=9)], max_sessions=1, num_retries_to_skip=1)
    assert placed(found) == ["a"]
    assert found.waits == {"b": Wait("sessions", 1), "c": Wait("order", 2)}
    assert found.tried == ()


@pytest.mark.parametrize(
    ("fields", "dependencies", "wait"),
    [
        ({"starts_at": AT + 60}, {}, Wait("start-time", start_at=AT + 60)),
        ({"starts_at": AT}, {}, None),
        ({"depends_on": ("d",)}, {"d": Dependency("first")}, Wait("dependency", detail="first")),
        ({"depends_on": ("d",)}, {"d": Dependency("first", is_over=True)}, Wait("dependency-failed", detail="first")),
        ({"depends_on": ("d",)}, {"d": Dependency("first", is_over=True, is_good=True)}, None),
        ({"depends_on": ("0123456789",)}, {}, Wait("dependency-failed", detail="01234567")),
        ({"cpu": 5}, {}, Wait("too-large")),
    ],
)
def test_what_must_be_so_before_a_session_is_in_line(fields, dependencies, wait):
    """Whoever is not yet in line keeps nobody back."""
    found = look([pend("x", 20, **fields), pend("y", 10)], dependencies=dependencies)
    assert found.waits.get("x") == wait
    assert placed(found) == (["y"] if wait else ["x", "y"])


@pytest.mark.parametrize(
    ("fields", "is_over"),
    [
        ({"age": 59}, False),
        ({"age": 60}, True),
        ({"age": 600, "starts_at": AT - 10}, False),
        ({"age": 600, "depends_on": ("d",)}, False),  # that ended 10 s ago
    ],
)
def test_pending_timeout_counts_the_time_in_line(fields, is_over):
    dependencies = {"d": Dependency("first", is_over=True, is_good=True, ended_at=AT - 10)}
    found = look([pend("x", **fields)], pending_timeout_s=60, dependencies=dependencies)
    assert list(found.timed_out) == (["x"] if is_over else [])
    assert placed(found) == ([] if is_over else ["x"])


@pytest.mark.parametrize(("strategy", "nodes"), [("dispersed", ["b", "b", "a"]), ("concentrated", ["a", "a", "b"])])
def test_placement_over_several_nodes(strategy, nodes):
    size = make_slots(4, 8 * GIB, 2)
    machines = [Node("a", size, used=make_slots(1, GIB, 1), devices={0}), Node("b", size)]
    pending = [pend("1", 9, cpu=1), pend("2", 8, cpu=2, mem=2), pend("3", 7, cpu=2, gpu=1)]
    found = look(pending, nodes=machines, agent_selection_strategy=strategy)
    assert [place.node for place in found.places] == nodes


def test_devices_are_numbered_per_node_and_given_once():
    machines = [
        Node("a", make_slots(9, 9 * GIB, 2), devices={0}, used=ResourceSlots({CUDA_DEVICE: 1})),
        Node("b", make_slots(9, 9 * GIB, 2)),
    ]
    found = look([pend(str(number), 9 - number, gpu=1) for number in range(4)], nodes=machines, agent_selection_strategy="concentrated")
    assert [(place.node, place.devices) for place in found.places] == [("a", (1,)), ("b", (0,)), ("b", (1,))]


class OnePerKey(Gate):
    """Nobody may have more than one place."""

    def __init__(self):
        self.keys = set()

    def check(self, session):
        return Wait("quota", message="%(who)s has one", params={"who": session.access_key}) if session.access_key in self.keys else None

    def let_in(self, session):
        self.keys.add(session.access_key)


@pytest.mark.parametrize("scheduler", ["fifo", "drf"])
def test_who_is_over_a_quota_keeps_nobody_back(scheduler):
    pending = [pend("a", 9), pend("b", 8), pend("c", 7, "AK2"), pend("d", 6, "AK3", cpu=4), pend("e", 5, "AK4")]
    found = choose(make_queue(scheduler=scheduler), pending, (), [Node("n1", make_slots(4, 8 * GIB))], {}, AT, OnePerKey())
    assert placed(found) == ["a", "c"]
    if scheduler == "drf":  # who has least is looked at first, and d keeps the others back
        assert found.waits["b"] == Wait("order", 3)
    else:
        assert str(explain_wait(found.waits["b"])) == "AK1 has one"
    assert (found.waits["d"], found.waits["e"]) == (Wait("resources", 1), Wait("order", 2))
    assert wait_from_json(wait_to_json(found.waits["b"])) == found.waits["b"]


def test_only_the_first_hundred_are_told_their_position():
    found = look(
        [pend("big", 999, cpu=4), *(pend(f"s{number:03}", 500 - number) for number in range(150))], held=[("k", Holding(make_slots()))]
    )
    positions = [wait.position for wait in found.waits.values()]
    assert sorted(position for position in positions if position) == list(range(1, 101))
    assert positions.count(None) == 51


# -- the property


class Reference:
    """DRF as one would write it first: look at every key and every session, each time."""

    def __init__(self, pending, used, capacity):
        self.pending, self.used, self.capacity = list(pending), {key: dict(slots) for key, slots in used.items()}, capacity

    def share(self, key):
        held = self.used.get(key, {})
        return max((Fraction(held.get(name, 0)) / Fraction(total) for name, total in self.capacity.items() if total), default=Fraction(0))

    def next(self):
        heads = {}
        for session in self.pending:
            head = heads.get(session.access_key)
            if head is None or (session.created_at, session.session_id) < (head.created_at, head.session_id):
                heads[session.access_key] = session
        return min(heads.values(), key=lambda head: (self.share(head.access_key), head.created_at, head.session_id), default=None)

    def placed(self):
        session = self.next()
        held = self.used.setdefault(session.access_key, {})
        for name, amount in session.slots.items():
            held[name] = held.get(name, 0) + amount
        self.pending.remove(session)

    def passed(self):
        self.pending.remove(self.next())


def random_queue(chance):
    keys = [f"AK{number}" for number in range(chance.randint(1, 6))]
    names = chance.sample([CPU, MEM, CUDA_DEVICE, "cuda.shares"], chance.randint(1, 4))
    capacity = ResourceSlots({name: chance.choice([0, 1, 3, 7, 100, 64 * GIB]) for name in names})

    def amounts():
        return ResourceSlots(
            {name: chance.choice(["0", "1", "2", "0.125", "3.5", "4"]) for name in chance.sample(names, chance.randint(0, len(names)))}
        )

    pending = [
        Pending(f"{chance.getrandbits(64):x}", chance.choice(keys), amounts(), chance.randint(0, 9)) for _ in range(chance.randint(0, 20))
    ]
    return pending, {key: amounts() for key in keys if chance.random() < 0.5}, capacity


def test_drf_chooses_what_a_plain_reference_chooses_on_1000_random_queues():
    chance = random.Random(20240301)
    for number in range(1000):
        pending, used, capacity = random_queue(chance)
        ours, reference = DominantShares(pending, used, capacity), Reference(pending, used, capacity)
        for _ in range(chance.randint(0, len(pending))):
            assert ours.next() == reference.next(), number
            if ours.next() is None:
                break
            act = chance.choice(["placed", "placed", "passed"])
            getattr(ours, act)()
            getattr(reference, act)()
        rest = []
        while (session := reference.next()) is not None:
            rest.append(session)
            reference.placed()
        assert list(ours.rest()) == rest, number


@pytest.mark.parametrize("wait", [Wait("new"), Wait("order", 3), Wait("dependency", detail="a b"), Wait("start-time", start_at=AT)])
def test_a_wait_is_kept_and_explained(wait):
    assert wait_from_json(wait_to_json(wait)) == wait
    assert str(explain_wait(wait))
    assert wait.detail in str(explain_wait(wait))
