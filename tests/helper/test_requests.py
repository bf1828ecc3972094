from __future__ import annotations

import json

import pytest

from jupyterhub_backendai.errors import InvalidParameters
from jupyterhub_backendai.helper.requests import Cancel, ReadLog, Submit, parse
from jupyterhub_backendai.helper.verbs import Options, build_extension

SUBMIT = {
    "verb": "submit",
    "user": "kim01",
    "uid": 10001,
    "session_id": "0" * 32,
    "job_name": "backendai-hub",
    "partition": "jupyter",
    "cpus": 1,
    "mem_bytes": 2**30,
    "time_s": 3600,
    "environment": {"JUPYTERHUB_API_TOKEN": "secret"},
    "command": ["/usr/bin/python3"],
}


def read(**fields):
    return parse(json.dumps(fields).encode())


def test_what_the_backend_sends_is_understood():
    request = read(**SUBMIT, gpus=2, gpu_type="v100", account="paid", qos="normal")
    assert isinstance(request, Submit)
    assert (request.gpus, request.command, request.environment["JUPYTERHUB_API_TOKEN"]) == (2, ("/usr/bin/python3",), "secret")
    assert read(verb="cancel", user="kim01", uid=1, job_id="5") == Cancel(user="kim01", uid=1, job_id="5")
    assert read(verb="read_log", user="kim01", uid=1, job_id="5") == ReadLog(user="kim01", uid=1, job_id="5")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "../etc"),
        ("user", ".."),
        ("user", "-u"),
        ("user", "kim01\n"),
        ("user", "kim%j"),
        ("uid", "0"),
        ("uid", True),
        ("uid", -1),
        ("session_id", "0" * 31 + "\n"),
        ("session_id", "../../x"),
        ("session_id", "A" * 32),
        ("job_name", "a b"),
        ("partition", "jupyter --uid=0"),
        ("partition", "-p"),
        ("partition", ""),
        ("account", "paid\n#SBATCH -p x"),
        ("account", "paid,free"),
        ("cpus", 0),
        ("cpus", "1"),
        ("cpus", 1.5),
        ("cpus", 10**9),
        ("mem_bytes", -1),
        ("gpus", 10**9),
        ("gres", "gpu:8"),
        ("gres", "shard:0"),
        ("gres", "shard:4,gpu:8"),
        ("gres", "shard:v100:4\n"),
        ("gpu_type", "a100:8"),
        ("gpu_type", "'"),
        ("time_s", 0),
        ("time_s", 10**12),
        ("qos", "x y"),
        ("reservation", "$(id)"),
        ("constraint", "a;b"),
        ("environment", []),
        ("environment", {"A=B": "c"}),
        ("environment", {"A": "\0"}),
        ("environment", {"A": 1}),
        ("environment", {"A": "x" * 40_000}),
        ("environment", {f"A{number}": "" for number in range(300)}),
        ("command", []),
        ("command", "/bin/sh"),
        ("command", ["a\0b"]),
        ("command", ["\ud800"]),
    ],
)
def test_a_value_of_another_form_is_refused_by_name(name, value):
    with pytest.raises(InvalidParameters) as caught:
        read(**{**SUBMIT, name: value})
    assert caught.value.params["field"] == name


@pytest.mark.parametrize("job_id", ["", "0", "1,2", "1_2", "-1", "١", "1\n", "99999999999", 7])
def test_only_a_number_is_a_job(job_id):
    for verb in ("cancel", "read_log"):
        with pytest.raises(InvalidParameters):
            read(verb=verb, user="kim01", uid=1, job_id=job_id)


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b'{"verb": "run"}', b'{"verb": ["submit"]}', b'{"verb": "mkdir", "user": "kim01"}'],
)
def test_what_is_no_request_is_refused(line):
    with pytest.raises(InvalidParameters):
        parse(line)


