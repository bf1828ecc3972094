"""What the helper does, in the process of one request: root only until :func:`perform` has become the user."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import N_, BackendAIError, Conflict, Forbidden, SchedulerUnavailable, SubmitRefused
from . import directories
from .accounts import Account, become, build_environment, find_account
from .folder_verbs import perform as perform_folder
from .quota.verbs import perform as perform_quota
from .requests import Cancel, Drain, Extend, FolderRequest, OpenWorker, QuotaRequest, ReadLog, Request, Resume, Submit

COMMAND_TIMEOUT_S = 25.0
OPERATIONS = (Drain, Extend, Resume)  # what Slurm lets its operators do, and nobody else
_MAX_WORDS = 1000
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_UNREACHABLE = (
    "unable to contact slurm controller",
    "authentication error",
    "munge",
    "socket timed out",
    "connection refused",
    "zero bytes were transmitted",
    "communication connection failure",
    "slurm_msg_sendto",
    "socket error",
    "slurm backup controller in standby mode",
    "resource temporarily unavailable",
    "can't be reached now",  # one of several clusters
)


@dataclass(frozen=True, slots=True)
class Options:
    """The administrator's options; a caller cannot change any of them."""

    user_root: str
    log_dir: str
    workspace_dir: str
    slurm_bin: str
    python: str
    wrapper: str
    script: bytes
    min_uid: int = 1000
    sbatch_options: tuple[str, ...] = ()
    slurm_conf: str = ""
    allow_drain: bool = False
    allow_extend: bool = False
    storage: Mapping[str, str] = field(default_factory=dict)  # storage hosts: where each is
    platform_uid: int = -1  # the account of hub and service, which owns the files of projects

    def root(self, account: Account) -> Path:
        """The user's directory. The name has no slash and is neither of the dots, so it stays one part of a path."""
        return Path(self.user_root.replace("{user}", account.name))


def perform(request: Request, options: Options) -> dict[str, Any]:
    """Become the user, then do what is asked. Raises BackendAIError. The process is good for nothing else afterwards."""
    if isinstance(request, Drain | Resume):
        return _update_node(request, options)
    if isinstance(request, QuotaRequest):
        return perform_quota(request, options.storage)
    if isinstance(request, FolderRequest):
        return perform_folder(request, options.storage, min_uid=options.min_uid, platform_uid=options.platform_uid)
    if isinstance(request, OpenWorker):  # the helper's own loop does it; a program for one answer cannot
        raise Forbidden
    account = find_account(request.user, request.uid, options.min_uid)
    if isinstance(request, Extend):
        return _extend(request, options, account)
    root = options.root(account)
    if os.geteuid() == 0 and not isinstance(request, Cancel | ReadLog):
        directories.make_root(root, account)
    become(account)
    log, workspace = root / options.log_dir, root / options.workspace_dir
    if isinstance(request, Submit):
        directories.make_directories(root, log, workspace, root / directories.SESSION_DIR)
        return {"job_id": _submit(request, options, account, root)}
    if isinstance(request, Cancel):
        return _cancel(request, options, account, root)
    if isinstance(request, ReadLog):
        tail = directories.read_tail(log / f"{_log_prefix(request.cluster)}{request.job_id}.log", account.uid)
        return {"log": tail.decode(errors="replace")}
    directories.make_directories(root, log, workspace)
    return {}


def _program(options: Options, name: str, cluster: str) -> list[str]:
    """The beginning of a command; in a federation a job that names no cluster may run on any of them."""
    return [str(Path(options.slurm_bin, name)), *([f"--clusters={cluster}"] if cluster else [])]


def _log_prefix(cluster: str) -> str:
    """Two clusters may both have a job of that number."""
    return f"{cluster}-" if cluster else ""


def _session_file(root: Path, session_id: str) -> Path:
    return root / directories.SESSION_DIR / f"{session_id}.json"


