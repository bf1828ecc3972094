"""All that is administered as one document: written out, compared, and made so.

A document has a section per noun (``domains:`` …), each a list of things, each with the fields it names; what it does not name stays
as it is. Changing is all or nothing: run :func:`apply` with ``Database.run_exclusive``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..core.documents import VERSION, Difference, is_same, write_field
from ..core.identity import Actor
from ..core.nouns import Change, Kind, Noun, Query, Record
from ..core.nouns.resource_groups import list_owned_fields
from ..core.slots import SlotKind
from ..errors import N_, BackendAIError, Forbidden, InvalidParameters, NotFound, Violation
from . import audit
from .models import DEFAULT_POLICY, Image, ResourceGroup, StorageHost
from .records import RECORDS, Records, list_slot_kinds
from .resource_groups import list_owned
from .settings import get_setting, list_settings, set_setting

# What others refer to comes before them. Everything else that is administered is no configuration: keys, sessions, the log.
ORDER = (
    "resource_slot_types",
    "storage_hosts",
    "container_registries",
    "images",
    "keypair_resource_policies",
    "user_resource_policies",
    "project_resource_policies",
    "resource_groups",
    "domains",
    "projects",
    "users",
    "resource_presets",
    "announcements",
)
SETTINGS = "settings"
PEOPLE = "users"
# The other side of what stands elsewhere: members under people, who may use a resource group under domains and projects.
_ELSEWHERE: Mapping[str, frozenset[str]] = {
    "projects": frozenset({"members"}),
    "resource_groups": frozenset({"domains", "projects", "keypairs"}),
}
# What is known to documents by another field than its key.
_NAMED_BY = {"projects": "name", "announcements": "title"}
_PAGE_SIZE = 500


def export(db: Session, actor: Actor, *, people: bool = False) -> dict[str, Any]:
    """Everything as one plain document, in an order that stays, without secrets and what the configuration file owns.

    ``people`` adds the users with their roles and projects; without it the document holds no personal data. Raises Forbidden or NotFound.
    """
    _require(actor)
    kinds = list_slot_kinds(db)
    document: dict[str, Any] = {"version": VERSION}
    for name in ORDER:
        if name in RECORDS and (people or name != PEOPLE):
            noun = _loosen(RECORDS[name].noun)
            found, owned = sorted(_list_known(db, actor, RECORDS[name]).items()), _list_owned(db, name)
            document[name] = [_write(noun, record.values, kinds, owned.get(key, frozenset())) for key, record in found]
    return {**document, SETTINGS: list_settings(db)}


def plan(db: Session, actor: Actor, document: Mapping[str, Any], *, prune: bool = False) -> list[Difference]:
    """What :func:`apply` would do, without doing it. Raises as it does."""
    with db.begin_nested() as savepoint:
        differences = _make(db, actor, document, prune=prune)
        savepoint.rollback()
    db.expire_all()
    return differences


def apply(db: Session, actor: Actor, document: Mapping[str, Any], *, prune: bool = False) -> list[Difference]:
    """Make everything as the document says, and answer what that was; nothing when it is so already.

    ``prune`` also takes away what the document's sections do not name; a section that is not there is left alone, and so are people,
    the policies ``default`` and what the configuration file has. Raises InvalidParameters with everything that is wrong and where
    (``resource_presets[3].resource_slots.cpu``), Forbidden or NotFound: then the transaction must end without a trace.
    """
    differences = _make(db, actor, document, prune=prune)
    if differences:
        counts = {verb: sum(item.verb == verb for item in differences) for verb in ("create", "update", "delete")}
        audit.record(db, actor=actor.name, action="configuration.import", source=actor.source, details=counts)
    return differences


def _make(db: Session, actor: Actor, document: Mapping[str, Any], *, prune: bool) -> list[Difference]:
    _require(actor)
    if db.get_bind().dialect.name == "postgresql":
        # Two imports at a time would each see half of the other.
        db.execute(text("SELECT pg_advisory_xact_lock(hashtext('backendai-configuration'))"))
    run = _Import(db, actor)
    run.check_sections(document)
    sections = [name for name in _list_importable() if isinstance(document.get(name), list)]
    unnamed = {name: run.make_section(RECORDS[name], document[name]) for name in sections}
    for name in reversed(sections if prune else []):
        run.prune(RECORDS[name], unnamed[name])
    run.make_settings(document.get(SETTINGS) or {})
    if run.violations:
        raise InvalidParameters(violations=run.list_violations())
    return run.differences


class _Import:
    """One document on its way. What is refused is kept and the rest goes on, so that everything is said at once."""

    def __init__(self, db: Session, actor: Actor) -> None:
        self.db, self.actor = db, actor
        self.differences: list[Difference] = []
        self.violations: list[Violation] = []
        self._failed: set[str] = set()

    def check_sections(self, document: Mapping[str, Any]) -> None:
        """Whether the document has only what there is, in the form of lists."""
        names = _list_importable()
        if document.get("version", VERSION) != VERSION:
            message = N_("This program reads documents of version %(version)s.")
            self._refuse("version", message, "version", version=VERSION)
        for name, section in document.items():
            if name in {"version", SETTINGS}:
                continue
            if name not in names:
                known = ", ".join((*names, SETTINGS))
                self._refuse(
                    str(name)[:64],
                    N_("There is no section %(name)s. Known are: %(names)s."),
                    "unknown-section",
                    name=str(name)[:64],
                    names=known,
                )
            elif section is not None and not isinstance(section, list):
                self._refuse(name, N_("This must be a list."), "not-a-list")

    def make_section(self, records: Records, entries: list[Any]) -> dict[str, Record]:
        """Make the things of a section; answers those that it does not name."""
        noun, known = _loosen(records.noun), _list_known(self.db, self.actor, records)
        kinds = list_slot_kinds(self.db)
        seen: dict[str, int] = {}
        for index, data in enumerate(entries):
            place = f"{noun.name}[{index}]"
            if not isinstance(data, Mapping):
                self._refuse(place, N_("This must have fields, such as name:."), "no-fields")
                continue
            # The key is needed even where other fields are wrong: what refers to this thing is not to be complained about then.
            key = _name_of(noun, data)
            with self._collect(place, key):
                values = noun.parse(data, is_new=False, slot_kinds=kinds)
                key = self._find_key(noun, values, place, seen)
                if key in known:
                    self._update(records, noun, key, known[key], data, values, place)
                else:
                    change = records.add(self.db, self.actor, data)
                    self._note(records.noun, key, "create", change, noun.field_names, place)
        return {key: record for key, record in known.items() if key not in seen}

    def prune(self, records: Records, unnamed: Mapping[str, Record]) -> None:
        """Take away what a section does not name and may go."""
        noun = records.noun
        if "delete" not in noun.verbs:
            return
        for key, record in sorted(unnamed.items()):
            is_kept = record.values.get("is_configured") or (noun.name.endswith("_policies") and key == DEFAULT_POLICY)
            if not is_kept:
                with self._collect(f"{noun.name}.{key}", key):
                    self._note(noun, key, "delete", records.remove(self.db, self.actor, record.key), _loosen(noun).field_names, "")

    def make_settings(self, settings: Any) -> None:
        """Set what the document names."""
        if not isinstance(settings, Mapping):
            self._refuse(SETTINGS, N_("This must have fields, such as name:."), "no-fields")
            return
        for name, value in settings.items():
            place = f"{SETTINGS}.{name}"
            if not isinstance(value, Mapping):
                self._refuse(place, N_("This must have fields, such as name:."), "no-fields")
                continue
            with self._collect(place, ""):
                before = get_setting(self.db, str(name))
                if set_setting(self.db, self.actor, str(name), value):
                    after = get_setting(self.db, str(name))
                    self.differences.append(Difference(SETTINGS, str(name), "update", before, after, place))

    def list_violations(self) -> list[Violation]:
        """Everything that is wrong, without what is only wrong because of something else in the list."""
        found = [item for item in self.violations if not self._follows(item)]
        return found or self.violations

    def _follows(self, item: Violation) -> bool:
        name = item.params.get("slot" if item.rule == "unknown-slot" else "name")
        return item.rule in {"unknown", "unknown-slot"} and name in self._failed

    def _find_key(self, noun: Noun, values: Mapping[str, Any], place: str, seen: dict[str, int]) -> str:
        key = _name_of(noun, values)
        if not key:
            raise InvalidParameters(
                violations=[Violation(N_("This must be filled in."), {}, _NAMED_BY.get(noun.name, noun.key), "required")]
            )
        if noun.name == "announcements":
            key = _number(key, seen)
        elif key in seen:
            message = N_("%(key)s comes twice; first it is at %(place)s.")
            raise InvalidParameters(violations=[Violation(message, {"key": key, "place": f"{noun.name}[{seen[key]}]"}, "", "duplicate")])
        seen[key] = int(place[len(noun.name) + 1 : -1])
        return key

    def _update(
        self, records: Records, noun: Noun, key: str, record: Record, data: Mapping[str, Any], values: Mapping[str, Any], place: str
    ) -> None:
        """Change what differs, if anything does."""
        names = [name for name, value in values.items() if not is_same(noun.field(name), value, record.values[name])]
        if names:
            # Who sets a role from now on follows from the role, unless it is said.
            said = {*names, "role_source"} if "role" in names else names
            change = records.update(self.db, self.actor, record.key, {name: data[name] for name in said if name in data})
            self._note(records.noun, key, "update", change, names, place)

    def _note(self, noun: Noun, key: str, verb: str, change: Change, names: Iterable[str], place: str) -> None:
        sides = []
        for record in (change.before, change.after):
            shown = noun.to_json(record.values) if record else {}
            sides.append({name: shown[name] for name in names if name in shown})
        self.differences.append(Difference(noun.name, key, verb, sides[0], sides[1], place, change.people))

    def _refuse(self, place: str, message: str, rule: str, **params: Any) -> None:
        self.violations.append(Violation(message, params, place, rule))

    @contextmanager
    def _collect(self, place: str, key: str) -> Iterator[None]:
        """Do one thing in a savepoint; what refuses it is kept with its place."""
        try:
            with self.db.begin_nested():
                yield
        except BackendAIError as exc:
            if exc.status >= 500:
                raise
            found = exc.violations or (Violation(exc.message, exc.params, "", exc.code.rpartition("_")[2]),)
            self._keep(place, key, found)
        except IntegrityError:
            message = N_("Something refers to this, or somebody else changed it meanwhile. Look again.")
            self._keep(place, key, [Violation(message, {}, "", "conflict")])

    def _keep(self, place: str, key: str, found: Iterable[Violation]) -> None:
        self._failed |= {key, key.rpartition("/")[2]}
        self.violations += [replace(item, field=f"{place}.{item.field}".rstrip(".")) for item in found]


def _require(actor: Actor) -> None:
    if not actor.is_superadmin:
        raise Forbidden if actor.is_admin else NotFound


def _list_importable() -> list[str]:
    return [name for name in ORDER if name in RECORDS]


def _loosen(noun: Noun) -> Noun:
    """The noun as a document has it: only what is set, and what cannot be changed may be said again."""
    left_out = _ELSEWHERE.get(noun.name, frozenset())
    fields = tuple(
        replace(item, is_fixed=False)
        for item in noun.fields
        if not item.is_computed and item.kind is not Kind.SECRET and item.name not in left_out
    )
    return replace(noun, fields=fields)


def _write(noun: Noun, values: Mapping[str, Any], kinds: Mapping[str, SlotKind], owned: Collection[str]) -> dict[str, Any]:
    return {item.name: write_field(item, values[item.name], kinds) for item in noun.fields if item.name not in owned}


def _list_owned(db: Session, name: str) -> dict[str, frozenset[str]]:
    """The fields that are the configuration file's, by key: a document that had them would be refused after each change of the file."""
    if name == "resource_groups":
        groups = db.scalars(select(ResourceGroup).where(ResourceGroup.is_configured.is_(True)))
        return {row.name: list_owned_fields(list_owned(row)) for row in groups}
    if name == "images":
        return {key: frozenset({"labels"}) for key in db.scalars(select(Image.name).where(Image.is_configured.is_(True)))}
    if name == "storage_hosts":
        owned = frozenset({"path", "description", "quota_driver"})
        return dict.fromkeys(db.scalars(select(StorageHost.name).where(StorageHost.is_configured.is_(True))), owned)
    return {}


