"""Which folders are due for measuring, on both databases."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from jupyterhub_backendai.core.vfolders import FolderStatus
from jupyterhub_backendai.services.folder_measuring import want_due
from jupyterhub_backendai.store import folder_tasks, models, vfolder_quota_lists
from jupyterhub_backendai.store.database import Database
from tests.factories import add_user
from tests.factories_folders import add_folder, add_host, mount_folder

HOUR = timedelta(hours=1)


async def test_who_is_due(database: Database) -> None:
    """Never measured, long ago, written to by a session that lives or has ended since; not what nobody can look into."""

    def act(db: Session) -> None:
        at = models.now()
        add_user(db)
        add_host(db)
        measured = {
            "never": None,
            "old": at - 25 * HOUR,
            "fresh": at - 2 * HOUR,
            "live": at - HOUR,
            "just": at - HOUR / 60,
            "ended": at - HOUR,
            "tried": None,
        }
        ids = {name: add_folder(db, name, measured_at=moment) for name, moment in measured.items()}
        add_folder(db, "trash", status=FolderStatus.DELETE_PENDING)
        for name in ("live", "just"):
            mount_folder(db, ids[name])
        mount_folder(db, ids["ended"], is_live=False)
        folder_tasks.add(db, "measure", ids["tried"])
        found = vfolder_quota_lists.list_due(db, at, every_s=86400, live_every_s=900, again_after_s=3600, limit=10)
        assert found[0] == ids["never"]
        assert set(found) == {ids[name] for name in ("never", "old", "live", "ended")}

    await database.run_exclusive(act)


async def test_few_stand_in_line_at_a_time(database: Database) -> None:
    """A night's work does not keep a copy or a deletion waiting."""

    def act(db: Session) -> None:
        add_user(db)
        add_host(db)
        for number in range(20):
            add_folder(db, f"data{number}")
        assert [want_due(db, 86400, 900) for _ in range(2)] == [8, 0]

    await database.run_exclusive(act)