def _submit(request: Submit, options: Options, account: Account, root: Path) -> str:
    session_file = _session_file(root, request.session_id)
    content = {"session_id": request.session_id, "environment": dict(request.environment), "command": list(request.command)}
    content |= {"lines": request.lines} if request.lines else {}
    content |= {"links": {**request.links, "records": str(root / directories.SESSION_DIR / "links")}} if request.links else {}
    directories.write_session(session_file, json.dumps(content).encode())
    variables = build_environment(account, options.slurm_conf) | {
        "BACKENDAI_SESSION_FILE": str(session_file),
        "BACKENDAI_PYTHON": options.python,
        "BACKENDAI_WRAPPER": options.wrapper,
    }
    workspace = root / options.workspace_dir
    done = _run(build_sbatch(request, options, root), variables, str(workspace), options.script)
    try:
        return parse_job_id(done.returncode, done.stdout, done.stderr)
    except BackendAIError:
        if not is_uncertain(done.returncode, done.stdout, done.stderr):
            directories.remove_session(session_file)
        raise


def build_sbatch(request: Submit, options: Options, root: Path) -> list[str]:
    """The argument list that submits a session's job; each value that came from the caller is a known form by now.

    The child's environment was built from nothing, so ``--export=ALL`` exports just that; any other value makes Slurm run the
    user's login shell on the node first. ``--no-requeue``: a job that starts a second time would hold a stale token and address.
    """
    log = str(root / options.log_dir).replace("%", "%%")
    arguments = [
        *_program(options, "sbatch", request.cluster),
        "--parsable",
        "--no-requeue",
        "--export=ALL",
        f"--job-name={request.job_name}",
        f"--comment={request.session_id}",
        f"--partition={request.partition}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={request.cpus}",
        f"--mem={math.ceil(request.mem_bytes / 2**20)}M",
        f"--time={format_time(request.time_s)}",
        f"--output={log}/{_log_prefix(request.cluster)}%j.log",
        f"--chdir={root / options.workspace_dir}",
    ]
    gpus = ":".join(word for word in ("gpu", request.gpu_type, str(request.gpus)) if word) if request.gpus else ""
    if gres := ",".join(part for part in (gpus, request.gres) if part):
        arguments.append(f"--gres={gres}")
    arguments += [f"--{name}={value}" for name in ("account", "qos", "reservation", "constraint") if (value := getattr(request, name))]
    return [*arguments, *options.sbatch_options]


def format_time(seconds: int) -> str:
    """Slurm's days-hours:minutes:seconds."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02}:{minutes:02}:{rest:02}"


def parse_job_id(returncode: int, output: str, errors: str) -> str:
    """The id in ``sbatch --parsable``'s answer. Raises SubmitRefused with the scheduler's words, or SchedulerUnavailable.

    A refusal has an exit code and words. An answer that cannot be read, or a command that was killed, may have left a job behind.
    """
    job_id = output.strip().split("\n")[-1].split(";")[0]
    if returncode == 0 and job_id.isascii() and job_id.isdigit() and output.endswith("\n"):
        return job_id
    words = clean_words(errors)
    if is_uncertain(returncode, output, errors) or is_unreachable(words):
        raise SchedulerUnavailable
    raise SubmitRefused(N_("The scheduler refused the job: %(reason)s"), reason=words)


def clean_words(errors: str) -> str:
    """A command's complaint without its own name, at most 1,000 characters."""
    lines = [line.removeprefix("sbatch: ").removeprefix("scancel: ").removeprefix("error: ") for line in errors.strip().splitlines()]
    return "\n".join(lines)[-_MAX_WORDS:]


def is_unreachable(words: str) -> bool:
    """Whether a complaint means that the scheduler could not be asked, rather than that it said no."""
    lower = words.lower()
    return any(sign in lower for sign in _UNREACHABLE)


