"""``otp reset``, with the service and without it."""

from __future__ import annotations

from jupyterhub_backendai.store import models, notes, otp
from tests.cli.listener import database, parts, run

__all__ = ["database", "parts", "run"]


async def test_the_service_resets_and_keeps_who_did_it(run, database):
    await database.run(otp.set_confirmed, "kim01", "sealed")
    status, out, err = await run("otp", "reset", "KIM01")
    assert (status, out, err) == (0, "kim01 sets up a new one-time password at the next login.\n", "")
    assert await database.run(otp.get_token, "kim01") is None
    assert [note.message for note in await database.run(notes.list_notes, "kim01")] == [otp.RESET]
    acts = await database.run(lambda db: [(row.actor, row.source) for row in db.query(models.AuditEntry) if row.action == "user.reset-otp"])
    assert [(actor.startswith("system:"), source) for actor, source in acts] == [(True, "command line")]
    status, _, err = await run("otp", "reset", "kim01")
    assert (status, "There is no one-time password token of kim01." in err) == (1, True)
