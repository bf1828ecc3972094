"""What tests of the page "Data" need besides rows: a storage host that is a list, and sessions that have a folder."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.files import Entry, EntryKind, Listing
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import models
from tests.factories_folders import HOST, add_folder, add_host
from tests.factories_folders import share_folder as share

__all__ = ["HOST", "FakeStorage", "add_folder", "add_host", "add_session", "share", "user_id"]


def user_id(db: Session, name: str) -> str:
    return str(db.scalars(select(models.User.id).where(models.User.name == name)).one())


class FakeFiles:
    """A directory with the same things in it, whatever its path."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self.entries = entries

    async def list(self, path: bytes, **options: Any) -> Listing:
        return Listing(self.entries, len(self.entries))


class FakeStorage:
    """A storage host that remembers what it was asked, and can be away."""

    is_single_user = True

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.trouble: Exception | None = None
        mode = 0o644
        self.files_of = FakeFiles(
            (
                Entry(b"tensorflow", EntryKind.DIRECTORY, 0, 0o755, 1_586_538_436_000_000_000, 0),
                Entry("한글 보고서.ipynb".encode(), EntryKind.FILE, 93_231, mode, 1_586_538_441_000_000_000, 0),
                Entry(b"ml_examples.zip", EntryKind.FILE, 1_274_250_233, mode, 1_586_538_458_000_000_000, 0),
            )
        )

    def files(self, access: Any, posix: Any) -> FakeFiles:
        return self.files_of

    async def make_folder(self, folder: Any, grants: Any) -> None:
        self._ask("make", folder.name)

    async def set_gate(self, folder: Any, grants: Any) -> None:
        self._ask("gate", folder.name, len(grants))

    def _ask(self, *words: Any) -> None:
        if self.trouble:
            raise self.trouble
        self.asked.append(words)


def add_session(db: Session, folder_id: str, user: str, name: str, engine: str = "slurm", target: str = "data") -> str:
    """A live session that has a folder."""
    row = models.ComputeSession(
        id=models.new_id(),
        user_id=user_id(db, user),
        name=name,
        server_name=name,
        queue="small",
        engine=engine,
        project="default",
        domain="default",
        environment="default",
        interface="lab",
        slots=ResourceSlots({"cpu": 1}),
        time_limit_s=3600,
        status=SessionStatus.RUNNING,
    )
    db.add(row)
    db.flush()
    mount = models.SessionMount(session_id=row.id, target=target, vfolder_id=folder_id, name=target, source="/nowhere", is_read_only=False)
    db.add(mount)
    db.flush()
    return str(row.id)
