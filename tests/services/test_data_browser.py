"""The page "Data" in Chromium: by script and by keyboard, at both widths, light and dark, in both languages."""

import re

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.vfolders import FolderStatus, Permission, UsageMode
from jupyterhub_backendai.store import models, vfolder_invitations, vfolder_quotas
from tests.databases import sqlite_template
from tests.factories import GIB
from tests.services.admin.conftest import add_people
from tests.services.browsing import AXE, RUN, SHOTS, SIZES, chromium, open_page, shoot, tab_to, watch
from tests.services.data_folders import HOST, FakeStorage, add_folder, add_session, share, user_id
from tests.services.public import settings, site

__all__ = ["chromium", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


def fill(db):
    """Folders of every kind, as kim01 meets them; the id of one that is shared and in use."""
    for name in ("kim01", "lee01"):
        db.query(models.User).filter_by(name=name).update({"email": f"{name}@example.org"})
    mine = add_folder(db, "user1-ml-test", used_bytes=1_757_016_770, used_files=1204)
    share(db, mine, "lee01", Permission.READ_WRITE)
    add_session(db, mine, "kim01", "training")
    add_folder(db, "experiments-2026", used_bytes=93_231_821)
    add_folder(db, ".local", used_bytes=1024)
    add_folder(db, "bert-base", usage_mode=UsageMode.MODEL, cloneable=True)
    add_folder(db, "course", project="default", permission=Permission.READ_ONLY)
    add_folder(db, "old-results", status=FolderStatus.DELETE_PENDING, used_bytes=4096)
    share(db, add_folder(db, "user2-vfolder", owner="lee01", used_bytes=10_000), "kim01", Permission.READ_WRITE)
    asked = add_folder(db, "genomes", owner="lee01")
    vfolder_invitations.invite(db, Actor("lee01", Role.USER, "default"), asked, ["kim01@example.org"], Permission.READ_ONLY)
    return mine


@pytest.fixture
async def folder_id(site):
    storage = site.application.settings["storage"] = FakeStorage()
    site.application.settings["folder_access"]._storage = storage
    return await site.db.run(fill)


async def open_watched(chromium, site, language="en", user="kim01", **options):
    page = await open_page(chromium, site, user, language, bypass_csp=True, **options)
    await page.context.add_init_script(AXE.read_text())
    return page, watch(page)


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_every_view_is_for_everybody(chromium, site, folder_id, language):
    page, complaints = await open_watched(chromium, site, language)
    views = {
        "list": "data",
        "trash": "data?tab=trash",
        "folder": f"data/{folder_id}",
        "share": f"data/{folder_id}/share",
        "new": "data/new",
        "shared": "data/shared",
    }
    if language == "ko":
        views = {name: views[name] for name in ("list", "share")}  # axe has been everywhere; this is for the length of the words
    pictures = {"en": {"list", "folder"}, "ko": {"list", "share"}}
    await look_at(page, site, views, language, pictures[language])
    assert complaints == []
    await page.context.close()


async def look_at(page, site, views, language, pictures):
    """axe by day and by night, pictures of some; nothing may be wider than a phone."""
    for name, path in views.items():
        await page.goto(site.url + path)
        await expect(page.locator("html[data-ready]")).to_have_count(1)
        assert await page.evaluate(RUN, []) == [], name
        if name in pictures:
            await shoot(page, f"data-{name}", language)
            await page.set_viewport_size(SIZES["desktop"])
        else:
            await page.set_viewport_size(SIZES["phone"])
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
            await page.screenshot(path=SHOTS / f"data-{name}-phone-{language}.png", full_page=True)
            await page.set_viewport_size(SIZES["desktop"])


async def test_administration_is_for_everybody(chromium, site, folder_id):
    def fill_scopes(db):
        add_people(db)
        for row in db.query(models.VFolder):
            vfolder_quotas.ensure_scope(db, row.host, row.quota_scope_id)
        scope = f"user:{user_id(db, 'kim01')}"
        vfolder_quotas.set_limit(db, HOST, scope, 2 * GIB)
        return scope

    scope = await site.db.run(fill_scopes)
    views = {"admin-folders": "admin/folders", "admin-quotas": "admin/quota_scopes", "admin-quota": f"admin/quota_scopes/{HOST}/{scope}"}
    page, complaints = await open_watched(chromium, site, "ko", user="root", color_scheme="dark")
    await look_at(page, site, views, "ko", {"admin-quotas"})
    assert complaints == []
    await page.context.close()


async def test_a_folder_is_made_in_a_dialog(chromium, site, folder_id):
    page, complaints = await open_watched(chromium, site)
    await page.goto(site.url + "data")
    await page.locator("#create").click()
    dialog = page.get_by_role("dialog", name="New folder")
    await expect(dialog).to_be_visible()
    await expect(dialog.locator("#f-name")).to_be_focused()
    await page.keyboard.type("a b")
    await expect(dialog.locator("#f-name-help")).to_contain_text("Only letters")
    await dialog.locator("#f-name").fill("course")
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "data-dialog", "en")
    await page.keyboard.press("Enter")
    await expect(dialog.locator("#wrong")).to_be_focused()
    await expect(dialog.locator("#wrong")).to_contain_text("already a folder course")
    await expect(dialog.locator("#f-name")).to_have_value("course")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(page.locator("#create")).to_be_focused()
    await page.keyboard.press("Enter")
    await dialog.get_by_text("Automount").first.click()
    await dialog.locator("#f-name").fill("linuxbrew")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"data/[0-9a-f]{32}\?done=created"))
    await expect(page.locator("#done")).to_have_text("The folder .linuxbrew was made.")
    assert complaints == []
    await page.context.close()


