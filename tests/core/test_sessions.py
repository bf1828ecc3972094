import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_backendai.core.fields import MAX_TIME_S, MIN_MEM_BYTES, format_duration, parse_time
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.queues import GPUFigures, Queue, QueueFigures
from jupyterhub_backendai.core.sessions import (
    Admission,
    LaunchRequest,
    SessionSpec,
    check_request,
    limits,
    max_time_s,
    parse_request,
    start_moment,
    time_limit_s,
)
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots
from jupyterhub_backendai.errors import InvalidParameters
from tests.factories import make_queue, make_spec

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("90s", 90), ("90m", 5400), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("1:30", 5400), ("0:01", 60),
        ("1:30:15", 5415), ("1-00:00:00", 86400), ("2-12:30", 217800), (" 2 h ", 7200), ("0", 0),
    ],
)  # fmt: skip
def test_parse_time(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "-1:30",
        "1:60",
        "1:30:60",
        "1e3",
        "0x10",
        "1:2:3:4",
        "２h",
        "٣",
        "1h30",
        "1h\n",
        "h",
        "1.h",
        "inf",
        "nan",
        "9" * 30,
        "1-",
        "1-2",
    ],
)
def test_no_time(text):
    if text.strip() != text and text.strip() == "1h":
        assert parse_time(text) == 3600  # the request's own check refuses the line end
        return
    with pytest.raises(ValueError, match="not a time"):
        parse_time(text)


def complaints(**options) -> set[str]:
    """The fields that a request with these options is refused for."""
    try:
        parse_request({"queue": "debug", **options})
    except InvalidParameters as exc:
        return {violation.field for violation in exc.violations}
    return set()


HOSTILE = [
    "a\nb",
    "a\r",
    "\0",
    "a\u2028b",
    "\ud800",
    "$(id)",
    "`id`",
    "a b",
    "'",
    '"',
    "--wrap=id",
    "../x",
    "a;b",
    "é" * 300,
    "\u202e",
    "%n",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("field", ["queue", "environment", "interface", "gpu_type", "cpu", "mem", "gpu", "time"])
def test_a_hostile_value_is_refused_in_every_field_that_reaches_an_engine(field, value):
    assert complaints(**{field: value}) == {field}


@pytest.mark.parametrize("value", [{}, {"a": 1}, [1, 2], [[1]], True, False, object(), b"debug", ["a", "b"]])
@pytest.mark.parametrize("field", ["queue", "environment", "cpu", "mem", "gpu", "time", "project", "name"])
def test_a_value_of_another_kind_is_refused(field, value):
    assert complaints(**{field: value}) == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu", "0"), ("cpu", "-1"), ("cpu", "1.5"), ("cpu", "1e2"), ("cpu", "10000000"), ("cpu", 10**12), ("cpu", "nan"), ("cpu", float("inf")),
        ("cpu", "１"), ("gpu", "-1"), ("gpu", "0.5"), ("mem", "1"), ("mem", "-4g"), ("mem", "4x"), ("mem", "9" * 17 + "p"), ("mem", "1g; id"),
        ("time", "59"), ("time", "0"), ("time", str(MAX_TIME_S + 1)), ("time", "-1h"), ("interface", "vim"), ("queue", ""), ("queue", "."),
        ("queue", "-p"), ("environment", "a/b"), ("name", "x" * 65), ("name", "a\tb"), ("name", "\x1b[31m"), ("project", "a;b"), ("project", "-a"),
        ("project", "x" * 65),
    ],
)  # fmt: skip
def test_refused(field, value):
    assert complaints(**{field: value}) == {field}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"cpu": ["4"], "queue": ["debug"]}, {"cpu": 4}),
        ({"cpu": 4, "gpu": 2}, {"cpu": 4, "gpu": 2}),
        ({"mem": "4 GiB"}, {"mem": 4 * GIB}),
        ({"mem": MIN_MEM_BYTES}, {"mem": MIN_MEM_BYTES}),
        ({"time": "1:30"}, {"time": 5400}),
        ({"time": None, "cpu": ""}, {}),
        ({"name": "  내 첫 노트북 \u1112\u1161\u11ab "}, {"name": "내 첫 노트북 한"}),
        ({"name": "<b>'\"&"}, {"name": "<b>'\"&"}),
        ({"project": "물리 2-a.b"}, {"project": "물리 2-a.b"}),
        ({"unknown": "\n", "req_prologue": "id", "partition": "paid"}, {}),
        ({"interface": "notebook", "environment": "py3.12"}, {"interface": "notebook", "environment": "py3.12"}),
    ],
)
def test_accepted(options, expected):
    request = parse_request({"queue": "debug", **options})
    found = {
        "cpu": request.slots.amount(CPU), "mem": request.slots.amount(MEM), "gpu": request.slots.amount(CUDA_DEVICE), "time": request.time_s,
        "name": request.name, "project": request.project, "interface": request.interface, "environment": request.environment,
    }  # fmt: skip
    defaults = {"cpu": 1, "mem": GIB, "gpu": 0, "time": 0, "name": "", "project": "", "interface": "lab", "environment": "default"}
    assert found == {**defaults, **expected}


