"""The way by slurmrestd: each request in the name of the user it is for, by a token of that user's. No root and no sudo anywhere."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pwd
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from ..config import BackendAI
from ..core.identity import PosixAccount
from ..errors import N_, BackendAIError, Conflict, Forbidden, InvalidParameters, NoPosixAccount, SchedulerUnavailable, SubmitRefused
from . import slurm_rest_versions as versions
from .base import JobRequest
from .commands import COMMANDS
from .slurm_tokens import Tokens
from .slurm_verbs import build_submit
from .slurm_ways import REST, OperatorUnavailable, Way
from .tickets import Tickets

log = logging.getLogger(__name__)
_PACKAGE = Path(__file__).resolve().parent.parent
# Whoever has one of these names in a directory is not the account that Slurm knows by it; slurm is SlurmUser's usual name.
SYSTEM_NAMES = frozenset({"root", "slurm"})
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)


class RestWay(Way):
    """One cluster's slurmrestd. What a session must know waits as a ticket's content (:mod:`.tickets`) for the job to come for it."""

    name = REST

    def __init__(self, settings: BackendAI, cluster: str = "") -> None:
        self._settings, self._cluster = settings, cluster
        self._rest = Rest(settings, cluster)
        self._tickets = find_tickets(settings)
        self._script = (_PACKAGE / "share" / "slurm" / "job-rest.sh").read_text()

    async def submit(self, job: JobRequest) -> str:
        fields = build_submit(job)
        posix = self._check_account(job.admission.posix)
        hub = self._find_hub(job)
        session_id = str(fields["session_id"])
        version = await self._rest.find_version(posix.name)
        content: dict[str, Any] = {
            "session_id": session_id,
            **{name: fields[name] for name in ("environment", "command", "lines", "links") if name in fields},
        }
        ticket = await asyncio.to_thread(self._tickets.issue, session_id, posix.name, content)
        environment = self._build_environment(posix, session_id, hub, ticket)
        body = versions.build_submit(version, fields, self._script, environment)
        try:
            answer = await self._rest.call(posix.name, "POST", "job/submit", body)
        except SchedulerUnavailable as exc:
            if isinstance(exc.__cause__, NotArrived):
                await asyncio.to_thread(self._tickets.forget, session_id)
            raise
        except RestRefused as exc:
            await asyncio.to_thread(self._tickets.forget, session_id)
            raise SubmitRefused(N_("The scheduler refused the job: %(reason)s"), reason=exc.problem.words) from exc
        job_id = versions.parse_submit(answer)
        if not job_id:
            raise SchedulerUnavailable from RuntimeError("slurmrestd answered without a job id")
        return job_id

    def _check_account(self, posix: PosixAccount | None) -> PosixAccount:
        """Slurm believes a token's name; whether it may be run for, and is who we mean, is ours to see."""
        if posix is None:
            raise NoPosixAccount
        is_system = posix.name in SYSTEM_NAMES  # the name is all that Slurm reads of a token
        if is_system or posix.uid == 0 or posix.uid < self._settings.slurm_rest_min_uid:
            raise Forbidden(N_("Jobs are not run for the system account %(name)s."), name=posix.name)
        try:
            known = pwd.getpwnam(posix.name).pw_uid
        except KeyError:  # this machine need not know the cluster's people
            return posix
        if known != posix.uid:
            raise NoPosixAccount(N_("The Unix account %(name)s has another uid on this machine than in the directory."), name=posix.name)
        return posix

    def _find_hub(self, job: JobRequest) -> str:
        """The hub's API as the job's node reaches it."""
        address = self._settings.find_hub_address(job.admission.queue, self._cluster)
        address = address or job.environment.get("JUPYTERHUB_API_URL", "") or os.environ.get("JUPYTERHUB_API_URL", "")
        if not address:
            raise InvalidParameters("c.BackendAI.hub_address is empty")
        return address

    def _build_environment(self, posix: PosixAccount, session_id: str, hub: str, ticket: str) -> dict[str, str]:
        """What the job starts with: of ours the ticket, which is worth nothing once the job has used it, and where things are."""
        settings = self._settings
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": posix.home,
            "USER": posix.name,
            "LOGNAME": posix.name,
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "BACKENDAI_TICKET": ticket,
            "BACKENDAI_SESSION": f"{hub.rstrip('/')}/backendai/sessions/{session_id}",
            "BACKENDAI_ROOT": settings.user_root.replace("{user}", posix.name),
            "BACKENDAI_LOG_DIR": settings.log_dir,
            "BACKENDAI_WORKSPACE_DIR": settings.workspace_dir,
            "BACKENDAI_PYTHON": settings.slurm_rest_python or sys.executable,
            "BACKENDAI_PROGRAMS": settings.slurm_rest_programs or str(_PACKAGE / "spawner"),
        }

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        posix = self._check_account(posix)
        try:
            await self._rest.call(posix.name, "DELETE", f"job/{_number(job_id)}")
        except RestRefused as exc:
            if not exc.problem.is_over:
                raise BackendAIError(N_("The scheduler did not end the job: %(reason)s"), reason=exc.problem.words) from exc
        if session_id:
            await asyncio.to_thread(self._tickets.withdraw, session_id)

    async def make_directories(self, posix: PosixAccount | None) -> None:
        """Nothing: each job makes them itself."""
        self._check_account(posix)

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:  # noqa: ARG002 - kept by the session
        if posix is None or not session_id:
            return ""
        return await asyncio.to_thread(self._tickets.read_log, session_id, posix.name)

    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int) -> None:
        posix, operator = self._check_account(posix), self._find_operator()
        try:
            job = versions.parse_job(await self._rest.call(operator, "GET", f"job/{_number(job_id)}"))
            if job is None or job.uid != posix.uid or not job.is_running or not _SESSION.fullmatch(job.comment):
                raise Conflict(N_("Slurm has no running session of that account under the job id %(job)s."), job=job_id)
            version = await self._rest.find_version(operator)
            await self._rest.call(operator, "POST", f"job/{_number(job_id)}", versions.build_update(version, time_s, job.name))
        except RestRefused as exc:
            raise Conflict(N_("Slurm did not give the job more time: %(reason)s"), reason=exc.problem.words) from exc

    async def drain(self, node: str, reason: str) -> None:
        await self._update_node(node, reason)

    async def resume(self, node: str) -> None:
        await self._update_node(node, None)

    async def _update_node(self, node: str, reason: str | None) -> None:
        operator = self._find_operator()
        if await self._rest.find_version(operator) < versions.GENERATED:
            raise OperatorUnavailable
        try:
            await self._rest.call(operator, "POST", f"node/{node}", versions.build_node(reason))
        except RestRefused as exc:
            raise Conflict(N_("Slurm did not change the node: %(reason)s"), reason=exc.problem.words) from exc

    def _find_operator(self) -> str:
        if not self._settings.slurm_rest_operator:
            raise OperatorUnavailable
        return str(self._settings.slurm_rest_operator)

    async def check(self) -> Sequence[str]:
        settings, problems = self._settings, []
        if settings.slurm_rest_key_file and not os.access(settings.slurm_rest_key_file, os.R_OK):
            problems.append(f"c.BackendAI.slurm_rest_key_file: {settings.slurm_rest_key_file} cannot be read.")
        if not (settings.hub_address or settings.hub_addresses or os.environ.get("JUPYTERHUB_API_URL")):
            problems.append("c.BackendAI.hub_address is empty: batch jobs could not fetch what they are to run.")
        if not problems:
            who = settings.slurm_rest_operator or pwd.getpwuid(os.geteuid()).pw_name
            try:
                await self._rest.find_version(who)
            except BackendAIError as exc:
                problems.append(f"slurmrestd at {self._rest.url} does not serve us: {exc.__cause__ or exc}")
        return problems


