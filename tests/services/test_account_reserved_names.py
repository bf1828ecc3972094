"""Names with rights by configuration, which nobody may sign up with."""

from __future__ import annotations

import pytest
from traitlets.config import Config

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.services.reserved_names import has_rights_by_name, list_reserved


def test_whoever_the_configuration_names(tmp_path):
    (tmp_path / "emergency").write_text("Rescue:hash\n")
    config = Config()
    config.BackendAI.admin_users = ["Boss"]
    config.BackendAI.emergency_admin_file = str(tmp_path / "emergency")
    config.Authenticator.admin_users = {"hubboss"}
    config.BackendAIAuthenticator.admin_users.update({"lazyboss"})
    config.JupyterHub.load_roles = [{"name": "monitor", "users": ["watcher"], "scopes": []}, {"name": "service", "services": ["x"]}]
    assert list_reserved(BackendAI(config=config)) == {"boss", "hubboss", "lazyboss", "watcher", "rescue"}


def test_nobody():
    assert list_reserved(BackendAI(emergency_admin_file="/no/such")) == frozenset()


RULES = [
    {"user": "kim01", "role": "superadmin"},
    {"user": "lab-.*", "domain": "physics"},
    {"group": "staff", "role": "admin"},
]


@pytest.mark.parametrize(
    ("name", "has_rights"),
    [("kim01", True), ("lab-7", True), ("staff", False), ("kim", False), ("a", False), ("boss", True)],
)
def test_whom_a_rule_gives_more_than_others(name, has_rights):
    settings = BackendAI(mapping_rules=RULES, admin_users=["boss"], sign_up_groups=["guests"])
    assert has_rights_by_name(settings, name) is has_rights


def test_a_unix_account_of_ones_name_is_a_right_and_a_project_of_ones_name_is_none():
    assert has_rights_by_name(BackendAI(mapping_rules=[{"account": "{user}", "uid": 5000, "gid": 5000, "home": "/home/{user}"}]), "kim")
    assert not has_rights_by_name(BackendAI(mapping_rules=[{"projects": ["of-{user}"]}]), "kim")