async def test_a_folder_is_renamed_thrown_away_and_deleted_by_keyboard(chromium, site, folder_id):
    page, complaints = await open_watched(chromium, site)
    await page.goto(site.url + "data?q=experiments")
    await tab_to(page, "a[aria-label='Rename: experiments-2026']")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog #f-name")).to_be_focused()
    await page.keyboard.press("Control+a")
    await page.keyboard.type("experiments-new")
    await page.keyboard.press("Enter")
    await expect(page.locator("#done")).to_have_text("The folder is called experiments-new now.")
    await expect(page).to_have_url(re.compile("q=experiments"))
    await tab_to(page, "a[aria-label='Move to the trash: experiments-new']")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Move to the trash")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#done")).to_have_text("experiments-new is in the trash.")
    await page.locator("#tabs").get_by_role("link", name="Trash").click()
    await expect(page).to_have_url(re.compile("tab=trash"))
    await expect(page.locator("html[data-ready=data]")).to_have_count(1)
    await page.get_by_label("Delete for good: experiments-new").click()
    button = page.get_by_role("dialog").get_by_role("button", name="Delete for good")
    await expect(button).to_be_disabled()
    await page.locator("dialog #f-name").fill("experiments-new")
    assert await page.evaluate(RUN, []) == []
    await button.click()
    await expect(page.locator("#done")).to_contain_text("experiments-new is being deleted")
    assert complaints == []
    await page.context.close()


async def test_a_folder_is_shared_in_a_dialog_and_an_invitation_answered(chromium, site, folder_id):
    page, complaints = await open_watched(chromium, site)
    await page.goto(site.url + "data")
    await page.locator("#invitations").get_by_role("button", name="Accept: genomes").click()
    await expect(page.locator("#done")).to_have_text("genomes is shared with you now.")
    await page.goto(site.url + "data?q=bert&tab=models")
    await page.get_by_label("Share: bert-base").click()
    dialog = page.get_by_role("dialog", name="Share bert-base")
    await dialog.locator("#f-emails").fill("lee01@example.org, nobody@example.org")
    await dialog.get_by_role("button", name="Invite").click()
    await expect(dialog.locator("#wrong")).to_contain_text("Invited: 1")
    await dialog.get_by_label("Permission of lee01").select_option("ro")
    await dialog.get_by_role("button", name="Change: lee01").click()
    await expect(dialog.locator("#done")).to_have_text("The invitation was changed.")
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "data-share-dialog", "en")
    await dialog.get_by_text("Close").click()
    await expect(dialog).to_have_count(0)
    assert complaints == []
    await page.context.close()


async def test_without_scripts_everything_is_a_page(chromium, site, folder_id):
    page = await open_page(chromium, site, java_script_enabled=False)
    await page.goto(site.url + "data")
    await page.get_by_label("Rename: user1-ml-test").click()
    await expect(page).to_have_url(re.compile("/rename"))
    await page.locator("#f-name").fill("course")
    await page.get_by_role("button", name="Rename").click()
    await expect(page.locator("#wrong")).to_contain_text("already")
    await page.locator("#f-name").fill("renamed")
    await page.get_by_role("button", name="Rename").click()
    await expect(page.locator("#done")).to_have_text("The folder is called renamed now.")
    await page.context.close()