@pytest.mark.parametrize("name", ["script", "options", "path", "output", "gid", "__class__"])
def test_an_unknown_field_is_refused(name):
    with pytest.raises(InvalidParameters, match="no field"):
        read(**SUBMIT, **{name: "x"})


def test_a_field_twice_is_refused():
    with pytest.raises(InvalidParameters):
        parse(b'{"verb": "mkdir", "user": "kim01", "user": "kim02", "uid": 1}')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("node", value) for value in ("n[1-2]", "n1,n2", "-n", "", "ALL ", "n1\n", 5, None)),
        *(("reason", value) for value in ("", " x", "a\nb", "State=IDLE", 'a"b', "x" * 201, "a'b", "-x", None, "a[b]")),
    ],
)
def test_a_nodes_name_and_the_reason_are_plain(name, value):
    with pytest.raises(InvalidParameters, match=name):
        read(**{"verb": "drain", "node": "n1", "reason": "new fan", name: value})


def test_draining_is_of_one_node_and_of_nobody():
    assert read(verb="drain", node="n-1.x", reason="새 팬 (3번), #42").reason == "새 팬 (3번), #42"
    assert read(verb="resume", node="n1").user == ""
    with pytest.raises(InvalidParameters, match="no field reason"):
        read(verb="resume", node="n1", reason="x")
    with pytest.raises(InvalidParameters, match="lacks"):
        read(verb="drain", node="n1")


def test_more_time_is_for_one_job_of_one_account():
    wanted = read(verb="extend", user="kim01", uid=5001, job_id="7", time_s=7200)
    options = Options("/scratch/{user}", "log", "workspace", "/usr/bin", "python3", "w.py", b"")
    assert build_extension(wanted, options)[1:] == ["update", "JobId=7", "TimeLimit=0-02:00:00"]
    assert build_extension(read(verb="extend", user="kim01", uid=5001, job_id="7", time_s=7201), options)[-1] == "TimeLimit=0-02:01:00"
    for name, value in (("job_id", "7,8"), ("job_id", "ALL"), ("time_s", 59), ("time_s", "UNLIMITED"), ("job_id", "7 Partition=x")):
        with pytest.raises(InvalidParameters, match=name):
            read(**{"verb": "extend", "user": "kim01", "uid": 5001, "job_id": "7", "time_s": 7200, name: value})


FOLDER = {
    "verb": "make_folder",
    "host": "local:folders",
    "scope": "user-" + "7" * 32,
    "folder": "1" * 32,
    "owner_uid": 10001,
    "owner_gid": 20001,
    "grants": [[10001, "wd"], [10002, "ro"]],
}


def test_a_folder_is_named_and_never_a_path():
    assert read(**FOLDER).grants == ((10001, "wd"), (10002, "ro"))
    for name, values in {
        "host": ("", "/data", "a/b", "..", 7, None),
        "scope": ("user-7", "user:" + "7" * 32, "../x", "", "user-" + "7" * 32 + "/..", "/", None),
        "folder": ("..", "", "1" * 31, "1" * 33, "G" * 32, ".trash-" + "1" * 32, None),
        "owner_uid": (0, -1, True, "10001", 2**32),
        "grants": (
            "",
            {},
            [[0, "rw"]],
            [[10001, "rwx"]],
            [[10001]],
            [[True, "rw"]],
            [["10001", "rw"]],
            [10001],
            [[10001, "rw", 1]],
            [[1, "ro"]] * 8001,
        ),
    }.items():
        for value in values:
            with pytest.raises(InvalidParameters, match=name):
                read(**{**FOLDER, name: value})


def test_a_worker_is_for_one_account_and_one_host():
    assert read(verb="worker", user="kim01", uid=10001, host="local:folders").host == "local:folders"
    for fields in ({"path": "/"}, {"scope": "x"}, {"command": ["sh"]}):
        with pytest.raises(InvalidParameters, match="no field"):
            read(verb="worker", user="kim01", uid=10001, host="local:folders", **fields)
