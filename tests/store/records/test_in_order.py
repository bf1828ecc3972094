"""What only the database notices, because two acts met, is a Conflict."""

import pytest
from sqlalchemy import insert

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.errors import Conflict
from jupyterhub_backendai.store.models import AuditEntry, Domain, Project
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.records.domains import DomainRecords

ROOT = Actor("root", Role.SUPERADMIN)


class Overtaken(DomainRecords):
    """Somebody else makes the same domain, or puts something into it, between the look and the act."""

    def check(self, db, actor, values, row):
        db.execute(insert(Domain).values(name=values["name"]))
        return []

    def check_removal(self, db, actor, row):
        db.execute(insert(Project).values(id="p" * 32, name="new", domain=row.name))


async def test_what_somebody_else_made_meanwhile(database):
    with pytest.raises(Conflict, match="Somebody else"):
        await database.run_exclusive(Overtaken().add, ROOT, {"name": "physics"})
    await database.run_exclusive(RECORDS["domains"].add, ROOT, {"name": "physics"})
    with pytest.raises(Conflict, match="Somebody else"):
        await database.run_exclusive(Overtaken().remove, ROOT, "physics")
    assert (await database.run(RECORDS["domains"].find, ROOT, "physics")).key == "physics"
    assert await database.run(lambda db: db.query(AuditEntry).count()) == 1


async def test_in_a_savepoint_the_others_go_on(database):
    def make(db):
        for name in ("physics", "biology"):
            try:
                with db.begin_nested():
                    (Overtaken() if name == "physics" else RECORDS["domains"]).add(db, ROOT, {"name": name})
            except Conflict:
                continue

    await database.run_exclusive(make)
    assert await database.run(lambda db: [row.name for row in db.query(Domain).filter(Domain.name != "default")]) == ["biology"]
