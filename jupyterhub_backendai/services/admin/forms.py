"""One thing: its page with a form, making one, changing it, taking it away. Works without scripts; nothing typed is lost on an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from ... import i18n
from ...core.identity import Actor
from ...core.nouns import NOUNS, Change, Field, Kind, Noun, Record
from ...core.nouns.resource_groups import list_owned_fields
from ...errors import N_, BackendAIError, Conflict, InvalidParameters, NotFound, Violation
from ...store.records import RECORDS, Records, list_slot_kinds
from ..auth import administrative
from ..rest.admin import forget, is_plain
from .base import NOUN_PATH, AdminHandler, title_of
from .inputs import editable, find_changes, read_arguments, read_form, write_defaults, write_form
from .lists import list_options, load_names, name_references
from .show import Cell, plain_text, show
from .widgets import Context, Typed, Widgets

# Who is active is not a box to tick among others: it is turned off with the name typed.
STATES: Mapping[str, tuple[str, Any, Any]] = {
    "users": ("status", "active", "inactive"),
    "keypairs": ("is_active", True, False),
    "projects": ("is_active", True, False),
    "domains": ("is_active", True, False),
    "resource_groups": ("is_active", True, False),
}
# What the configuration file says of the things that it names, and only it.
OWNED: Mapping[str, frozenset[str]] = {"resource_groups": list_owned_fields(frozenset()), "images": frozenset({"labels"})}
GROUPS = {
    "access": N_("Who may use it"),
    "definition": N_("What it is"),
    "scheduler": N_("Waiting line"),
    "posix": N_("Unix account"),
}
# A change of these is shown, with how many people it touches, before it is made.
CONFIRMED = frozenset({"domains", "keypair_resource_policies", "user_resource_policies", "project_resource_policies"})
# Where else one looks when one looks at such a thing: noun and filter.
RELATED: Mapping[str, Sequence[tuple[str, str]]] = {
    "users": (("keypairs", "user"), ("sessions", "user")),
    "domains": (("users", "domain"), ("projects", "domain"), ("sessions", "domain")),
    "projects": (("users", "projects"), ("sessions", "project")),
    "resource_groups": (("sessions", "resource_group"), ("resource_presets", "resource_group")),
    "keypair_resource_policies": (("keypairs", "resource_policy"),),
    "user_resource_policies": (("users", "resource_policy"),),
    "project_resource_policies": (("projects", "resource_policy"),),
}
WRONG_NAME = N_("This is not the name. Type %(name)s to go on.")


class _Undone(Exception):
    """Carries the answer out of a transaction that is rolled back."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change


def look_around(db: Session, records: Records, actor: Actor, key: str = "") -> tuple[Record | None, Context]:
    """A record (None without a key) and what its form offers. Raises NotFound."""
    record = records.find(db, actor, key) if key else None
    items = [item for item in records.noun.fields if item.of and not item.is_computed]
    hosts = load_names(db, actor, "storage_hosts") if any(item.kind is Kind.HOSTS for item in records.noun.fields) else ()
    people = records.count_hit(db, actor, key) if key and records.noun.name in CONFIRMED else 0
    secrets = frozenset(name for name, value in record.values.items() if name.startswith("has_") and value) if record else frozenset()
    return record, Context(list_slot_kinds(db), hosts, list_options(db, actor, items, within=records.noun.name), people, secrets)


def try_update(db: Session, records: Records, actor: Actor, key: str, data: Mapping[str, Any], etag: str) -> Change:
    """What an update would do; it is not done."""
    raise _Undone(records.update(db, actor, key, data, etag))


