"""A storage host behind a real helper, with a database and real Unix accounts: what the service has, without the service."""

import contextlib
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.identity import Actor, PosixAccount, Role
from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.services.folder_access import FolderAccess
from jupyterhub_backendai.services.folder_ownership import FolderOwners
from jupyterhub_backendai.services.folder_tasks import FolderTasks
from jupyterhub_backendai.services.storage.hosts import Storage
from jupyterhub_backendai.store import vfolder_grants, vfolder_invitations, vfolder_sharing
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.vfolder_rules import find_any
from jupyterhub_backendai.store.vfolders import find_access
from tests.factories import add_user
from tests.helperd import running_helper
from tests.services.data_folders import HOST, add_folder, user_id

RO, RW, WD = Permission
KIM, LEE, ROOT = Actor("kim01", Role.USER, "default"), Actor("lee01", Role.USER, "default"), Actor("root", Role.SUPERADMIN)


class Person:
    """A Unix account, and what it can do as a session's process would: by path, without anything of ours."""

    def __init__(self, name):
        found = pwd.getpwnam(name)
        self.account = PosixAccount(name, found.pw_uid, found.pw_gid, found.pw_dir)

    def start(self, program, *arguments, **options):
        command = ["/usr/bin/python3", "-c", program, *map(str, arguments)]
        identity = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return subprocess.Popen(command, **identity, cwd="/", stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, **options)

    def do(self, program, *arguments):
        process = self.start(program, *arguments, stderr=subprocess.DEVNULL)
        answer, _ = process.communicate(timeout=20)
        return process.returncode == 0, answer.strip()

    def read(self, path):
        return self.do("import sys; print(open(sys.argv[1]).read())", path)

    def write(self, path, text="x"):
        return self.do("import sys; open(sys.argv[1], 'w').write(sys.argv[2])", path, text)[0]


class PlatformStorage(Storage):
    """As the service's own account would use it, which tests, being root, are not."""

    platform = pwd.getpwnam("nobody").pw_uid

    def _owner(self, owner):
        return super()._owner(owner) if owner else (self.platform, self.platform)


class Place:
    """A storage host behind a real helper, with a database: what the service has."""

    def __init__(self, db, storage):
        self.db, self.storage = db, storage
        self.folder_tasks = FolderTasks(db)
        self.folder_access = FolderAccess(db, storage, self.folder_tasks)
        FolderOwners(db, storage, self.folder_access).register(self.folder_tasks)

    async def make(self, name="data", owner="kim01", **fields):
        folder_id = await self.db.run(lambda db: add_folder(db, name, owner, **fields))
        folder = await self.db.run(find_any, folder_id)
        await self.storage.make_folder(folder, await self.db.run(vfolder_grants.list_grants, folder_id))
        return folder_id, self.path(folder)

    def path(self, folder):
        return Path(self.storage.path(folder))

    async def share(self, folder_id, permission=RW):
        outcome = await self.db.run_exclusive(vfolder_invitations.invite, KIM, folder_id, ["lee01"], permission)
        await self.db.run_exclusive(vfolder_invitations.accept, LEE, outcome.invited[0].id)
        assert await self.folder_access.apply(folder_id)
        await self.folder_tasks.run_due()

    async def change(self, folder_id, permission):
        lee = await self.db.run(user_id, "lee01")
        if permission is None:
            await self.db.run_exclusive(vfolder_sharing.remove_share, KIM, folder_id, lee)
        else:
            await self.db.run_exclusive(vfolder_sharing.change_share, KIM, folder_id, lee, permission)
        assert await self.folder_access.apply(folder_id)

    async def files(self, folder_id, person):
        found = await self.db.run(find_access, person.account.name, folder_id)
        return self.storage.files(found, person.account)


@pytest.fixture(scope="module")
def people():
    return Person("kim01"), Person("lee01"), Person("park04")


@pytest_asyncio.fixture
async def place(tmp_path, sqlite_template, people):
    path = tmp_path / "backendai.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    db = Database(f"sqlite:///{path}")

    def add(session):
        for person in people:
            add_user(session, person.account.name, posix_uid=person.account.uid, posix_gid=person.account.gid)
        add_user(session, "root", role=Role.SUPERADMIN, posix=False)

    await db.run(add)
    with running_storage() as (socket, folders):
        storage = PlatformStorage({HOST: str(folders)}, str(socket))
        yield Place(db, storage)
        storage.close()
    await db.close()


@contextlib.contextmanager
def running_storage() -> Iterator[tuple[Path, Path]]:
    """The socket of a helper that knows one storage host, and the host's directory."""
    base = Path(tempfile.mkdtemp(prefix="backendai-folders-", dir="/run"))
    base.chmod(0o711)
    try:
        with running_helper("--storage", f"{HOST}={base}") as helper:
            yield helper.socket, base
    finally:
        shutil.rmtree(base)