def test_every_field_complains_once_and_all_together():
    assert complaints(queue="", cpu="x", mem="x", gpu="x", time="x", name="\n", interface="x") == {
        "queue", "cpu", "mem", "gpu", "time", "name", "interface",
    }  # fmt: skip


requests = st.builds(
    LaunchRequest,
    queue=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"),
    environment=st.from_regex(r"\A[a-z][a-z0-9.]{0,10}\Z"),
    interface=st.sampled_from(["lab", "notebook"]),
    project=st.sampled_from(["", "prj 1", "물리"]),
    slots=st.builds(
        lambda cpu, mem, gpu: ResourceSlots({CPU: cpu, MEM: mem, CUDA_DEVICE: gpu}),
        st.integers(1, 1_000_000),
        st.integers(MIN_MEM_BYTES, (1 << 60) - 1),
        st.integers(0, 1_000_000),
    ),
    gpu_type=st.sampled_from(["", "v100"]),
    time_s=st.one_of(st.just(0), st.integers(60, 999_999)),
    name=st.sampled_from(["", "a b", "노트북"]),
)


@given(requests)
def test_options_are_read_back_as_they_were_written(request):
    assert parse_request(request.to_options()) == request
    spec = SessionSpec("a" * 32, "kim01", "work", request)
    assert SessionSpec.from_json(spec.to_json()) == spec


@given(
    st.dictionaries(
        st.sampled_from(["queue", "cpu", "mem", "gpu", "time", "name", "project", "gpu_type", "interface"]), st.text(max_size=300)
    )
)
def test_any_text_is_a_request_or_a_refusal(options):
    try:
        request = parse_request(options)
    except InvalidParameters as exc:
        violations = exc.violations
    else:
        assert parse_request(request.to_options()) == request
        return
    assert violations
    assert all(str(violation) for violation in violations)


def test_an_admission_is_read_back_as_it_was_written():
    slots = ResourceSlots({CPU: 1, MEM: GIB})
    for posix in (None, PosixAccount("UPPER", 1, 2, "/home/UPPER")):
        admission = Admission("a" * 32, "slurm", "q", "p", "acc", "prj", "default", "lab", slots, "v100", 60, (0, 3), posix)
        assert Admission.from_json(admission.to_json()) == admission


QUEUE = Queue("gpu", "slurm", max_slots=ResourceSlots({CPU: 8}), default_time_s=3600, max_time_s=7200, projects=("a",))
FIGURES = QueueFigures(
    "gpu", gpus=(GPUFigures("v100", 8, 3, 4),), max_time_s=5400, max_slots=ResourceSlots({CPU: 40, MEM: 100 * GIB, CUDA_DEVICE: 4})
)


def asked(cpu=1, mem=GIB, gpu=0, **fields) -> LaunchRequest:
    return LaunchRequest("gpu", slots=ResourceSlots({CPU: cpu, MEM: mem, CUDA_DEVICE: gpu}), **fields)


@pytest.mark.parametrize(
    ("request_", "projects", "figures", "fields"),
    [
        (asked(), ("a",), FIGURES, []),
        (asked(8, 100 * GIB, 4, gpu_type="v100", time_s=5400), ("a",), FIGURES, []),
        (asked(9, 101 * GIB, 5, time_s=5401), ("a",), FIGURES, ["cpu", "mem", "gpu", "time"]),
        (asked(9, 101 * GIB, 5, time_s=7200), ("a",), None, ["cpu"]),
        (asked(gpu=1, gpu_type="a100"), ("a",), FIGURES, ["gpu_type"]),
        (asked(gpu=0, gpu_type="a100"), ("a",), FIGURES, []),
        (asked(project="b"), ("a", "b"), FIGURES, ["queue"]),
        (asked(project="c"), ("a",), FIGURES, ["project"]),
        (asked(), (), FIGURES, ["project"]),
        (asked(), ("a",), QueueFigures("gpu", is_open=False, max_slots=FIGURES.max_slots), ["queue"]),
    ],
)
def test_check_request(request_, projects, figures, fields):
    found = check_request(request_, QUEUE, figures, projects)
    assert [violation.field for violation in found] == fields
    assert all(str(violation) for violation in found)


