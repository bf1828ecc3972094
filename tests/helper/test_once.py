"""The program that a rule of sudo runs: what it refuses by itself, whoever calls it. That it works is tests/backends/test_slurm_ways.py's."""

from __future__ import annotations

import json
import os
import pwd
import subprocess

import pytest

from tests.backends.slurm_worlds import install_once, scratch_of_people

pytestmark = [pytest.mark.slurm, pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture(scope="module")
def base():
    with scratch_of_people() as base:
        install_once(base)
        (base / "options").write_text(f"--user-root {base}/scratch/{{user}} --allow-drain\n")
        (base / "options").chmod(0o644)
        yield base


def ask(base, user: str, line: bytes, *more: str, options: str = "options", **environment: str):
    command = [str(base / "venv/bin/python"), "-I", "-m", "jupyterhub_backendai.helper.once", "--options", str(base / options), *more]
    return subprocess.run(
        command,
        user=user,
        group=pwd.getpwnam(user).pw_gid,
        extra_groups=[],
        input=line,
        capture_output=True,
        cwd="/",
        env={**os.environ, **environment},
        check=False,
    )


def request(verb: str, user: str = "kim01", **fields) -> bytes:
    return json.dumps({"verb": verb, "user": user, "uid": pwd.getpwnam(user).pw_uid, **fields}).encode() + b"\n"


def code(done) -> str:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["error_code"]


def test_it_acts_only_as_who_it_is(base):
    assert json.loads(ask(base, "kim01", request("mkdir")).stdout) == {"ok": True}
    assert (base / "scratch/kim01/workspace").is_dir()
    assert code(ask(base, "kim02", request("mkdir"))) == "backendai_generic_forbidden"
    assert code(ask(base, "nobody", request("mkdir"))) == "backendai_generic_forbidden"


def test_the_caller_does_not_choose_the_configuration_of_slurm(base):
    """It names plugins, which are code: a site whose sudo keeps the variable (env_keep) would run the caller's as everybody."""
    marker = base / "scratch" / "read"
    tools = base / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "scancel").write_text('#!/bin/sh\necho "conf=$SLURM_CONF" >&2\nexit 1\n')
    (tools / "scancel").chmod(0o755)
    (base / "tooled").write_text(f"--user-root {base}/scratch/{{user}} --slurm-bin {tools}\n")
    (base / "tooled").chmod(0o644)
    done = ask(base, "kim01", request("cancel", job_id="1"), options="tooled", SLURM_CONF=str(marker))
    assert json.loads(done.stdout)["params"]["reason"] == "conf="


def test_what_needs_an_operator_is_the_operators_and_nothing_else_is(base):
    node = b'{"verb": "drain", "node": "no-such-node", "reason": "a test"}\n'
    assert code(ask(base, "kim01", node)) == "backendai_generic_forbidden"
    assert code(ask(base, "slurm", request("mkdir"), "--operate")) == "backendai_generic_forbidden"
    assert code(ask(base, "slurm", node, "--operate")) in {"backendai_generic_conflict", "backendai_scheduler_unavailable"}


@pytest.mark.parametrize(
    "line", [b"", b"{}\n", b"[1]\n", b'{"verb": "mkdir"}\n', b"\xff\xfe\n", b'{"verb": "submit", "user": "kim01", "x": 1}\n']
)
def test_what_is_no_request_gets_an_answer(base, line):
    assert code(ask(base, "kim01", line))


def test_a_request_that_is_too_long(base):
    assert code(ask(base, "kim01", b"x" * 300_000))


def test_options_that_others_can_change_are_not_followed(base):
    (base / "loose").mkdir(exist_ok=True)
    (base / "loose").chmod(0o777)
    for path, mode in ((base / "loose" / "options", 0o644), (base / "open", 0o666)):
        path.write_text("--user-root /{user}\n")
        path.chmod(mode)
        done = ask(base, "kim01", request("mkdir"), options=str(path.relative_to(base)))
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"only root can change" in done.stderr
    (base / "relative").write_text("--user-root work/{user}\n")
    (base / "relative").chmod(0o644)
    assert b"absolute path" in ask(base, "kim01", request("mkdir"), options="relative").stderr
