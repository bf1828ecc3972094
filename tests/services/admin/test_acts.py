"""The audit log in words."""

import re
from pathlib import Path

import pytest

import jupyterhub_backendai
from jupyterhub_backendai.core.nouns import NOUNS
from jupyterhub_backendai.services.admin.acts import name_act, show_act
from jupyterhub_backendai.store import audit

_ACTION = re.compile(r'(?:action=|_record\()"([a-z_.-]+)"')


def list_actions():
    """Every act that a program of ours writes down by name."""
    texts = [path.read_text() for path in Path(jupyterhub_backendai.__file__).parent.rglob("*.py") if "audit" in path.read_text()]
    return sorted({action for text in texts for action in _ACTION.findall(text)} - {"append", "store_const", "store_true"})


@pytest.mark.parametrize(
    "action", [*list_actions(), *(f"{noun.singular}.{verb}" for noun in NOUNS.values() for verb in sorted(noun.verbs))]
)
def test_every_act_has_words(action):
    assert name_act("en", action) != action


def test_acts_in_words():
    assert show_act("en", "resource_group.update") == "Resource group: changed (resource_group.update)"
    assert show_act("en", "login.code") == "Log in (login.code)"
    assert show_act("en", "of.somebody") == "of.somebody"


async def test_the_audit_log_is_read_in_words(root, site):
    await site.db.run(audit.record, actor="park04", action="domain.create", object="physics", result="refused")
    _, page = await root.get("admin/audit_log?object=physics")
    row = page.select_one("table.bai-list tbody tr").text
    assert "Domain: made (domain.create)" in row
    assert "refused" in row
    assert [option.text for option in page.select("#filter-result option")][:3] == ["all", "done", "refused"]
    _, page = await root.get("admin/audit_log?result=ok&object=physics")
    assert page.select("table.bai-list tbody tr") == []