class RecordPage(AdminHandler):
    """What the pages of one thing share."""

    def fields(self, noun: Noun, record: Record | None) -> list[Field]:
        """The fields of the form; of a thing that is there already, its state and what the configuration file owns are set elsewhere."""
        if record is None:
            return editable(noun, is_new=True)
        without = {STATES[noun.name][0]} if noun.name in STATES else set()
        if record.values.get("is_configured"):
            without |= OWNED.get(noun.name, frozenset())
        return editable(noun, is_new=False, without=without)

    async def act(self, function: Any, *arguments: Any) -> Change:
        """One change in one transaction."""
        change: Change = await self.db.run_exclusive(function, *arguments)
        return change

    async def forget(self, noun: Noun) -> None:
        """Read anew what is kept in memory and depends on this noun."""
        await forget(self.application.settings, noun)

    def refuse(self, form: Mapping[str, Sequence[str]], error: BackendAIError) -> Typed:
        """The form again, with what is wrong. Raises what no form can answer."""
        if isinstance(error, NotFound) or error.status >= 500:
            raise error
        by_field, summary = self.explain_all(error)
        return Typed(form, by_field, summary, error.status, is_stale=isinstance(error, Conflict) and not error.violations)

    def show_form(self, noun: Noun, record: Record | None, context: Context, typed: Typed, **values: Any) -> None:
        """The page of a thing, or of a new one."""
        language, is_new = self.language, record is None
        items = self.fields(noun, record) if noun.may(self.actor, "create" if is_new else "update") else []
        known = {item.name for item in items}
        left_out = known | ({"details"} if record and noun.name == "audit_log" and read_audit(record, language) else set())
        facts = [] if record is None else [item for item in noun.fields if item.name not in left_out and item.kind is not Kind.SECRET]
        page = {
            "noun": noun,
            "record": record,
            "title": title_of(noun, record.values, record.key) if record else "",
            "url": self.url_of(noun.name, record.key) if record else f"{self.base}{noun.name}/new",
            "items": items,
            "groups": GROUPS,
            "facts": [(item, show(language, item, record.values.get(item.name), context.slot_kinds)) for item in facts] if record else [],
            "typed": typed,
            "context": context,
            "widgets": Widgets(language, context, typed),
            "etag": record.etag(noun) if record else "",
            "dangers": self.list_dangers(noun, record) if record else {},
            "audit": read_audit(record, language) if noun.name == "audit_log" and record else None,
            "names": self.name_references,
            "related": self.list_related(noun, record) if record else [],
        }
        self.render_admin("admin/form.html", noun.name, status=typed.status, **{**page, **values})

    def list_dangers(self, noun: Noun, record: Record) -> dict[str, str]:
        """What may be done to a thing besides changing its fields: the verb, and what must be typed for it ("" for nothing)."""
        title = title_of(noun, record.values, record.key)
        found: dict[str, str] = {}
        if noun.name in STATES and noun.may(self.actor, "update"):
            name, active, inactive = STATES[noun.name]
            value = getattr(record.values.get(name), "value", record.values.get(name))
            found |= {"activate": ""} if value != active else {}
            found |= {"deactivate": title} if value != inactive else {}
        if noun.name == "users" and noun.may(self.actor, "update") and record.values.get("has_otp"):
            found["reset-otp"] = title
        if noun.may(self.actor, "terminate") and record.values.get("is_live"):
            found["terminate"] = str(record.values["user"])
        if noun.may(self.actor, "delete") and not record.values.get("is_configured"):
            found["delete"] = title
        return found

    def name_references(self, cell: Cell) -> list[tuple[str, str]]:
        """What a reference names, as (words, address)."""
        return name_references(self, cell, {})

    def list_related(self, noun: Noun, record: Record) -> list[tuple[str, str]]:
        """Titles and addresses of tables that show what belongs to this."""
        found = []
        name = title_of(noun, record.values, record.key)
        for other, filter_name in RELATED.get(noun.name, ()):
            if other in RECORDS and RECORDS[other].noun.may(self.actor, "list") and filter_name in RECORDS[other].noun.filters:
                found.append((RECORDS[other].noun.title, self.url_of(other, **{filter_name: name})))
        if noun.name == "users" and "keypairs" in RECORDS and RECORDS["keypairs"].noun.may(self.actor, "create"):
            found.append((N_("New keypair"), f"{self.base}keypairs/new?{urlencode({'user': record.key})}"))
        if noun.name != "audit_log" and "audit_log" in RECORDS and RECORDS["audit_log"].noun.may(self.actor, "list"):
            found.append((N_("History"), self.url_of("audit_log", object=record.key)))
        return found


