"""``quota-scopes``: how much somebody keeps on each storage host, and how much they may; set and unset by administrators."""

from __future__ import annotations

from typing import Any

from ... import i18n
from ...core.identity import Actor
from ...core.vfolder_quotas import ScopeUsage, parse_limit
from ...errors import N_, InvalidParameters
from ...store import vfolder_quota_lists
from ...store.vfolder_quota_lists import MAX_PAGE_SIZE, SORTS, ScopeQuery
from ..auth import authenticated
from ..base import ApiHandler, JSONHandler
from .admin import AdminHandler, PrivateAdminHandler, is_plain

NOT_READ = N_("The request could not be read.")


def describe_usage(usage: ScopeUsage, language: str) -> dict[str, Any]:
    """A scope for programs: sizes in bytes, null for no limit and for what nobody knows yet. ``words`` say who enforces the limit."""
    names = (
        "host",
        "id",
        "owner",
        "domain",
        "limit_bytes",
        "policy_bytes",
        "is_limit_set",
        "used_bytes",
        "used_files",
        "reserved_bytes",
        "measured_bytes",
    )
    return {
        **{name: getattr(usage, name) for name in names},
        "remaining_bytes": usage.remaining_bytes,
        "percent": usage.percent,
        "folders": usage.folders,
        "driver": usage.driver or None,
        "is_enforced": usage.is_enforced,
        "words": i18n.translate(language, usage.words),
        "measured_at": usage.measured_at.isoformat() if usage.measured_at else None,
        "biggest": [
            {"id": item.id, "name": item.name, "status": item.status.value, "used_bytes": item.used_bytes} for item in usage.biggest
        ],
    }


class OwnScopesHandler(ApiHandler):
    """``GET`` what the caller and the caller's projects use, with the biggest folders."""

    @authenticated
    async def get(self) -> None:
        await self.storage_hosts.ready()
        found = await self.db.run(vfolder_quota_lists.list_own, self.identity.name)
        self.answer({"items": [describe_usage(usage, self.language) for usage in found]})


class ScopeVerbs(JSONHandler):
    """What the handlers for administrators share."""

    actor: Actor

    async def read_names(self, host: str, scope: str) -> tuple[str, str]:
        """Host and scope of an address; the scope by id or by name. Raises InvalidParameters and NotFound."""
        if not is_plain(host + scope):
            raise InvalidParameters(NOT_READ)
        return host, await self.db.run(vfolder_quota_lists.find_scope_id, scope)

    def answer_scope(self, usage: ScopeUsage, **more: Any) -> None:
        self.answer({**describe_usage(usage, self.language), **more})


class ScopesHandler(ScopeVerbs):
    """``GET`` the scopes that the caller looks after: ``q``, ``host``, ``kind``, ``is_limit_set``, ``sort``, ``page``, ``page_size``."""

    async def get(self) -> None:
        query = read_query({name: self.get_query_argument(name) for name in self.request.query_arguments})
        page = await self.db.run(vfolder_quota_lists.list_page, self.actor, query)
        items = [describe_usage(usage, self.language) for usage in page.scopes]
        self.answer({"items": items, "total": page.total, "page": page.page, "page_size": query.size, "page_count": page.pages})


class ScopeHandler(ScopeVerbs):
    """``GET`` one scope; ``PUT {"limit_bytes": …}`` sets its limit (null: none); ``DELETE`` makes it the policy's again."""

    async def get(self, host: str, scope_id: str) -> None:
        self.answer_scope(await self.db.run(vfolder_quota_lists.find_scope, self.actor, *await self.read_names(host, scope_id)))

    async def put(self, host: str, scope_id: str) -> None:
        body = self.read_body()
        if set(body) != {"limit_bytes"}:
            raise InvalidParameters(NOT_READ)
        limit = parse_limit(body["limit_bytes"])
        usage, is_applied = await self.quotas.set_limit(self.actor, *await self.read_names(host, scope_id), limit)
        self.answer_scope(usage, is_applied=is_applied)

    async def delete(self, host: str, scope_id: str) -> None:
        usage, is_applied = await self.quotas.set_limit(self.actor, *await self.read_names(host, scope_id), None, is_set=False)
        self.answer_scope(usage, is_applied=is_applied)


def read_query(arguments: dict[str, str]) -> ScopeQuery:
    """What an address asks for. Raises InvalidParameters."""
    flag = {"": None, "true": True, "false": False}
    page, size = arguments.get("page", "1"), arguments.get("page_size", str(ScopeQuery().size))
    sort, kind, is_set = arguments.get("sort", "owner"), arguments.get("kind", ""), arguments.get("is_limit_set", "")
    numbers = all(text.isascii() and text.isdigit() and int(text[:9]) > 0 for text in (page, size))
    is_known = sort.removeprefix("-") in SORTS and kind in ("", "user", "project") and is_set in flag
    text, host = arguments.get("q", "")[:256], arguments.get("host", "")[:64]
    if not (numbers and is_known and is_plain(text) and is_plain(host)):
        raise InvalidParameters(NOT_READ)
    return ScopeQuery(text, host, kind, flag[is_set], sort, int(page[:9]), min(int(size[:9]), MAX_PAGE_SIZE))


class PublicScopesHandler(ScopesHandler, AdminHandler):
    """Over HTTP."""


class PublicScopeHandler(ScopeHandler, AdminHandler):
    """Over HTTP."""


class PrivateScopesHandler(ScopesHandler, PrivateAdminHandler):
    """On the private listener."""


class PrivateScopeHandler(ScopeHandler, PrivateAdminHandler):
    """On the private listener."""


_PATH = "rest/v1/admin/quota-scopes"
default_handlers = [
    (r"rest/v1/quota-scopes", OwnScopesHandler),
    (_PATH, PublicScopesHandler),
    (rf"{_PATH}/([^/]+)/([^/]+)", PublicScopeHandler),
]
private_handlers = [
    (f"/private/{_PATH}", PrivateScopesHandler),
    (rf"/private/{_PATH}/([^/]+)/([^/]+)", PrivateScopeHandler),
]