@pytest.mark.parametrize("figures", [None, QueueFigures("debug", max_slots=ResourceSlots({CPU: 4}))])
def test_gpus_that_nobody_names_do_not_exist_and_memory_that_nobody_names_is_not_limited(figures):
    queue = Queue("debug", "local", capacity=ResourceSlots({CPU: 4}))
    found = check_request(asked(5, 900 * GIB, 1), queue, figures, ("a",))
    assert [(violation.field, violation.params["most"]) for violation in found] == [("cpu", 4), ("gpu", 0)]


def test_limits_and_times_are_the_smaller_of_site_and_engine():
    assert limits(QUEUE, FIGURES).amount(CPU) == 8
    assert limits(QUEUE, FIGURES).amount(MEM) == 100 * GIB
    assert max_time_s(QUEUE, FIGURES) == 5400
    assert max_time_s(Queue("q", "local"), None) is None
    assert time_limit_s(asked(), QUEUE, FIGURES) == 3600
    assert time_limit_s(asked(), Queue("q", "local", default_time_s=9999), FIGURES) == 5400
    assert time_limit_s(asked(time_s=60), QUEUE, FIGURES) == 60


@given(st.integers(0, 1_000_000), st.integers(0, 1_000_000), st.integers(0, 64), st.integers(0, 64))
def test_more_limit_never_refuses_what_less_allowed(low, more, cpu, gpu):
    request = asked(max(cpu, 1), GIB, gpu)
    small = QueueFigures("gpu", max_slots=ResourceSlots({CPU: low, MEM: GIB, CUDA_DEVICE: low}))
    large = QueueFigures("gpu", max_slots=ResourceSlots({CPU: low + more, MEM: GIB, CUDA_DEVICE: low + more}))
    queue = Queue("gpu", "slurm")
    if not check_request(request, queue, small, ("a",)):
        assert not check_request(request, queue, large, ("a",))


@pytest.mark.parametrize(("seconds", "text"), [(60, "0:01"), (5400, "1:30"), (86400, "1-0:00"), (90000, "1-1:00")])
def test_format_duration(seconds, text):
    assert format_duration(seconds) == text
    if "-" not in text:
        assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("given", "starts_at", "moment"),
    [
        ("", "", None),
        ("+2h", "+7200", 1_000_007_200),
        ("+1:30", "+5400", 1_000_005_400),
        ("2026-11-21T18:00+09:00", "2026-11-21T09:00:00+00:00", 1_795_251_600),
        ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00+00:00", 1_795_251_600),
    ],
)
def test_a_start_time(given, starts_at, moment):
    request = parse_request({"queue": "q", "starts_at": given})
    assert request.starts_at == starts_at
    assert start_moment(request.starts_at, 1_000_000_000) == moment
    assert parse_request(request.to_options()) == request


@pytest.mark.parametrize("given", ["tomorrow", "2026-11-21T18:00", "2026-11-21", "+", "+x", "+9999d", "-2h", "9999-12-31T23:59:59-23:59"])
def test_what_is_no_start_time(given):
    with pytest.raises(InvalidParameters) as caught:
        parse_request({"queue": "q", "starts_at": given})
    assert [violation.field for violation in caught.value.violations] == ["starts_at"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", ()),
        ("train", ("train",)),
        ("train, 내 실험 ,train", ("train", "내 실험")),
        (["a", "b"], ("a", "b")),
        (["a,b"], ("a", "b")),
        ([], ()),
    ],
)
def test_dependencies(given, names):
    request = parse_request({"queue": "q", "depends_on": given})
    assert request.depends_on == names
    assert parse_request(request.to_options()) == request


@pytest.mark.parametrize("given", [["a", 1], ["a", "b\0"], {"a": 1}, ",".join(f"s{number}" for number in range(21)), "x" * 65, "a\nb"])
def test_what_are_no_dependencies(given):
    with pytest.raises(InvalidParameters) as caught:
        parse_request({"queue": "q", "depends_on": given})
    assert [violation.field for violation in caught.value.violations] == ["depends_on"]


@pytest.mark.parametrize(("scheduler", "engine", "refused"), [("fifo", "local", 0), ("none", "local", 2), ("fifo", "slurm", 2)])
def test_only_a_line_of_ours_waits_for_times_and_sessions(scheduler, engine, refused):
    request = LaunchRequest(queue="q", project="default", starts_at="+60", depends_on=("a",))
    found = check_request(request, Queue("q", engine, scheduler=scheduler), None, ("default",))
    assert len([violation for violation in found if violation.field in {"starts_at", "depends_on"}]) == refused


def test_a_queue_for_batch_jobs_takes_no_interactive_sessions():
    queue = make_queue(allowed_session_types=("batch",))
    (found,) = check_request(make_spec().request, queue, None, ("default",))
    assert (found.field, found.rule) == ("queue", "session-type")
