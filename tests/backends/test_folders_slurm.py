"""A folder of one person's in jobs of two Unix users: who reads, who writes, and who does neither any more, is the kernel's to say."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.sessions import JOB_OVER
from jupyterhub_backendai.core.vfolder_mounts import Mount
from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.helper.folders import Passer, bits_of, make_folder, make_scope, set_gate
from jupyterhub_backendai.spawner import singleuser
from tests.backends.jobs import account, make_job, reach
from tests.helperd import running_helper

pytestmark = pytest.mark.slurm
SCOPE, FOLDER = "user-" + "a" * 32, secrets.token_hex(16)


@pytest.fixture
def host():
    """A storage host that only root can change and everybody can pass."""
    path = Path(tempfile.mkdtemp(prefix="backendai-folders-", dir="/var/tmp"))
    path.chmod(0o711)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    yield path, descriptor
    os.close(descriptor)
    shutil.rmtree(path)


def passers(**permissions: Permission) -> list[Passer]:
    return [Passer(account(name).uid, bits_of(permission)) for name, permission in permissions.items()]


async def run(backend: SlurmBackend, name: str, user: str, mount: Mount, lines: str) -> str:
    """What a batch job of somebody's with that folder printed."""
    job = make_job(name, user, mounts=(mount,), admitted_at=1.0)
    job = replace(job, script=lines)
    job_id = await backend.submit(job)
    backend.starting(job.admission.session_id)
    await reach(backend, job, job_id, *JOB_OVER)
    return await backend.read_log(job_id, job.admission.posix, job.admission.session_id)


async def test_a_shared_folder_is_read_and_written_as_the_kernel_permits(host):
    path, descriptor = host
    kim = account("kim01")
    make_folder(
        descriptor, SCOPE, FOLDER, (kim.uid, kim.gid), passers(kim01=Permission.READ_WRITE_DELETE, lee01=Permission.READ_ONLY),
        lambda _host, scope: make_scope(descriptor, scope),
    )  # fmt: skip
    mount = Mount(FOLDER, "data", f"{path}/{SCOPE}/{FOLDER}/data", "data", False)
    with running_helper() as helper:
        (helper.base / "wrapper.py").write_text(Path(singleuser.__file__).read_text())
        settings = BackendAI(helper_socket=str(helper.socket), hub_id=secrets.token_hex(4), starting_interval_s=0.3)
        backend = SlurmBackend(settings)
        try:
            log = await run(backend, settings.job_name, "kim01", mount, "readlink data; echo 안녕 > data/파일; ls data")
            assert log.split() == [mount.source, "파일"]
            shared = replace(mount, target="shared", is_read_only=True)
            lines = "id -un; cat shared/파일; echo no > shared/파일; echo no > shared/other; rm shared/파일; ls shared"
            log, stranger = await asyncio.gather(
                run(backend, settings.job_name, "lee01", shared, lines),
                run(backend, settings.job_name, "park04", mount, "cat data/파일 || echo closed"),
            )
            assert log.splitlines()[:2] == ["lee01", "안녕"]
            assert log.count("Permission denied") == 3
            assert log.splitlines()[-1] == "파일"
            assert "안녕" not in stranger
            assert "closed" in stranger
            assert "The folder data cannot be read here: Permission denied" in stranger
            set_gate(descriptor, SCOPE, FOLDER, passers(kim01=Permission.READ_WRITE_DELETE))
            log = await run(backend, settings.job_name, "lee01", shared, "cat shared/파일 || echo closed")
            assert "안녕" not in log
            assert log.splitlines()[-1] == "closed"
        finally:
            await backend.close()
    assert (path / SCOPE / FOLDER / "data" / "파일").read_text() == "안녕\n"
