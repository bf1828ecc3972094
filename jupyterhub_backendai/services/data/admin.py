"""Administration of storage: everybody's folders as far as one administers them, and the quota scopes with their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ... import i18n
from ...core.identity import Actor
from ...core.slots import format_bytes, parse_bytes
from ...core.vfolder_quotas import MAX_LIMIT_BYTES, ScopeUsage, parse_scope
from ...core.vfolders import OwnershipType, quota_scope_of
from ...errors import N_, BackendAIError, InvalidParameters, NotFound, Violation
from ...store import vfolder_hosts, vfolder_lists, vfolder_quota_lists
from ...store.models import Project, User
from ...store.vfolder_lists import FolderFilter
from ...store.vfolder_quota_lists import ScopeQuery
from ..admin.base import AdminHandler
from ..auth import administrative
from .list import list_pages
from .show import STATES, describe
from .usage import Gauge, make_gauge

FOLDERS, QUOTAS = "folders", "quota_scopes"
MAX_TEXT, MAX_PAGE, PAGE_SIZE = 128, 1_000_000, 50
FOLDER_COLUMNS = (
    ("name", N_("Name")),
    ("owner", N_("Whose")),
    ("", N_("Domain")),
    ("host", N_("Host")),
    ("status", N_("State")),
    ("used_bytes", N_("Use")),
    ("created_at", N_("Created")),
)
SCOPE_COLUMNS = (("owner", N_("Whose")), ("host", N_("Host")), ("used", N_("Use")), ("limit", N_("Limit")), ("percent", N_("Full")))
SCOPE_KINDS = {"user": N_("Person"), "project": N_("Project")}
LIMITS = {"policy": N_("what the resource policy says"), "own": N_("this much"), "none": N_("no limit")}
DONE = {
    "set": N_("The limit was set."),
    "set-late": N_("The limit was set. Its storage host does not answer right now and is told as soon as it does."),
}


class StorageHandler(AdminHandler):
    """What both tables share: reading an address, and writing it."""

    table = ""

    def read(self, name: str, choices: tuple[str, ...] | None = None) -> str:
        """A parameter of the address; "" for what is none of the choices."""
        value = self.get_query_argument(name, "")[:MAX_TEXT].replace("\0", "")
        return value if choices is None or value in choices else ""

    def read_page(self) -> int:
        """The page that is asked for."""
        text = self.read("page")
        return min(int(text), MAX_PAGE) if text.isascii() and text.isdigit() else 1

    def link(self, known: Mapping[str, str], **changes: str | int) -> str:
        """This table's address with some of it changed."""
        asked = {**known, **changes}
        shown = {name: value for name, value in asked.items() if value and (name, value) != ("page", 1)}
        return f"{self.base}{self.table}?{urlencode(shown)}" if shown else f"{self.base}{self.table}"


class FoldersHandler(StorageHandler):
    """GET lists the folders that somebody administers; a line leads to the folder's own page."""

    table = FOLDERS

    @administrative
    async def get(self) -> None:
        kinds = tuple(item.value for item in OwnershipType)
        sorts = tuple(name for name, _ in FOLDER_COLUMNS if name)
        sort = self.read("sort")
        asked = {
            "tab": self.read("tab", ("trash",)),
            "q": self.read("q"),
            "owner": self.read("owner"),
            "host": self.read("host"),
            "ownership_type": self.read("ownership_type", kinds),
            "sort": sort if sort.removeprefix("-") in sorts else "",
        }
        wanted = FolderFilter(
            search=asked["q"],
            host=asked["host"],
            owner=asked["owner"],
            ownership_type=asked["ownership_type"],
            trash=asked["tab"] == "trash",
            sort=asked["sort"] or "name",
            page=self.read_page(),
            size=PAGE_SIZE,
        )
        found = await self.db.run(vfolder_lists.list_everybody, self.actor.name, wanted)
        self.render_admin(
            "data/admin_folders.html",
            FOLDERS,
            found=found,
            lines=[describe(access, self.identity, self.language) for access in found.folders],
            asked=asked,
            sort=wanted.sort,
            hosts=[(host.name, host.name) for host in await self.db.run(_list_hosts)],
            columns=FOLDER_COLUMNS,
            states=STATES,
            kinds=SCOPE_KINDS,
            pages=list_pages(found),
            link=lambda **changes: self.link(asked, **changes),
            is_filtered=any(asked[name] for name in ("q", "owner", "host", "ownership_type")),
        )


class ScopesHandler(StorageHandler):
    """GET lists the quota scopes; a line leads to its limit."""

    table = QUOTAS

    @administrative
    async def get(self) -> None:
        await self.show()

    async def show(self, error: BackendAIError | None = None) -> None:
        """The table; ``error`` says why a scope that was looked for is not shown."""
        sort = self.read("sort")
        sorts = tuple(name for name, _ in SCOPE_COLUMNS)
        asked = {
            "q": self.read("q"),
            "host": self.read("host"),
            "kind": self.read("kind", tuple(SCOPE_KINDS)),
            "is_limit_set": self.read("is_limit_set", ("true", "false")),
            "sort": sort if sort.removeprefix("-") in sorts else "",
        }
        is_set = {"true": True, "false": False}.get(asked["is_limit_set"])
        query = ScopeQuery(asked["q"], asked["host"], asked["kind"], is_set, asked["sort"] or "owner", self.read_page(), PAGE_SIZE)
        found = await self.db.run(vfolder_quota_lists.list_page, self.actor, query)
        self.render_admin(
            "data/admin_quotas.html",
            QUOTAS,
            status=error.status if error else 200,
            found=found,
            gauges=[make_gauge(usage, self.language) for usage in found.scopes],
            address=self.address,
            asked=asked,
            sort=query.sort,
            hosts=[(host.name, host.name) for host in await self.db.run(_list_hosts)],
            columns=SCOPE_COLUMNS,
            kinds=SCOPE_KINDS,
            pages=list_pages(found),
            link=lambda **changes: self.link(asked, **changes),
            is_filtered=any(asked[name] for name in ("q", "host", "kind", "is_limit_set")),
            typed={name: self.read(name) for name in ("find_kind", "find_name", "find_host")},
            wrong=i18n.explain(self.language, error) if error else "",
        )

    def address(self, usage: ScopeUsage) -> str:
        """Where the limit of a scope is set."""
        return f"{self.base}{QUOTAS}/{quote(usage.host, safe='')}/{usage.id}"


