"""``folder share …``, ``leave`` and ``give``, as people use them."""

from __future__ import annotations

from tests.cli.test_folders import run
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "run", "settings", "site", "sqlite_template"]


async def test_from_the_question_to_taking_back(run):
    assert (await run("share", "invite", "data", "lee01", "--permission", "ro"))[0] == 0
    assert "lee01" in (await run("share", "invitations", "--sent"))[1]
    assert "kim01" in (await run("share", "invitations", user="lee01"))[1]
    assert (await run("share", "accept", "data"))[0] == 1  # it is lee01 who was asked
    status, out, _ = await run("share", "accept", "data", user="lee01")
    assert (status, out) == (0, "You share the folder from now on.\n")
    assert (await run("share", "change", "data", "lee01", "rw"))[1] == "Done.\n"
    assert " rw " in (await run("share", "list", "data"))[1]
    assert (await run("share", "take-back", "data", "nobody"))[0] == 1
    assert (await run("share", "take-back", "data", "lee01"))[1] == "Done.\n"
    assert (await run("share", "take-back", "data", "lee01"))[0] == 1


async def test_declined_cancelled_left_and_given(run):
    for answer, user in (("decline", "lee01"), ("cancel", "kim01")):
        assert (await run("share", "invite", "data", "lee01"))[0] == 0
        assert (await run("share", answer, "data", user=user))[0] == 0
    await run("share", "invite", "data", "lee01")
    await run("share", "accept", "data", user="lee01")
    assert (await run("leave", "data"))[0] == 1
    assert (await run("leave", "data", user="lee01"))[0] == 0
    assert (await run("give", "data", "lee01"))[0] == 1
    status, out, _ = await run("give", "data", "lee01", user="root")
    assert (status, "being copied" in out) == (0, True)