class NewHandler(RecordPage):
    """Make one. The address may fill in fields (``?user=kim01``)."""

    @administrative
    async def get(self, name: str) -> None:
        records = self._find(name)
        items = self.fields(records.noun, None)
        _, context = await self.db.run(look_around, records, self.actor)
        said = {
            key: values for key, values in read_arguments(self.request.query_arguments).items() if key.partition(".")[0] in _names(items)
        }
        self.show_form(records.noun, None, context, Typed({**write_defaults(items), **said}))

    @administrative
    async def post(self, name: str) -> None:
        records = self._find(name)
        noun, form = records.noun, read_arguments(self.request.body_arguments)
        try:
            change = await self.act(records.add, self.actor, read_form(self.fields(noun, None), form))
        except BackendAIError as exc:
            typed = self.refuse(form, exc)
            _, context = await self.db.run(look_around, records, self.actor)
            self.show_form(noun, None, context, typed)
            return
        await self.forget(noun)
        record = change.after or Record("", {})
        if change.extras:
            # Shown by this answer and kept nowhere, so it cannot be a page of its own.
            title, url = title_of(noun, record.values, record.key), self.url_of(noun.name, record.key)
            self.render_admin("admin/secret.html", noun.name, noun=noun, title=title, url=url, key=record.key, extras=change.extras)
            return
        self.redirect(self.url_of(noun.name, record.key, notice="created"), status=303)

    def _find(self, name: str) -> Records:
        records = self.find_records(name)
        if not records.noun.may(self.actor, "create"):
            raise NotFound
        return records


class RecordHandler(RecordPage):
    """Look at one, and change it."""

    @administrative
    async def get(self, name: str, key: str) -> None:
        records = self.find_records(name)
        record, context = await self.load(records, key)
        form = write_form(self.fields(records.noun, record), record.values, context.slot_kinds)
        self.show_form(records.noun, record, context, Typed(form))

    @administrative
    async def post(self, name: str, key: str) -> None:
        records = self.find_records(name)
        if not records.noun.may(self.actor, "update"):
            raise NotFound
        noun, form = records.noun, read_arguments(self.request.body_arguments)
        record, context = await self.load(records, key)
        items = self.fields(noun, record)
        data = find_changes(items, form, write_form(items, record.values, context.slot_kinds))
        etag = (form.get("etag") or [""])[-1]
        try:
            if noun.name in CONFIRMED and context.people and data and not form.get("confirmed"):
                self._ask(noun, record, context, form, await self._try(records, key, data, etag))
                return
            change = await self.act(records.update, self.actor, key, data, etag)
        except BackendAIError as exc:
            self.show_form(noun, record, context, self.refuse(form, exc), etag=etag)
            return
        await self.forget(noun)
        same = change.before is not None and change.after is not None and change.before.values == change.after.values
        is_unchanged = same and not any(noun.field(field_name).kind is Kind.SECRET for field_name in data)
        self.redirect(self.url_of(noun.name, key, notice="unchanged" if is_unchanged else "saved"), status=303)

    async def load(self, records: Records, key: str) -> tuple[Record, Context]:
        """The record and what its form offers. Raises NotFound."""
        if not is_plain(key):
            raise NotFound
        record, context = await self.db.run(look_around, records, self.actor, key)
        if record is None:
            raise NotFound
        return record, context

    async def _try(self, records: Records, key: str, data: Mapping[str, Any], etag: str) -> Change:
        try:
            await self.db.run_exclusive(try_update, records, self.actor, key, data, etag)
        except _Undone as done:
            return done.change
        raise AssertionError

    def _ask(self, noun: Noun, record: Record, context: Context, form: Mapping[str, Sequence[str]], change: Change) -> None:
        """Show what would change and for how many, with a button that does it."""
        before, after = (found.values if found else {} for found in (change.before, change.after))
        differences = [
            (
                i18n.translate(self.language, item.label),
                show(self.language, item, before.get(item.name), context.slot_kinds).text,
                show(self.language, item, after.get(item.name), context.slot_kinds).text,
            )
            for item in noun.fields
            if before.get(item.name) != after.get(item.name)
        ]
        self.show_form(noun, record, context, Typed(form, differences=differences), etag=(form.get("etag") or [""])[-1])


