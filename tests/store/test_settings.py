import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.errors import Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store.models import AuditEntry
from jupyterhub_backendai.store.settings import get_setting, is_frozen, list_settings, set_setting

ROOT = Actor("root", Role.SUPERADMIN, source="command line")


async def test_a_setting_is_changed_once_and_audited(database):
    assert await database.run(list_settings) == {"status": {"value": "running"}}
    assert await database.run(set_setting, ROOT, "status", {"value": "frozen"})
    assert not await database.run(set_setting, ROOT, "status", {"value": "frozen"})
    assert await database.run(is_frozen)
    assert await database.run(set_setting, ROOT, "status", {"value": "running"})
    assert await database.run(get_setting, "status") == {"value": "running"}
    rows = await database.run(
        lambda db: [(row.action, row.object, row.source, row.details) for row in db.query(AuditEntry).order_by(AuditEntry.at)]
    )
    assert rows[0] == ("setting.update", "status", "command line", {"before": {"value": "running"}, "after": {"value": "frozen"}})
    assert len(rows) == 2


async def test_refusals(database):
    for value in ({"value": "asleep"}, {"value": ["frozen"]}, {"mood": "good"}):
        with pytest.raises(InvalidParameters):
            await database.run(set_setting, ROOT, "status", value)
    with pytest.raises(NotFound):
        await database.run(set_setting, ROOT, "colour", {"value": "red"})
    with pytest.raises(Forbidden):
        await database.run(set_setting, Actor("lee01", Role.ADMIN, "default"), "status", {"value": "frozen"})
    with pytest.raises(NotFound):
        await database.run(set_setting, Actor("kim01", Role.USER, "default"), "status", {"value": "frozen"})
