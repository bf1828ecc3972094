"""Sessions as containers, with folders as bind mounts whose mode the kernel enforces.

dockerspawner's class gives the settings (``c.DockerSpawner.*``) and makes the container; it is asked about and ended through ``backends``.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from docker.errors import APIError, DockerException
from docker.types import DeviceRequest
from docker.types import Mount as DockerMount
from dockerspawner import DockerSpawner
from jupyterhub.utils import url_path_join
from requests.exceptions import RequestException
from traitlets import Integer, Unicode, default

from ...backends import connect
from ...backends.docker import HUB_LABEL, OUT_OF_MEMORY, SESSION_LABEL, DockerBackend, container_name, explain_refusal
from ...core.reasons import Explanation
from ...core.sessions import JobState, JobStatus, SessionStatus
from ...core.slots import CPU, MEM
from ...core.vfolder_mount_plans import RESERVED_PLACE
from ...core.vfolder_mounts import HOME, Mount
from ...errors import N_, BackendAIError, BackendUnavailable, Forbidden, InvalidParameters, NoPosixAccount, StartFailed
from .base import Ending, Launcher
from .timed import TimedLauncher

PORT = 8888
MAX_PROCESSES = 4096
# where folders are of which a session has only a part
PARTS_DIRECTORY = "/mnt/folders"


def pack_links(links: Mapping[str, str], owner: tuple[int, int]) -> bytes:
    """An archive of symbolic links (absolute place → where to), for a container that does not run yet."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for place, destination in links.items():
            link = tarfile.TarInfo(place.lstrip("/"))
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, destination, 0o777
            link.uid, link.gid = owner
            archive.addfile(link)
    return content.getvalue()


def check_links(links: Iterable[str], mounts: Iterable[str]) -> None:
    """Raises InvalidParameters for a link that would be in a mount of the site's: the engine, as root, removes there what is in its way."""
    for place in links:
        if any(f"{place}/".startswith(f"{mount.rstrip('/')}/") for mount in mounts):
            raise InvalidParameters(RESERVED_PLACE, target=place)


