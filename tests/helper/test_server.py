from __future__ import annotations

import json
import os
import pwd
import secrets
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from jupyterhub_backendai.helper.directories import LOG_TAIL_BYTES
from tests.helperd import running_helper, wait_until

pytestmark = pytest.mark.slurm


def submit_fields(**changed):
    fields = {
        "session_id": secrets.token_hex(16),
        "job_name": "backendai-test",
        "partition": "jupyter",
        "cpus": 1,
        "mem_bytes": 100 * 2**20,
        "time_s": 600,
        "environment": {"JUPYTERHUB_API_TOKEN": "s3cret-token", "SLEEP": "60"},
        "command": ["/usr/bin/python3"],
    }
    return {**fields, **changed}


def squeue(job_id: str, what: str = "%T") -> str:
    done = subprocess.run(["squeue", "-h", "-t", "all", "-j", job_id, "-o", what], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def as_user(user: str, *arguments: str) -> None:
    subprocess.run(["runuser", "-u", user, "--", *arguments], check=True)


def write_log(helper, job_id: str, user: str = "kim01") -> Path:
    """The path of a job's log in a directory that is there."""
    assert helper.ask("mkdir", user)["ok"]
    return helper.root(user) / "log" / f"{job_id}.log"


# -- the way through


def test_a_job_runs_as_its_user_in_the_users_directories(helper):
    fields = submit_fields()
    answer = helper.ask("submit", **fields)
    assert answer["ok"]
    job_id = answer["job_id"]
    log = helper.root("kim01") / "log" / f"{job_id}.log"
    wait_until(lambda: log.exists() and "started" in log.read_text())
    assert squeue(job_id, "%u|%j|%k") == f"kim01|backendai-test|{fields['session_id']}"
    for path in (helper.root("kim01"), log.parent, helper.root("kim01") / "workspace", helper.root("kim01") / ".backendai"):
        status = path.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (pwd.getpwnam("kim01").pw_uid, 0o700)
    session = helper.root("kim01") / ".backendai" / f"{fields['session_id']}.json"
    assert stat.S_IMODE(session.stat().st_mode) == 0o600
    assert session.stat().st_uid == pwd.getpwnam("kim01").pw_uid
    assert helper.ask("read_log", job_id=job_id)["log"] == f"started {fields['session_id']}\n"
    assert helper.ask("cancel", job_id=job_id, session_id=fields["session_id"]) == {"ok": True}
    wait_until(lambda: squeue(job_id) == "CANCELLED")
    assert not session.exists()
    assert helper.ask("cancel", job_id=job_id) == {"ok": True}


def test_two_hostile_launches_give_the_same_script_and_no_secret(helper, tmp_path):
    """What a user chose is nowhere but in the session file; the job's environment, arguments and record hold none of our secrets."""
    hostile = ["$(touch /tmp/x)", "'; id #", 'a"b', "new\nline", "%j %u", "`id`"]
    scripts, job_ids = [], []
    for token, words in (("s3cret-one", hostile), ("s3cret-two", [word[::-1] for word in hostile])):
        environment = {f"V{number}": word for number, word in enumerate(words)} | {"JUPYTERHUB_API_TOKEN": token, "SLEEP": "60"}
        answer = helper.ask("submit", **submit_fields(environment=environment, command=["/usr/bin/python3", *words]))
        assert answer["ok"], answer
        job_ids.append(answer["job_id"])
    for job_id in job_ids:
        wait_until(lambda job_id=job_id: squeue(job_id) == "RUNNING")
        script = tmp_path / job_id
        subprocess.run(["scontrol", "write", "batch_script", job_id, str(script)], check=True, capture_output=True)
        scripts.append(script.read_bytes())
        shown = subprocess.run(["scontrol", "show", "job", "-d", job_id], capture_output=True, check=True).stdout
        recorded = subprocess.run(["sacct", "-j", job_id, "--env-vars"], capture_output=True, check=False).stdout
        process = wait_until(lambda job_id=job_id: process_of(job_id))
        environ, cmdline = ((process / name).read_bytes() for name in ("environ", "cmdline"))
        for text in (shown, recorded, environ, cmdline):
            assert b"s3cret" not in text
        assert b"BACKENDAI" not in environ
        assert {line.split(b"=")[0] for line in environ.split(b"\0") if line and not line.startswith((b"SLURM", b"CUDA", b"GPU"))} <= {
            *(b"PATH", b"HOME", b"USER", b"LOGNAME", b"SHELL", b"LANG", b"PWD", b"OLDPWD", b"SHLVL", b"_"),
            *(b"TMPDIR", b"ENVIRONMENT", b"HOSTNAME"),
        }
        helper.ask("cancel", job_id=job_id)
    assert scripts[0] == scripts[1]


def process_of(job_id: str) -> Path | None:
    """The wrapper of a job, by the job id in its environment."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"SLURM_JOB_ID={job_id}\0".encode() in (path / "environ").read_bytes() and b"wrapper.py" in (path / "cmdline").read_bytes():
                return path
        except OSError:
            continue
    return None


def test_the_schedulers_no_comes_back_and_leaves_no_session_file(helper):
    answer = helper.ask("submit", "choi01", **submit_fields(partition="nosuch"))
    assert answer["error_code"] == "backendai_session_submit-refused"
    assert "Invalid partition" in answer["params"]["reason"]
    answer = helper.ask("submit", "choi01", **submit_fields(gpus=2, gpu_type="a100"))
    assert "node configuration" in answer["params"]["reason"]
    sessions = helper.root("choi01") / ".backendai"
    assert not list(sessions.iterdir())


@pytest.mark.parametrize(
    ("line", "replacement"),
    [("SlurmctldPort=", "SlurmctldPort=1"), ("AuthType=", "AuthType=auth/munge\nAuthInfo=socket=/nonexistent/munge.sock")],
    ids=["controller", "munge"],
)
def test_a_scheduler_that_cannot_be_asked_is_no_refusal(line, replacement):
    conf = Path("/run") / f"backendai-conf-{secrets.token_hex(4)}"
    lines = Path("/etc/slurm/slurm.conf").read_text().splitlines()
    conf.write_text("\n".join(replacement if text.startswith(line) else text for text in lines) + "\n")
    conf.chmod(0o644)
    try:
        with running_helper(slurm_conf=str(conf)) as helper:
            answer = helper.ask("submit", **submit_fields())
            assert (answer["error_code"], answer["status"]) == ("backendai_scheduler_unavailable", 503)
            assert not list((helper.root("kim01") / ".backendai").iterdir())
            assert helper.ask("cancel", job_id="1")["error_code"] == "backendai_scheduler_unavailable"
    finally:
        conf.unlink()


def test_the_same_session_is_not_submitted_twice(helper):
    fields = submit_fields()
    first = helper.ask("submit", **fields)
    assert helper.ask("submit", **fields)["status"] == 409
    helper.ask("cancel", job_id=first["job_id"], session_id=fields["session_id"])


def test_nobody_ends_the_job_of_another(helper):
    job_id = helper.ask("submit", **submit_fields())["job_id"]
    answer = helper.ask("cancel", "kim02", job_id=job_id)
    assert answer["status"] == 500
    assert "denied" in answer["params"]["reason"]
    assert squeue(job_id) in {"PENDING", "RUNNING"}
    assert helper.ask("cancel", job_id=job_id)["ok"]


# -- who is served


def test_another_account_is_refused_by_the_sockets_mode_and_by_its_uid():
    with running_helper("--allow-user", "kim02") as helper:
        status = helper.socket.stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (pwd.getpwnam("kim02").pw_uid, 0o660)
        assert helper.ask("mkdir")["status"] == 403  # we are root: the mode lets us in, the uid does not
        assert not helper.root("kim01").exists()


@pytest.mark.parametrize(
    ("user", "uid", "code"),
    [
        ("nosuchuser", 10001, "no-posix-account"),
        ("kim01", 10002, "no-posix-account"),
        ("kim02", 0, "no-posix-account"),
        ("root", 0, "forbidden"),
        ("daemon", 1, "forbidden"),
        ("KIM01", 10001, "no-posix-account"),
    ],
)
def test_only_a_users_own_account_is_acted_for(helper, user, uid, code):
    for verb, fields in (("mkdir", {}), ("read_log", {"job_id": "1"}), ("cancel", {"job_id": "1"}), ("submit", submit_fields())):
        answer = helper.ask_raw(json.dumps({"verb": verb, "user": user, "uid": uid, **fields}).encode())
        assert answer["error_code"].endswith(code)
    assert not helper.root("root").exists()


@pytest.mark.parametrize("line", [b"", b"nonsense", b'{"verb": "mkdir"}\n{"verb": "mkdir"}', b"x" * 300_000])
def test_what_is_no_request_gets_a_problem_and_the_helper_goes_on(helper, line):
    assert helper.ask_raw(line).get("status", 400) in {400, 500}
    assert helper.ask("mkdir")["ok"]


def test_without_root_it_serves_its_own_account_only():
    with running_helper(account="kim01") as helper, pytest.MonkeyPatch.context():
        probe = "import json, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b'\\n'); print(s.makefile().readline())"

        def ask(**fields):
            command = ["runuser", "-u", "kim01", "--", "/usr/bin/python3", "-c", probe, str(helper.socket), json.dumps(fields)]
            return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

        kim01, kim02 = (pwd.getpwnam(name).pw_uid for name in ("kim01", "kim02"))
        assert ask(verb="mkdir", user="kim01", uid=kim01) == {"ok": True}
        assert (helper.root("kim01") / "workspace").is_dir()
        assert ask(verb="mkdir", user="kim02", uid=kim02)["status"] == 403
        assert helper.ask("mkdir")["status"] == 403


# -- logs


def test_the_log_of_a_job_is_its_last_64_kib(helper):
    log = write_log(helper, "101")
    as_user("kim01", "sh", "-c", f"yes '<script>alert(1)</script>' | head -c 200000 > {log}; printf '\\377\\000end' >> {log}")
    text = helper.ask("read_log", job_id="101")["log"]
    assert len(text) == LOG_TAIL_BYTES
    assert text.endswith("\ufffd\0end")
    assert helper.ask("read_log", job_id="999")["log"] == ""


def test_a_log_of_ten_gigabytes_costs_no_more(helper):
    log = write_log(helper, "102")
    as_user("kim01", "truncate", "-s", "10G", str(log))
    as_user("kim01", "sh", "-c", f"echo end >> {log}")
    text = helper.ask("read_log", job_id="102")["log"]
    assert (len(text), text[-5:]) == (LOG_TAIL_BYTES, "\0end\n")
    log.unlink()


def test_a_log_that_is_no_file_of_the_users_shows_nothing(helper, tmp_path):
    secret = helper.base / "scratch" / "root-only"
    secret.write_text("root's secret")
    secret.chmod(0o600)
    open_file = helper.base / "scratch" / "readable"
    open_file.write_text("somebody else's file")
    open_file.chmod(0o644)
    for job_id, target in (("201", secret), ("202", open_file), ("203", Path("/etc/shadow")), ("204", Path("/proc/self/environ"))):
        as_user("kim01", "ln", "-s", str(target), str(write_log(helper, job_id)))
        assert helper.ask("read_log", job_id=job_id)["log"] == ""
    for job_id, target in (("205", secret), ("206", open_file)):
        os.link(target, write_log(helper, job_id))  # as root: a user's hard link is refused where fs.protected_hardlinks is set
        assert helper.ask("read_log", job_id=job_id)["log"] == ""
    as_user("kim01", "mkfifo", str(write_log(helper, "207")))
    started = time.monotonic()
    assert helper.ask("read_log", job_id="207")["log"] == ""
    assert time.monotonic() - started < 5
    as_user("kim01", "mkdir", str(write_log(helper, "208")))
    assert helper.ask("read_log", job_id="208")["log"] == ""


def test_a_users_directory_that_is_a_link_leads_no_further_than_the_user_may_go(helper):
    trap = helper.base / "trap"
    trap.mkdir(mode=0o700)
    (trap / "301.log").write_text("root's secret")
    helper.ask("mkdir", "lee01")
    log = helper.root("lee01") / "log"
    as_user("lee01", "rmdir", str(log))
    as_user("lee01", "ln", "-s", str(trap), str(log))
    assert helper.ask("read_log", "lee01", job_id="301")["log"] == ""
    helper.ask("mkdir", "lee01")
    assert os.listdir(trap) == ["301.log"]


def test_a_planted_session_file_is_not_written_through(helper):
    victim = helper.base / "victim"
    victim.write_text("root's")
    fields = submit_fields()
    helper.ask("submit", "lee02", **submit_fields(partition="nosuch"))  # makes the directories
    planted = helper.root("lee02") / ".backendai" / f"{fields['session_id']}.json"
    as_user("lee02", "ln", "-s", str(victim), str(planted))
    assert helper.ask("submit", "lee02", **fields)["status"] == 409
    assert victim.read_text() == "root's"


def test_a_users_directory_is_not_made_where_others_could_interfere():
    """/tmp is everybody's: root must not make and give away a directory there; the user makes it with the user's rights."""
    with running_helper() as helper:
        os.chmod(helper.base / "scratch", 0o1777)
        assert helper.ask("mkdir")["ok"]
        assert helper.root("kim01").stat().st_uid == pwd.getpwnam("kim01").pw_uid
        os.symlink("/etc", helper.base / "scratch" / "kim02")
        assert helper.ask("mkdir", "kim02")["error_code"] == "backendai_session_directory"
        assert not Path("/etc/log").exists()


# -- never waiting for one


@pytest.fixture
def hanging_sbatch(tmp_path):
    """A directory of Slurm commands whose sbatch hangs for kim02, and tells its process id."""
    directory = Path("/run") / f"backendai-bin-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o755)
    (directory / "sbatch").write_text(
        '#!/bin/sh\n[ "$USER" = kim02 ] && { echo $$ > $HOME/../pid.$USER 2>/dev/null; exec sleep 600; }\nexec /usr/bin/sbatch "$@"\n'
    )
    (directory / "scancel").write_text('#!/bin/sh\nexec /usr/bin/scancel "$@"\n')
    for path in directory.iterdir():
        path.chmod(0o755)
    yield directory
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_hung_sbatch_delays_nobody_else_and_is_ended_with_the_helper(hanging_sbatch):
    order = []
    with running_helper("--slurm-bin", str(hanging_sbatch)) as helper:

        def hang():
            order.append(("kim02", helper.ask("submit", "kim02", **submit_fields())))

        waiting = threading.Thread(target=hang)
        waiting.start()
        worker = wait_until(lambda: children_of(helper.process.pid))[0]
        wait_until(lambda: children_of(worker))
        sbatch = children_of(worker)[0]
        answer = helper.ask("submit", "kim01", **submit_fields())
        order.append(("kim01", answer))
        helper.ask("cancel", "kim01", job_id=answer["job_id"])
        helper.process.terminate()
        waiting.join(20)
        assert [name for name, _ in order] == ["kim01", "kim02"]
        assert order[0][1]["ok"]
        assert order[1][1]["status"] == 503
        wait_until(lambda: not Path(f"/proc/{sbatch}").exists())
        assert not helper.socket.exists()


def test_a_request_that_takes_too_long_ends_with_all_it_started(hanging_sbatch):
    with running_helper("--slurm-bin", str(hanging_sbatch), "--call-limit", "1") as helper:
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(helper.ask("submit", "kim02", **submit_fields())))
        waiting.start()
        worker = wait_until(lambda: children_of(helper.process.pid))[0]
        sbatch = wait_until(lambda: children_of(worker))[0]
        waiting.join(20)
        assert answers[0]["status"] == 503
        wait_until(lambda: not Path(f"/proc/{sbatch}").exists())
        wait_until(lambda: not children_of(helper.process.pid))
        assert helper.ask("mkdir", "kim02")["ok"]


def test_one_user_cannot_use_up_the_helper(hanging_sbatch):
    with running_helper("--slurm-bin", str(hanging_sbatch)) as helper:
        uid = pwd.getpwnam("kim02").pw_uid
        connections = []
        for _ in range(20):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(helper.socket))
            connection.sendall(json.dumps({"verb": "submit", "user": "kim02", "uid": uid, **submit_fields()}).encode() + b"\n")
            connections.append(connection)
        assert helper.ask("mkdir", "kim02")["status"] == 429
        assert helper.ask("mkdir", "kim01")["ok"]
        for connection in connections:
            connection.close()


def test_a_caller_that_says_nothing_delays_nobody(helper):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(helper.socket))
        silent.sendall(b'{"verb"')
        assert helper.ask("mkdir")["ok"]
        silent.settimeout(15)
        assert json.loads(silent.makefile().readline())["status"] == 503


def test_a_stale_socket_is_replaced_and_a_living_helper_is_not():
    with running_helper() as helper:
        command = list(helper.process.args)
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert (second.returncode, "another helper" in second.stderr) == (1, True)
        helper.process.kill()
        helper.process.wait()
        assert helper.socket.exists()
        helper.process = subprocess.Popen(command)
        wait_until(lambda: answers(helper))
        helper.process.terminate()
        assert helper.process.wait(10) == 0
        assert not helper.socket.exists()


def answers(helper) -> bool:
    try:
        return bool(helper.ask("mkdir")["ok"])
    except OSError:
        return False


def test_a_socket_directory_that_others_can_change_is_refused(tmp_path):
    with running_helper() as helper:
        os.chmod(helper.base / "scratch", 0o777)
        command = [*helper.process.args, "--socket", str(helper.base / "scratch" / "helper.sock")]
        second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert (second.returncode, "only root can change" in second.stderr) == (1, True)
