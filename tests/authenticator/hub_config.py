"""The configuration of a whole hub for tests of logging in: our authenticator, stock spawner, and no proxy in front."""

import os
import sys
from pathlib import Path

from jupyterhub.proxy import Proxy

from jupyterhub_backendai.templating import TEMPLATES

c = get_config()  # noqa: F821
state = Path(os.environ["TEST_STATE"])
port = int(os.environ["TEST_PORT"])


class NoProxy(Proxy):
    """Routes in memory: the tests talk to the hub itself."""

    should_start = False
    routes = {}  # noqa: RUF012 - there is one

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


c.BackendAI.state_dir = str(state)
c.BackendAI.private_url = f"unix://{os.environ.get('TEST_SERVICE') or state / 'private.sock'}"
c.BackendAI.site_name = "Test site"
c.BackendAI.emergency_admin_file = str(state / "emergency")
c.JupyterHub.authenticator_class = "backendai"
c.Authenticator.auth_refresh_age = 1
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.base_url = os.environ.get("TEST_BASE") or "/"
c.JupyterHub.db_url = f"sqlite:///{state / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
c.JupyterHub.template_paths = [str(TEMPLATES)]
c.JupyterHub.jinja_environment_options = {"extensions": ["jupyterhub_backendai.templating.Pages"]}
c.JupyterHub.template_vars = {"site": "Test site"}
c.JupyterHub.tornado_settings = {"cookie_options": {"samesite": "Lax"}}
c.JupyterHub.services = [{"name": "tester", "api_token": os.environ["TEST_TOKEN"]}]
c.JupyterHub.load_roles = [{"name": "tester", "scopes": ["admin:users", "admin:groups", "list:users"], "services": ["tester"]}]
sys.dont_write_bytecode = True
