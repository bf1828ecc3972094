"""The service's own client of the hub's REST interface."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp

from ..errors import N_, BackendUnavailable


class HubClient:
    """Calls with the service's token, or with a person's when one is given. Make it inside the event loop."""

    def __init__(self, api_url: str, token: str, *, timeout_s: float = 30.0) -> None:
        self._url, self._token = api_url.rstrip("/"), token
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5)
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._http:
            await self._http.close()
        self._http = None

    async def request(self, method: str, path: str, body: Any = None, *, token: str = "") -> tuple[int, Any]:
        """Status and JSON (None when there is none) of one call; ``path`` is beneath ``/hub/api``.

        Raises BackendUnavailable when the hub does not answer; every status of the hub is returned, not raised.
        """
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        headers = {"Authorization": f"token {token or self._token}"}
        try:
            async with self._http.request(method, self._url + path, json=body, headers=headers) as response:
                is_json = "json" in response.headers.get("Content-Type", "")
                return response.status, (await response.json() if is_json else None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise BackendUnavailable(N_("JupyterHub does not answer right now. Try again in a minute.")) from exc

    async def start_server(self, user: str, server: str, options: dict[str, Any], display_name: str, *, token: str = "") -> tuple[int, Any]:
        """Ask the hub to start a server ("" is the default one)."""
        body: dict[str, Any] = {"user_options": options}
        if server:
            body["display_name"] = display_name or server
        return await self.request("POST", server_path(user, server), body, token=token)

    async def stop_server(self, user: str, server: str, *, token: str = "") -> tuple[int, Any]:
        """Ask the hub to stop a server, or to cancel its start."""
        return await self.request("DELETE", server_path(user, server), token=token)

    async def get_user(self, user: str, *, token: str = "") -> dict[str, Any] | None:
        """The hub's model of a user, all of its servers included; None when the token may not see it or there is none."""
        status, model = await self.request("GET", f"/users/{quote(user, safe='')}?include_stopped_servers", token=token)
        return model if status == 200 and isinstance(model, dict) else None

    async def list_users(self, state: str = "") -> list[dict[str, Any]]:
        """All users (``state`` ``active`` for those with a server), page by page. Raises BackendUnavailable when refused."""
        users: list[dict[str, Any]] = []
        while True:
            status, page = await self.request("GET", f"/users?limit=200&offset={len(users)}{f'&state={state}' if state else ''}")
            if status != 200 or not isinstance(page, list):
                raise BackendUnavailable
            users += page
            if len(page) < 200:
                return users


def server_path(user: str, server: str) -> str:
    """Where the REST interface has a server."""
    name = quote(user, safe="")
    return f"/users/{name}/servers/{quote(server, safe='')}" if server else f"/users/{name}/server"