def is_uncertain(returncode: int, output: str, errors: str) -> bool:
    """Whether the job may exist although ``sbatch`` did not say so: it said nothing, or the question arrived and the answer did not."""
    words = errors.lower()
    return returncode <= 0 or not words.strip() or bool(output.strip()) or "timed out" in words or "zero bytes" in words


def _cancel(request: Cancel, options: Options, account: Account, root: Path) -> dict[str, Any]:
    if request.session_id:
        directories.remove_session(_session_file(root, request.session_id))
    done = _run([*_program(options, "scancel", request.cluster), request.job_id], build_environment(account, options.slurm_conf), "/")
    if done.returncode == 0 or "invalid job id" in done.stderr.lower() or "already completing" in done.stderr.lower():
        return {}
    words = clean_words(done.stderr)
    if done.returncode < 0 or not words or is_unreachable(words):
        raise SchedulerUnavailable
    raise BackendAIError(N_("The scheduler did not end the job: %(reason)s"), reason=words)


def _extend(request: Extend, options: Options, account: Account) -> dict[str, Any]:
    """Done as root itself: to give a job more time, Slurm wants an operator. Only a job of ours of that very account is touched."""
    if not options.allow_extend:
        raise Forbidden(N_("The helper was not started with --allow-extend."))
    variables = _root_environment(options)
    owner = _run(
        [*_program(options, "squeue", request.cluster), "-h", "-j", request.job_id, "-t", "RUNNING", "-o", "%U|%k"], variables, "/"
    )
    if owner.returncode and is_unreachable(clean_words(owner.stderr)):
        raise SchedulerUnavailable
    uid, _, comment = owner.stdout.strip().partition("|")
    if owner.returncode or uid != str(account.uid) or not _SESSION.fullmatch(comment):
        raise Conflict(N_("Slurm has no running session of that account under the job id %(job)s."), job=request.job_id)
    done = _run(build_extension(request, options), variables, "/")
    if done.returncode == 0:
        return {}
    words = clean_words(done.stderr)
    if is_unreachable(words):
        raise SchedulerUnavailable
    raise Conflict(N_("Slurm did not give the job more time: %(reason)s"), reason=words)


def build_extension(request: Extend, options: Options) -> list[str]:
    """The argument list that changes one job's time limit. Slurm counts in minutes; part of one is given whole."""
    minutes = math.ceil(request.time_s / 60)
    return [*_program(options, "scontrol", request.cluster), "update", f"JobId={request.job_id}", f"TimeLimit={format_time(minutes * 60)}"]


def _update_node(request: Drain | Resume, options: Options) -> dict[str, Any]:
    """The one thing that is done as root itself: Slurm lets its operators drain, and nobody else here is one."""
    if not options.allow_drain:
        raise Forbidden(N_("The helper was not started with --allow-drain."))
    done = _run(build_scontrol(request, options), _root_environment(options), "/")
    if done.returncode == 0:
        return {}
    words = clean_words(done.stderr)
    if is_unreachable(words):
        raise SchedulerUnavailable
    raise Conflict(N_("Slurm did not change the node: %(reason)s"), reason=words)


def build_scontrol(request: Drain | Resume, options: Options) -> list[str]:
    """The argument list that changes one node."""
    state = ["State=DRAIN", f"Reason={request.reason}"] if isinstance(request, Drain) else ["State=RESUME"]
    return [*_program(options, "scontrol", request.cluster), "update", f"NodeName={request.node}", *state]


def _root_environment(options: Options) -> dict[str, str]:
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
    return {**variables, "SLURM_CONF": options.slurm_conf} if options.slurm_conf else variables


def _run(arguments: Sequence[str], variables: dict[str, str], directory: str, script: bytes = b"") -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            arguments, input=script, env=variables, cwd=directory, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise SchedulerUnavailable from exc
    except OSError as exc:
        raise SchedulerUnavailable(N_("%(program)s cannot be run: %(reason)s"), program=arguments[0], reason=exc.strerror) from exc
    output, errors = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, output, errors)