def _list_known(db: Session, actor: Actor, records: Records) -> dict[str, Record]:
    """Everything there is of a noun, by the key that documents use, the oldest announcements first."""
    found: dict[str, Record] = {}
    counts: dict[str, int] = {}
    sort = "created_at" if records.noun.name == "announcements" else records.noun.key
    page = 0
    while True:
        page += 1
        records_here = records.list_page(db, actor, Query(sort=sort, page=page, page_size=_PAGE_SIZE)).records
        for record in records_here:
            key = _name_of(records.noun, record.values)
            found[_number(key, counts) if records.noun.name == "announcements" else key] = record
        if len(records_here) < _PAGE_SIZE:
            return found


def _name_of(noun: Noun, values: Mapping[str, Any]) -> str:
    """What a document calls a thing; ids say nothing to people and differ from site to site."""
    if noun.name == "projects":
        domain, name = values.get("domain", "default"), values.get("name")
        return f"{domain}/{name}" if name else ""
    if noun.name == "announcements":
        title = values.get("title")
        return str(next(iter(title.values()), "")) if isinstance(title, Mapping) else ""
    return str(values.get(noun.key) or "")


def _number(key: str, counts: dict[str, int]) -> str:
    """A key of its own for each of several announcements with the same title, in their order."""
    number = 2
    found = key
    while found in counts:
        found, number = f"{key} ({number})", number + 1
    counts[found] = 0
    return found
