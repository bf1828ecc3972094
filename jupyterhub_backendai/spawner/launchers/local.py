"""Sessions as processes of the hub's own account: for one person, or a first look. Nothing separates them from each other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Unicode, default

from ...backends.local import find_home
from ...backends.processes import Process, end_processes, find_process, read_tail
from ...core.reasons import Explanation
from ...core.sessions import JobState, JobStatus, SessionStatus
from ...errors import N_, Forbidden, StartFailed
from .. import singleuser
from .base import Ending, Launcher
from .timed import TimedLauncher

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SHELL")


class LocalLauncher(TimedLauncher, LocalProcessSpawner):
    """One session, one process group."""

    root = Unicode(
        "",
        config=True,
        help="Directory of a person's work and logs; {user} is the hub's name of the person. Default: c.BackendAI.user_root where "
        "that is set, else home/{user} in the state directory.",
    )

    interval_s = 0.5
    process: Process | None = None
    _popen: subprocess.Popen[bytes] | None = None
    _was_alive = False

    @default("term_timeout")
    def _term_timeout(self) -> int:
        return 10

    @property
    def home(self) -> Path:
        """The person's directory."""
        return find_home(self.settings, self.user.name, self.root)

    @property
    def log_path(self) -> Path:
        return self.home / self.settings.log_dir / f"{self.admission.session_id}.log"

    @property
    def session_path(self) -> Path:
        return self.home / ".backendai" / f"{self.admission.session_id}.json"

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Nothing to add: the process' own variables are made in submit()."""
        return env

    def get_state(self) -> dict[str, object]:
        process = [self.process.pid, self.process.started] if self.process else None
        return {**Launcher.get_state(self), "process": process, "deadline": self.deadline}

    def load_state(self, state: dict[str, object]) -> None:
        Launcher.load_state(self, state)
        process, deadline = state.get("process"), state.get("deadline")
        self.process = Process(*process) if isinstance(process, list) else None
        self.deadline = float(deadline) if isinstance(deadline, int | float) else None

    # -- starting

    async def submit(self) -> str:
        if os.geteuid() == 0:
            message = N_("Local sessions do not run as root. Start the hub as an ordinary account, or use another queue.")
            raise Forbidden(message)
        command = self.environment_command()
        try:
            self._prepare(command)
            self._popen = self._launch(command)
        except OSError as exc:
            raise StartFailed(N_("The session's program cannot be started: %(reason)s"), reason=exc.strerror or str(exc)) from exc
        self.process = Process.of(self._popen.pid)
        self.set_deadline()
        return str(self._popen.pid)

    def _prepare(self, command: list[str]) -> None:
        workspace = self.home / self.settings.workspace_dir
        for directory in (workspace, self.log_path.parent, self.session_path.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        links = {**self.admission.describe_links(), "records": str(self.session_path.parent / "links")}
        session = {"environment": {**self.get_env(), **self.session_env()}, "command": command, "links": links}
        descriptor = os.open(self.session_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as target:
            json.dump(session, target)

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        devices = ",".join(str(number) for number in self.admission.devices)
        environment |= {"HOME": str(self.home), "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": devices}
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            return subprocess.Popen(
                [*command, singleuser.__file__, "--session", str(self.session_path), singleuser.ENTERED],
                env=environment,
                cwd=self.home / self.settings.workspace_dir,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    async def resume(self) -> str:
        if self.process is None:  # the hub ended between the start of the process and the commit
            self.process = find_process(str(self.session_path))
            if self.process is None:
                raise StartFailed(N_("The hub was restarted while this session was being started. Start it again."))
            self.job_id = str(self.process.pid)
            self.set_deadline()
            self.save()
        return await super().resume()

    # -- asking and ending

    async def ask(self) -> JobStatus:
        self.arm()
        code = self._popen.poll() if self._popen else None
        if self.process is None or code is not None or not self.process.is_alive():
            state = JobState.DONE if code == 0 else JobState.FAILED
            return JobStatus(self.job_id, state, detail="" if code is None else str(code))
        self._was_alive = True
        return JobStatus(self.job_id, JobState.RUNNING, node="127.0.0.1")

    async def address(self, node: str) -> str:  # noqa: ARG002
        return "127.0.0.1"

    async def cancel(self, now: bool) -> None:
        self.disarm()
        if self.process:
            await end_processes(self.process, 0 if now else self.term_timeout, self.kill_timeout)
        if self._popen:
            self._popen.poll()
        with contextlib.suppress(OSError):
            self.session_path.unlink()

    def explain_end(self, status: JobStatus) -> Ending:
        if self.is_timed_out:
            return self.timeout_ending()
        if status.detail == "" and self._was_alive:  # of another hub process's child the exit code is not known
            return Ending(SessionStatus.TERMINATED, Explanation(N_("The notebook server ended by itself or was killed from outside.")))
        if status.detail == "":
            return Ending(SessionStatus.TERMINATED, Explanation(N_("The notebook server ended while the hub was away.")))
        code = int(status.detail)
        if code == 0:
            return Ending(SessionStatus.TERMINATED, Explanation(N_("The notebook server ended by itself.")))
        if code < 0:
            params = {"signal": signal.Signals(-code).name}
            return Ending(SessionStatus.ERROR, Explanation(N_("The notebook server was killed from outside (%(signal)s)."), params=params))
        return Ending(
            SessionStatus.ERROR,
            Explanation(N_("The notebook server ended with the exit code %(code)s."), N_("Look at the end of its log."), {"code": code}),
        )

    async def read_log(self) -> str:
        return await asyncio.get_running_loop().run_in_executor(None, read_tail, self.log_path)
