import json

import pytest
from cryptography.fernet import Fernet

from tests.databases import sqlite_template

__all__ = ["sqlite_template"]


@pytest.fixture
def site(tmp_path):
    """The directory of a site on the embedded default, without a database yet."""
    secrets = dict.fromkeys(("private", "cookie", "proxy", "oauth_state"), "x" * 32)
    (tmp_path / "secrets.json").write_text(json.dumps({**secrets, "crypt": Fernet.generate_key().decode()}))
    (tmp_path / "secrets.json").chmod(0o600)
    (tmp_path / "jupyterhub_config.py").write_text(
        f"""
c = get_config()
c.BackendAI.state_dir = {str(tmp_path)!r}
c.BackendAI.admin_groups = ["admins"]
c.BackendAI.queues = [{{"name": "small", "engine": "local", "capacity": {{"cpu": 2, "mem": 2**31}}}}]
"""
    )
    return tmp_path