class RestRefused(Exception):
    """slurmrestd, or Slurm behind it, looked at the request and said no."""

    def __init__(self, problem: versions.Problem) -> None:
        super().__init__(problem.words)
        self.problem = problem


class NotArrived(Exception):
    """The cause of a SchedulerUnavailable after which nothing can have happened: the request reached nobody who could act on it."""


class Rest:
    """HTTP to one slurmrestd."""

    def __init__(self, settings: BackendAI, cluster: str = "") -> None:
        self.url = str(settings.slurm_rest_urls.get(cluster) or settings.slurm_rest_url).rstrip("/")
        self._tokens = Tokens(settings.slurm_rest_key_file, settings.slurm_bin, timeout_s=settings.command_timeout_s)
        self._timeout = aiohttp.ClientTimeout(total=settings.command_timeout_s, sock_connect=5)
        self._wanted = settings.slurm_rest_version
        self._version = 0

    async def find_version(self, user: str) -> int:
        """The version of the interface that is spoken: the configured one, else the newest that both sides know. Asked once."""
        if not self._version and self._wanted:
            try:
                self._version = versions.parse_version(self._wanted)
            except ValueError as exc:
                raise InvalidParameters("c.BackendAI.slurm_rest_version: %(version)s", version=self._wanted) from exc
        for number in () if self._version else versions.KNOWN:
            status, _ = await self._exchange(user, "GET", f"/slurm/v0.0.{number}/ping", None)
            if status == 401:
                raise SchedulerUnavailable from NotArrived("slurmrestd does not take our tokens")
            if status != 404:
                self._version = number
                break
        if not self._version:
            raise SchedulerUnavailable from RuntimeError("slurmrestd has no version of its interface that we know")
        return self._version

    async def call(self, user: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to one request in a user's name. Raises RestRefused, or SchedulerUnavailable."""
        try:
            return await self._call(user, method, path, body)
        except SchedulerUnavailable as exc:
            log.warning("slurmrestd at %s, %s %s: %s", self.url, method, path, exc.__cause__ or exc)
            raise

    async def _call(self, user: str, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        version = await self.find_version(user)
        status, text = await self._exchange(user, method, f"/slurm/v0.0.{version}/{path}", body)
        if status == 404:
            self._version = 0  # another slurmrestd stands there by now
        if status == 401:  # slurmrestd asks the controller about a token, so this may be the controller that is away
            raise SchedulerUnavailable from NotArrived("slurmrestd does not take our tokens")
        try:
            answer = json.loads(text)
        except ValueError as exc:
            raise SchedulerUnavailable from RuntimeError(f"slurmrestd: {status} {text[:200]!r}: {exc}")
        if not isinstance(answer, dict):
            raise SchedulerUnavailable from RuntimeError(f"slurmrestd: {status} {text[:200]!r}")
        problem = versions.parse_problem(answer)
        if problem is None and status == 200:
            return answer
        if problem is None or problem.is_unreachable:
            said = f"slurmrestd: {status} {problem.words if problem else text[:200]}"
            raise SchedulerUnavailable from (NotArrived(said) if problem and problem.is_certain else RuntimeError(said))
        raise RestRefused(problem)

    async def _exchange(self, user: str, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
        headers = {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": await self._tokens.make(user)}
        is_socket = self.url.startswith("unix://")
        connector = aiohttp.UnixConnector(self.url.removeprefix("unix://")) if is_socket else None
        result = "failed"
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False) as http,
                http.request(method, ("http://localhost" if is_socket else self.url) + path, json=body, headers=headers) as response,
            ):
                content = await response.read()
                result = "ok" if response.status == 200 else "refused"
                return response.status, content.decode(errors="replace")
        except aiohttp.ClientConnectorError as exc:
            raise SchedulerUnavailable from NotArrived(str(exc))
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise SchedulerUnavailable from exc
        finally:
            COMMANDS.labels("slurmrestd", f"{method} {path.split('/')[3]}", result).inc()


def find_tickets(settings: BackendAI) -> Tickets:
    """The tickets of this platform: hub and service share them, so they share the state directory."""
    key = str(settings.state_dir)
    if key not in _tickets:
        _tickets[key] = Tickets(Path(settings.state_dir, "tickets"))
    return _tickets[key]


_tickets: dict[str, Tickets] = {}


def _number(job_id: str) -> int:
    """A job's id, and nothing else, as a part of a path. Raises InvalidParameters."""
    if not job_id.isascii() or not job_id.isdigit():
        raise InvalidParameters(N_("%(job)s is no job id."), job=job_id)
    return int(job_id)
