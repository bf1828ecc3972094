"""What the administrator's pages share: the menu, finding a noun's records, addresses and notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ... import i18n
from ...core.identity import Actor
from ...core.nouns import NOUNS, Noun
from ...errors import N_, BackendAIError, NotFound
from ...store.records import RECORDS, Records
from ..base import PageHandler
from .drawing import draw_cell

# Words of our own addresses, which a thing may all the same be called.
RESERVED = frozenset({"new", "import"})
# Pages that are no noun's table: title, and whether they are for superadmins only.
PAGES = {
    "nodes": (N_("Nodes"), True),
    "folders": (N_("Folders"), False),
    "quota_scopes": (N_("Quotas of folders"), False),
    "statistics": (N_("Statistics"), False),
    "bills": (N_("Bills"), False),
    "settings": (N_("Settings"), True),
    "maintenance": (N_("Maintenance work"), True),
}
# A noun's name in an address: those of the other pages are left to their own handlers, in whatever order the routes come.
NOUN_PATH = rf"(?!(?:{'|'.join(PAGES)})(?:/|$))([a-z_]+)"
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (N_("People"), ("users", "sign_up_invitations", "keypairs", "projects", "domains")),
    (N_("Rules"), ("keypair_resource_policies", "user_resource_policies", "project_resource_policies", "resource_presets")),
    (N_("Resources"), ("resource_groups", "nodes", "images", "container_registries", "resource_slot_types")),
    (N_("Storage"), ("storage_hosts", "folders", "quota_scopes")),
    (N_("Sessions and use"), ("sessions", "statistics", "bills", "audit_log")),
    (N_("Platform"), ("announcements", "settings", "maintenance")),
)
# What a page says after an act. The address holds the word, never the sentence: nobody can make a page say something else.
NOTICES = {
    "extended": N_("The session was given more time."),
    "created": N_("It was made."),
    "saved": N_("The changes were saved."),
    "unchanged": N_("Nothing was changed."),
    "deleted": N_("It was deleted."),
    "activated": N_("It is active again."),
    "deactivated": N_("It is inactive now."),
    "stopping": N_("The session is being stopped."),
    "gone": N_("The session had ended already."),
    "otp-reset": N_("The one-time password was reset; the next login enrols anew."),
    "applied": N_("The file was applied."),
    "frozen": N_("New sessions are refused from now on. Those that run go on."),
    "running": N_("New sessions are taken again."),
    "drained": N_("Nothing new is started on the node."),
    "resumed": N_("The node is used again."),
    "credited": N_("The credit was changed."),
    "rescanned": N_("The images were read anew."),
    "rescanning": N_("The registries are looked through now. You can leave this page."),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu."""

    name: str
    title: str
    url: str


class AdminHandler(PageHandler):
    """A page of administration. Use it with ``@administrative``; what an actor may not see is not found."""

    @property
    def base(self) -> str:
        """Where administration begins."""
        return f"{self.hub_auth.base_url}admin/"

    def find_records(self, name: str) -> Records:
        """The records of a noun. Raises NotFound when there is none, or none for this person."""
        records = RECORDS.get(name)
        if records is None or not records.noun.may(self.actor, "list"):
            raise NotFound
        return records

    def require_superadmin(self) -> None:
        """Raises NotFound for a domain's administrator."""
        if not self.actor.is_superadmin:
            raise NotFound

    def url_of(self, noun: str, key: str = "", *rest: str, **query: str) -> str:
        """The address of a noun's table, of one thing, or of something done to it."""
        return address(self.base, noun, key, *rest, **query)

    @property
    def notice(self) -> str:
        """What the last act did, in words."""
        return i18n.translate(self.language, NOTICES.get(self.get_query_argument("notice", "")[:32], ""))

    def render_admin(self, template: str, active: str, *, status: int = 200, **values: Any) -> None:
        """Answer with a page that has the menu beside it; ``active`` is the entry of the menu where the reader is."""
        self.set_status(status)
        menu = list_menu(self.actor, self.base)
        here = next((entry for _, entries in menu for entry in entries if entry.name == active), None)
        self.render_page(
            template,
            menu=menu,
            active=active,
            entry=here,
            actor=self.actor,
            admin_url=self.base,
            notice=self.notice,
            draw_cell=draw_cell,
            **values,
        )

    def explain_all(self, error: BackendAIError) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """An error as a form shows it: by field, and all of it in order as (field, text)."""
        if not error.violations:
            return {}, [("", i18n.explain(self.language, error))]
        texts = [(violation.field, i18n.explain(self.language, violation)) for violation in error.violations]
        by_field: dict[str, str] = {}
        for name, text in texts:
            by_field[name] = f"{by_field[name]} {text}" if name in by_field else text
        return by_field, texts


def address(base: str, noun: str, key: str = "", *rest: str, **query: str) -> str:
    """See :meth:`AdminHandler.url_of`."""
    parts = [noun, *([quote_key(key)] if key else []), *rest]
    text = base + "/".join(parts)
    found = {name: value for name, value in query.items() if value}
    return f"{text}?{urlencode(found)}" if found else text


def quote_key(key: str) -> str:
    """A key as a part of an address. A thing named as one of our own words is written so that it is not taken for it."""
    if key in RESERVED:
        return f"%{ord(key[0]):X}{key[1:]}"
    return quote(key, safe="@:,")


def list_menu(actor: Actor, base: str) -> list[tuple[str, Sequence[Entry]]]:
    """The menu's sections with the entries that this person may see."""
    found: list[tuple[str, Sequence[Entry]]] = []
    for title, names in SECTIONS:
        entries = [entry for name in names if (entry := _entry(name, actor, base))]
        if entries:
            found.append((title, entries))
    return found


def _entry(name: str, actor: Actor, base: str) -> Entry | None:
    if name in PAGES:
        title, is_ours = PAGES[name]
        return Entry(name, title, base + name) if actor.is_superadmin or not is_ours else None
    noun = NOUNS.get(name)
    if noun is None or name not in RECORDS or not noun.may(actor, "list"):
        return None
    return Entry(name, noun.title, base + name)


def can_import(noun: Noun, actor: Actor) -> bool:
    """Whether such things can be made and changed by a file: it must name them as people do."""
    return noun.key == "name" and noun.may(actor, "create") and noun.may(actor, "update")


def title_of(noun: Noun, values: Mapping[str, Any], key: str) -> str:
    """What people call a thing: its name where it has one, else its key."""
    for name in ("name", "title", "action"):
        value = values.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, Mapping) and value:
            return str(next(iter(value.values())))
    return key or noun.singular
