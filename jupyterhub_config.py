"""A runnable example: the platform on one machine, with its own directory of people and three pretend queues.

``script/run`` starts it. The hub and the service both read this file, so it holds assignments only and may be loaded twice.
Where things are comes from the environment; secrets are in ``secrets.json`` (mode 0600) of the state directory.
``script/lib/lab_config.py`` shows the same on Slurm and LDAP. Every setting: docs/configuration.md.
"""

import os
import sys
from pathlib import Path

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.templating import TEMPLATES

c = get_config()

state = Path(os.environ.get("BACKENDAI_STATE") or Path(__file__).resolve().parent / ".state").resolve()
port = int(os.environ.get("BACKENDAI_PORT") or 8000)
hub_host = os.environ.get("BACKENDAI_HUB_HOST") or "127.0.0.1"
hub_port = int(os.environ.get("BACKENDAI_HUB_PORT") or 8081)
proxy_port = int(os.environ.get("BACKENDAI_PROXY_PORT") or 8001)
service_port = int(os.environ.get("BACKENDAI_SERVICE_PORT") or 8091)
secrets = BackendAI(state_dir=str(state))
GIB = 1024**3

# -- the platform
c.BackendAI.state_dir = str(state)
c.BackendAI.private_url = os.environ.get("BACKENDAI_PRIVATE_URL") or f"unix://{state / 'private.sock'}"
c.BackendAI.hub_id = os.environ.get("BACKENDAI_HUB_ID") or "hub"
c.BackendAI.site_name = "Backend.AI on JupyterHub"
c.BackendAI.directory = "local"
c.BackendAI.admin_users = ["admin"]
c.BackendAI.user_root = str(state / "users" / "{user}")
# Give these out to everybody on this machine: the demo people have no Unix accounts
c.BackendAI.local_posix = False
c.BackendAI.queues = [
    {
        "name": "interactive",
        "engine": "local",
        "labels": {"en": "Interactive (free)", "ko": "대화형 (무료)"},
        "descriptions": {"en": "First steps, set-up, debugging", "ko": "첫걸음, 환경 설치, 디버깅"},
        "capacity": {"cpu": 4, "mem": 8 * GIB},
        "max_slots": {"cpu": 2, "mem": 4 * GIB},
        "default_time_s": 3600,
        "max_time_s": 4 * 3600,
    },
    {
        "name": "compute",
        "engine": "local",
        "labels": {"en": "Compute", "ko": "계산"},
        "descriptions": {"en": "Longer work on CPUs; waits in line", "ko": "CPU를 오래 쓰는 작업, 순서대로 대기"},
        "is_free": False,
        "capacity": {"cpu": 16, "mem": 32 * GIB},
        "default_time_s": 3600,
        "max_time_s": 12 * 3600,
        "scheduler": "fifo",
        "pending_timeout_s": 24 * 3600,
    },
    {
        "name": "gpu",
        "engine": "local",
        "labels": {"en": "GPU", "ko": "GPU"},
        "descriptions": {"en": "Four pretend GPUs", "ko": "가상 GPU 4개"},
        "is_free": False,
        "capacity": {"cpu": 8, "mem": 32 * GIB, "cuda.device": 4},
        "gpu_type": "demo",
        "default_time_s": 3600,
        "max_time_s": 8 * 3600,
    },
]
# Where virtual folders are. Without the helper (docs/storage.md) all of them are files of this account
c.BackendAI.storage_hosts = [{"name": "local:folders", "path": str(state / "folders")}]

# -- JupyterHub: addresses and state
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://{hub_host}:{hub_port}"
c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
c.JupyterHub.upgrade_db = True  # an SQLite file is copied first
c.JupyterHub.cookie_secret = bytes.fromhex(secrets.read_secret("cookie"))
# the proxy is a process of its own: notebooks stay reachable while the hub restarts
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.auth_token = secrets.read_secret("proxy")
# servers outlive the hub; script/run asks for the opposite, so that Ctrl-C leaves nothing behind
c.JupyterHub.cleanup_servers = os.environ.get("BACKENDAI_CLEANUP_SERVERS") == "1"
c.JupyterHub.cleanup_proxy = False

# -- JupyterHub: logging in, pages
c.JupyterHub.authenticator_class = "backendai"
c.Authenticator.allow_all = True  # who may log in is decided by the service, with the password and the code
c.Authenticator.auth_refresh_age = 300
c.JupyterHub.template_paths = [str(TEMPLATES)]
c.JupyterHub.jinja_environment_options = {"extensions": ["jupyterhub_backendai.templating.Pages"]}
c.JupyterHub.template_vars = {"site": c.BackendAI.site_name}
# 1 s: refusals reach the page as an answer, good starts do not keep it waiting. On https add "secure": True
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1, "cookie_options": {"samesite": "Lax"}}
c.JupyterHub.oauth_require_pkce = True
c.JupyterHub.token_expires_in_max_seconds = 365 * 24 * 3600

# -- JupyterHub: sessions
c.JupyterHub.spawner_class = "backendai"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 20
c.JupyterHub.concurrent_spawn_limit = 0  # a session that waits in a queue counts as starting
c.Spawner.consecutive_failure_limit = 0

# -- JupyterHub: the service
c.JupyterHub.services = [
    {
        "name": "backendai",
        "url": f"http://127.0.0.1:{service_port}",
        "command": [sys.executable, "-m", "jupyterhub_backendai.services.app", "--config", str(Path(__file__).resolve())],
        "cwd": str(state),
        "environment": {name: value for name, value in os.environ.items() if name.startswith("BACKENDAI_")},
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["access:services!service=backendai", "servers!user", "read:users!user"],
        "display": False,
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "backendai-service",
        "description": "Sees everybody's sessions and ends those without a job",
        "scopes": ["list:users", "read:users", "servers", "admin:server_state", "read:hub"],
        "services": ["backendai"],
    }
]
# give this scope to the service or the token that Prometheus uses
c.JupyterHub.custom_scopes = {"custom:backendai:read:metrics": {"description": "Read the metrics of the platform"}}
c.JupyterHub.extra_user_scopes = ["access:services!service=backendai"]
