"""``GET rest/v1/announcements``."""

from jupyterhub_backendai.store.records import RECORDS
from tests.services.rest.people import ROOT, admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def test_everybody_reads_what_is_current_in_their_language(admin_site):
    texts = {"title": {"en": "Maintenance", "ko": "점검"}, "body": {"en": "On Monday"}}
    for fields in ({"level": "info"}, {"level": "danger"}, {"ends_at": "2020-01-01"}, {"is_active": False}):
        await admin_site.site.db.run(RECORDS["announcements"].add, ROOT, {**texts, **fields})
    for caller in (admin_site.owner, admin_site.member, admin_site.stranger, admin_site.admin, admin_site.root):
        status, answer, _ = await caller.get("announcements", Accept_Language="ko")
        assert status == 200
        assert [item["level"] for item in answer["announcements"]] == ["danger", "info"]
    first = answer["announcements"][0]
    assert (first["title_text"], first["body_text"], first["title"]) == ("점검", "On Monday", texts["title"])
    assert (await admin_site.outsider.get("announcements"))[0] == 401