class StateHandler(RecordHandler):
    """Turn something off, with its name typed, or on again."""

    @administrative
    async def post(self, name: str, key: str, verb: str) -> None:
        records = self.find_records(name)
        noun = records.noun
        if name not in STATES or not noun.may(self.actor, "update"):
            raise NotFound
        record, context = await self.load(records, key)
        field_name, active, inactive = STATES[name]
        value = active if verb == "activate" else inactive
        try:
            if verb == "deactivate":
                check_typed_name(self.get_body_argument("typed_name", ""), title_of(noun, record.values, record.key), "deactivate")
            await self.act(records.update, self.actor, key, {field_name: value})
        except BackendAIError as exc:
            form = write_form(self.fields(noun, record), record.values, context.slot_kinds)
            self.show_form(noun, record, context, self.refuse(form, exc))
            return
        await self.forget(noun)
        self.redirect(self.url_of(name, key, notice=f"{verb}d"), status=303)


class DeleteHandler(RecordHandler):
    """Take one away, with its name typed."""

    @administrative
    async def post(self, name: str, key: str) -> None:
        records = self.find_records(name)
        noun = records.noun
        if not noun.may(self.actor, "delete"):
            raise NotFound
        record, context = await self.load(records, key)
        try:
            check_typed_name(self.get_body_argument("typed_name", ""), title_of(noun, record.values, record.key), "delete")
            await self.act(records.remove, self.actor, key)
        except BackendAIError as exc:
            form = write_form(self.fields(noun, record), record.values, context.slot_kinds)
            self.show_form(noun, record, context, self.refuse(form, exc))
            return
        await self.forget(noun)
        self.redirect(self.url_of(name, notice="deleted"), status=303)


def read_audit(record: Record, language: str) -> list[tuple[str, str, str]]:
    """The fields that an act changed, as (field, before, after)."""
    details = record.values.get("details") or {}
    before, after = (details.get(part) or {} for part in ("before", "after"))
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    singular = str(record.values.get("action", "")).partition(".")[0]
    items = {item.name: item.label for noun in NOUNS.values() if noun.singular == singular for item in noun.fields}
    names = dict.fromkeys([*before, *after])
    return [
        (i18n.translate(language, items.get(name, "")) or name, plain_text(before.get(name)), plain_text(after.get(name))) for name in names
    ]


def check_typed_name(typed: str, name: str, where: str) -> None:
    """Raises InvalidParameters unless the name was typed."""
    if typed.strip() != name:
        raise InvalidParameters(violations=[Violation(WRONG_NAME, {"name": name}, f"typed_name.{where}", "wrong-name")])


def _names(items: Sequence[Field]) -> frozenset[str]:
    return frozenset(item.name for item in items)


default_handlers = [
    (rf"admin/{NOUN_PATH}/new", NewHandler),
    (rf"admin/{NOUN_PATH}/([^/]+)", RecordHandler),
    (rf"admin/{NOUN_PATH}/([^/]+)/(activate|deactivate)", StateHandler),
    (rf"admin/{NOUN_PATH}/([^/]+)/delete", DeleteHandler),
]
