"""Addresses that programs call and that browsers go to by a link or a form: each is told of trouble in its own way."""

from __future__ import annotations

from typing import cast

from jupyterhub.services.auth import HubOAuthenticated

from ...errors import BackendAIError
from ...templating import page_policy
from ..base import ApiHandler, PageHandler


class EitherHandler(PageHandler, ApiHandler):
    """JSON for programs; for a browser that shows what comes a page, and the login where there is none yet."""

    @property
    def is_browser(self) -> bool:
        """Whether what is answered becomes a page on somebody's screen."""
        return "text/html" in self.request.headers.get("Accept", "")

    def get_login_url(self) -> str:
        if self.is_browser:
            return cast(str, HubOAuthenticated.get_login_url(self))
        return ApiHandler.get_login_url(self)

    def write_problem(self, error: BackendAIError) -> None:
        if self.is_browser:
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.set_header("Content-Security-Policy", page_policy(self.nonce))
            PageHandler.write_problem(self, error)
        else:
            ApiHandler.write_problem(self, error)
