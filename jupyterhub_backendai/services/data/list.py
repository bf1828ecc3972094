"""The list of one's folders: tabs, filters, order and page stand in the address; invitations and use above it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

from ...core.vfolders import FolderStatus, OwnershipType, Permission
from ...errors import N_
from ...store import vfolder_invitations
from ...store.vfolder_pages import AUTOMOUNT, GENERAL, INVITED, MODELS, PROJECT, SORTS, TABS, TRASH, FolderQuery, list_page
from .. import vfolders
from ..auth import authenticated
from .base import DataPage
from .usage import load_usage

MAX_TEXT, MAX_PAGE = 128, 1_000_000
NEAR = 2
TAB_WORDS = {
    GENERAL: N_("General"),
    AUTOMOUNT: N_("Automount"),
    MODELS: N_("Models"),
    PROJECT: N_("Project"),
    INVITED: N_("Invited"),
    TRASH: N_("Trash"),
}
TAB_HELP = {
    AUTOMOUNT: N_(
        "Folders whose name begins with a dot are in every session by themselves, in its home directory: .local keeps what pip installs."
    ),
    MODELS: N_("Folders with models, which can be copied where their owner lets others do so."),
    PROJECT: N_("Folders of your projects. Administrators make them; every member has them without an invitation."),
    INVITED: N_("Folders of others who share them with you."),
    TRASH: N_("What is here still counts as used, and nobody can use it. Restore it, or delete it for good."),
}
COLUMNS = (
    ("name", N_("Name")),
    ("", N_("Id")),
    ("host", N_("Host")),
    ("type", N_("Whose")),
    ("permission", N_("Permission")),
    ("use", N_("Use")),
    ("created", N_("Created")),
)
TYPE_WORDS = {OwnershipType.USER: N_("Person"), OwnershipType.PROJECT: N_("Project")}


def read_query(read: Callable[[str], str]) -> FolderQuery:
    """What an address asks for; what cannot be is as if it were not there."""

    def choose(name: str, choices: object) -> str:
        value = read(name)
        return value if value in choices else ""  # type: ignore[operator]

    sort, page = read("sort"), read("page")
    return FolderQuery(
        tab=choose("tab", TABS) or GENERAL,
        text=read("q")[:MAX_TEXT].replace("\0", ""),
        host=read("host")[:MAX_TEXT].replace("\0", ""),
        type=choose("type", {item.value for item in OwnershipType}),
        permission=choose("permission", {item.value for item in Permission}),
        sort=sort if sort.removeprefix("-") in SORTS else "name",
        page=min(int(page), MAX_PAGE) if page.isascii() and page.isdigit() and len(page) < 9 else 1,
    )


# What changes by itself, and is looked at again.
BUSY = frozenset({FolderStatus.PERFORMING, FolderStatus.CLONING, FolderStatus.DELETE_ONGOING})


class ListHandler(DataPage):
    """GET lists; ``?folder=<id>`` leads to that folder, as other programs' links do."""

    @authenticated
    async def get(self) -> None:
        wanted = self.get_query_argument("folder", "").replace("-", "")
        if re.fullmatch(r"[0-9a-f]{32}", wanted):
            self.redirect(f"{self.base}/{wanted}")
            return
        query = read_query(lambda name: self.get_query_argument(name, ""))
        found = await self.db.run(list_page, self.identity.name, query)
        self.render_data(
            "data/list.html",
            tasks=await vfolders.list_tasks(self, [access.folder.id for access in found.folders if access.folder.status in BUSY]),
            query=query,
            found=found,
            lines=[self.describe(access, marks=found.marks.get(access.folder.id)) for access in found.folders],
            tabs=TAB_WORDS,
            tab_help=TAB_HELP.get(query.tab, ""),
            columns=COLUMNS,
            types=TYPE_WORDS,
            notice=await self.find_notice(),
            panel=await load_usage(self),
            invitations=await self.db.run(vfolder_invitations.list_received, self.identity.name),
            is_filtered=bool(query.text or query.host or query.type or query.permission),
            link=lambda **changes: self.link(query, **changes),
            pages=list_pages(found),
            busy=BUSY,
        )

    def link(self, query: FolderQuery, **changes: str | int) -> str:
        """This list's address with some of it changed; a change of anything but the page leads to the first one."""
        known = {
            "tab": query.tab,
            "q": query.text,
            "host": query.host,
            "type": query.type,
            "permission": query.permission,
            "sort": query.sort,
        }
        asked = {**known, **changes}
        shown = {
            name: value for name, value in asked.items() if value and (name, value) not in {("tab", GENERAL), ("sort", "name"), ("page", 1)}
        }
        return f"{self.request.path}?{urlencode(shown)}" if shown else self.request.path


class Paged(Protocol):
    """A page of something."""

    @property
    def page(self) -> int: ...
    @property
    def pages(self) -> int: ...


def list_pages(found: Paged) -> list[int]:
    """The numbers of pages that are offered, 0 for a gap."""
    shown = sorted({1, found.pages, *range(max(1, found.page - NEAR), min(found.pages, found.page + NEAR) + 1)})
    numbers: list[int] = []
    for number in shown:
        if numbers and number - numbers[-1] > 1:
            numbers.append(0)
        numbers.append(number)
    return numbers


default_handlers = [(r"data", ListHandler)]
