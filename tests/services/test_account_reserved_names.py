"""Names with rights by configuration, which nobody may sign up with."""

from __future__ import annotations

from traitlets.config import Config

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.services.reserved_names import list_reserved


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