class DockerLauncher(TimedLauncher, DockerSpawner):
    """One session, one container, made anew each time: one that is kept would keep its old limits and mounts."""

    # the class of dockerspawner has one thread for everybody: one slow call would stop all
    _threads: ClassVar[ThreadPoolExecutor] = ThreadPoolExecutor(16, thread_name_prefix="docker-start")
    user_options: dict[str, Any]
    extra_create_kwargs: dict[str, Any]
    extra_host_config: dict[str, Any]
    client_kwargs: dict[str, Any]
    home = Unicode(HOME, config=True, help="Home of the sessions; folders appear beneath it.")
    min_uid = Integer(1000, config=True, help="Containers are never run for accounts with a lower uid.")

    @default("remove")
    def _remove_default(self) -> bool:
        return True

    @default("use_internal_ip")
    def _use_internal_ip_default(self) -> bool:
        return True

    @property
    def executor(self) -> ThreadPoolExecutor:
        return self._threads

    @property
    def backend(self) -> DockerBackend:
        backend = connect(self.settings, "docker")
        assert isinstance(backend, DockerBackend)  # noqa: S101 - for the type checker
        return backend

    def get_state(self) -> dict[str, Any]:
        return {**Launcher.get_state(self), "object_id": self.object_id, "deadline": self.deadline}

    def load_state(self, state: dict[str, Any]) -> None:
        Launcher.load_state(self, state)
        deadline = state.get("deadline")
        self.object_id = str(state.get("object_id", ""))
        self.deadline = float(deadline) if isinstance(deadline, int | float) else None

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()
        env |= {"HOME": self.home, "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{self.server.base_url if self.server else '/'}"}
        if address := self.settings.find_hub_address(self.admission.queue):
            env["JUPYTERHUB_API_URL"] = address
            env["JUPYTERHUB_ACTIVITY_URL"] = url_path_join(address, "users", self.user.escaped_name, "activity")
        return {**env, **self.session_env()}

    # -- starting

    async def submit(self) -> str:
        """Make and start the container. What the engine refuses is said in its words."""
        self._prepare()
        try:
            await DockerSpawner.start(self)
        except APIError as exc:
            await self._clear_away()
            raise StartFailed(N_("The container cannot be started: %(reason)s"), reason=explain_refusal(exc)) from exc
        except (DockerException, RequestException, OSError) as exc:
            await self._clear_away()
            raise StartFailed(N_("The container cannot be started: %(reason)s"), reason=str(exc)[:500]) from exc
        self.reported_port = PORT
        self.set_deadline()
        await self.backend.refresh()
        return str(self.object_id)

    async def resume(self) -> str:
        """Go on with a container that runs; one that was made and never started is begun by nobody any more."""
        found = await self._find_again()
        if found is None or found.state is JobState.PENDING:
            await self._clear_away()
            raise StartFailed(N_("The hub was restarted while this session was being started. Start it again."))
        if self.deadline is None:  # the hub ended before it could write it down
            self.set_deadline()
            self.save()
        return await super().resume()

    async def _find_again(self) -> JobStatus | None:
        """The container, when the engine says so: while it is away, nothing is known."""
        while True:
            try:
                return await self.backend.find_container(self.admission.session_id)
            except BackendUnavailable:
                await asyncio.sleep(self.interval_s)

    def _prepare(self) -> None:
        """Everything of this container, from what was admitted; nothing of the user's own options reaches dockerspawner."""
        admission = self.admission
        environment = self._find_environment()
        self.user_options = {}
        self.client_kwargs = {"base_url": self.settings.docker_url, **dict(self.client_kwargs)}
        self.image = str(environment["image"])
        self.object_name = container_name(admission.session_id)  # after the image: dockerspawner names anew when that changes
        interpreter = [str(word) for word in environment.get("command") or ()]
        self.cmd = [*interpreter, "-m", "jupyterhub.singleuser"] if interpreter else ["jupyterhub-singleuser"]
        self.cpu_limit = float(admission.slots.amount(CPU)) or None
        self.mem_limit = int(admission.slots.amount(MEM)) or None
        labels = {HUB_LABEL: self.settings.job_name, SESSION_LABEL: admission.session_id}
        own = {"user": "{}:{}".format(*self._account_ids()), "working_dir": self.home, "labels": labels}
        self.extra_create_kwargs = {**own, **dict(self.extra_create_kwargs), "labels": labels}
        self.extra_host_config = {**self._limits(), **dict(self.extra_host_config), "auto_remove": False}

    def _limits(self) -> dict[str, Any]:
        memory = int(self.admission.slots.amount(MEM))
        limits: dict[str, Any] = {"init": True, "pids_limit": MAX_PROCESSES, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
        if memory:
            limits["memswap_limit"] = memory  # else as much swap again
        if devices := [str(number) for number in self.admission.devices]:
            limits["device_requests"] = [DeviceRequest(device_ids=devices, capabilities=[["gpu"]])]
        return limits

    def _find_environment(self) -> dict[str, Any]:
        """The environment's own entry: without a ``command`` its image knows how to start a server."""
        name = self.admission.environment
        entry = next((entry for entry in self.settings.environments if entry.get("name") == name), None)
        if entry is None or not entry.get("image"):
            raise InvalidParameters(N_("The environment %(name)s has no image, so it cannot start in a container."), name=name)
        return dict(entry)

    def _account_ids(self) -> tuple[int, int]:
        posix = self.admission.posix
        if posix is None:
            raise NoPosixAccount
        if posix.uid == 0 or posix.uid < self.min_uid:
            raise Forbidden(N_("Jobs are not run for the system account %(name)s."), name=posix.name)
        return posix.uid, posix.gid

    # -- folders: none of their words passes dockerspawner's templates

    @property
    def mount_binds(self) -> list[DockerMount]:
        """The site's own mounts, and the folders. Their top directories only: those nobody but the platform can put a link in place of."""
        places = {self._place(mount): mount for mount in self.admission.mounts}
        binds = [DockerMount(place, mount.top, type="bind", read_only=mount.is_read_only) for place, mount in places.items()]
        return [*super().mount_binds, *binds]

    def _place(self, mount: Mount) -> str:
        """Where a folder is in the container; one of which a part was asked for is elsewhere, and the part is a link to it."""
        if mount.subpath:
            return f"{PARTS_DIRECTORY}/{mount.folder_id}-{'ro' if mount.is_read_only else 'rw'}"
        return self._absolute(mount.target)

    def _absolute(self, target: str) -> str:
        return target if target.startswith("/") else f"{self.home}/{target}"

    async def create_object(self) -> Any:
        links = {self._absolute(mount.target): f"{self._place(mount)}/{mount.subpath}" for mount in self.admission.mounts if mount.subpath}
        check_links(links, [*(str(bind["Target"]) for bind in super().mount_binds), *(bind["bind"] for bind in self.volume_binds.values())])
        made = await super().create_object()
        if links:
            await self.docker("put_archive", made[self.object_id_key], "/", pack_links(links, self._account_ids()))
        return made

    async def _clear_away(self) -> None:
        """A container that was made but does not start must not stay."""
        try:
            await self.backend.cancel("", None, self.admission.session_id)
        except BackendAIError as exc:
            self.log.warning("The container of session %s may be left: %s", self.admission.session_id, exc)

    # -- asking and ending

    async def ask(self) -> JobStatus:
        self.arm()
        status = await self.backend.status(self.admission.session_id, self.job_id, self.admission.posix)
        if status.state is JobState.RUNNING and not self.reported_port:  # the hub ended before it could write it down
            self.reported_port = PORT
        return status

    async def refresh(self) -> None:
        await self.backend.refresh()

    async def address(self, node: str) -> str:  # noqa: ARG002
        return await self.backend.find_address(self.job_id or container_name(self.admission.session_id))

    async def cancel(self, now: bool) -> None:  # noqa: ARG002
        self.disarm()
        await self.backend.cancel(self.job_id, self.admission.posix, self.admission.session_id)

    async def read_log(self) -> str:
        return await self.backend.read_log(self.job_id, self.admission.posix, self.admission.session_id)

    async def poll(self) -> int | None:
        """As every launcher's; a container that is over is removed once its end is known."""
        code = await Launcher.poll(self)
        if code is not None and self._removal is None:
            self._removal = asyncio.ensure_future(self._clear_away())
        return code

    _removal: asyncio.Future[None] | None = None

    def explain_end(self, status: JobStatus) -> Ending:
        if self.is_timed_out:
            return self.timeout_ending()
        if status.state is JobState.GONE:
            return Ending(SessionStatus.TERMINATED, Explanation(N_("The session's container was removed from outside.")))
        if status.detail == OUT_OF_MEMORY:
            message = N_("The session needed more memory than it has, and was ended.")
            return Ending(SessionStatus.ERROR, Explanation(message, N_("Start it again with more memory.")))
        code = status.exit_code or 0
        if code == 0:
            return Ending(SessionStatus.TERMINATED, Explanation(N_("The notebook server ended by itself.")))
        return Ending(
            SessionStatus.ERROR,
            Explanation(N_("The notebook server ended with the exit code %(code)s."), N_("Look at the end of its log."), {"code": code}),
        )