class FindHandler(ScopesHandler):
    """GET leads to the scope of a person or project by name, also to one that holds nothing yet."""

    @administrative
    async def get(self) -> None:
        kind, name, host = self.read("find_kind", tuple(SCOPE_KINDS)) or "user", self.read("find_name").strip(), self.read("find_host")
        try:
            usage = await self.db.run(_find_named, self.actor, kind, name, host)
        except NotFound as exc:
            await self.show(exc)
            return
        self.redirect(self.address(usage))


class ScopeHandler(ScopesHandler):
    """GET shows one scope, POST sets its limit: ``limit`` is ``policy``, ``none`` or ``own`` with ``size``."""

    @administrative
    async def get(self, host: str, scope_id: str) -> None:
        await self.show_scope(host, scope_id)

    @administrative
    async def post(self, host: str, scope_id: str) -> None:
        fields = {name: self.get_body_argument(name, "")[:64] for name in ("limit", "size")}
        try:
            limit = read_limit(fields)
            is_set = fields["limit"] != "policy"
            _, is_applied = await self.quotas.set_limit(self.actor, *read_names(host, scope_id), limit, is_set=is_set)
        except NotFound:
            raise
        except BackendAIError as exc:
            await self.show_scope(host, scope_id, exc, fields)
            return
        self.redirect(f"{self.request.path}?done={'set' if is_applied else 'set-late'}", status=303)

    async def show_scope(
        self, host: str, scope_id: str, error: BackendAIError | None = None, typed: Mapping[str, str] | None = None
    ) -> None:
        """The page; after a refusal with what was typed."""
        usage = await self.db.run(vfolder_quota_lists.find_scope, self.actor, *read_names(host, scope_id))
        disk = await self.quotas.find_disk(usage.host)
        chosen = "policy" if not usage.is_limit_set else ("none" if usage.limit_bytes is None else "own")
        size = "" if usage.limit_bytes is None else format_bytes(usage.limit_bytes)
        gauge: Gauge = make_gauge(usage, self.language)
        self.render_admin(
            "data/admin_quota.html",
            QUOTAS,
            status=error.status if error else 200,
            gauge=gauge,
            usage=usage,
            disk=disk,
            limits=LIMITS,
            typed={"limit": chosen, "size": size, **(typed or {})},
            url=self.request.path,
            said=i18n.translate(self.language, DONE.get(self.get_query_argument("done", "")[:16], "")),
            wrong=[text for _, text in self.explain_all(error)[1]] if error else [],
            may_set=_may_set(self.actor, usage),
        )


def read_names(host: str, scope_id: str) -> tuple[str, str]:
    """Host and scope of an address. Raises NotFound."""
    try:
        return host.replace("\0", ""), ":".join(parse_scope(scope_id))
    except InvalidParameters as exc:
        raise NotFound from exc


def read_limit(fields: Mapping[str, str]) -> int | None:
    """Bytes, or None for no limit (and for the policy's). Raises InvalidParameters."""
    if fields["limit"] not in LIMITS:
        raise InvalidParameters(violations=[Violation(N_("Choose one of the list."), {}, "limit", "invalid")])
    if fields["limit"] != "own":
        return None
    try:
        limit = parse_bytes(fields["size"])
        if limit > MAX_LIMIT_BYTES:
            raise ValueError
    except (ValueError, OverflowError) as exc:
        message = N_("Give an amount, such as 100 GiB or 2 TiB.")
        raise InvalidParameters(violations=[Violation(message, {}, "size", "invalid")]) from exc
    return limit


def _may_set(actor: Actor, usage: ScopeUsage) -> bool:
    return actor.is_superadmin or usage.id.startswith("project:")


def _list_hosts(db: Session) -> list[vfolder_hosts.Host]:
    return vfolder_hosts.list_hosts(db, is_active=None)


def _find_named(db: Session, actor: Actor, kind: str, name: str, host: str) -> ScopeUsage:
    """The scope of somebody (by user name or mail address) or of a project. Raises NotFound."""
    person = select(User.id).where(or_(User.name == name, User.email == name))
    project = select(Project.id).where(Project.name == name)
    if not actor.is_superadmin:
        person, project = person.where(User.domain == actor.domain), project.where(Project.domain == actor.domain)
    found = db.scalars((person if kind == "user" else project).limit(2)).all()
    if len(found) != 1 or host not in {item.name for item in _list_hosts(db)}:
        raise NotFound(N_("There is nobody and no project of that name here. Of several of one name, look for the id in the table."))
    return vfolder_quota_lists.find_scope(db, actor, host, quota_scope_of(OwnershipType(kind), found[0]))


default_handlers: list[Any] = [
    (r"admin/folders", FoldersHandler),
    (r"admin/quota_scopes", ScopesHandler),
    (r"admin/quota_scopes/find", FindHandler),
    (r"admin/quota_scopes/([^/]+)/([^/]+)", ScopeHandler),
]
