"""The fields of the scheduler on the launch page: account, quality of service, reservation, features, cluster; where there is a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .. import i18n
from ..core.partitions import Reservation
from ..core.queues import Queue, QueueFigures
from ..core.scheduler_offers import AccountOffer, Offer
from ..errors import N_

FIELDS = {
    "cluster": (N_("Cluster"), N_("Where the session runs.")),
    "account": (N_("Account"), N_("What the scheduler counts the session for.")),
    "qos": (N_("Quality of service"), N_("Decides how soon it starts, and how much it may have.")),
    "reservation": (N_("Reservation"), N_("Nodes that are kept for you.")),
    "features": (N_("Kind of node"), N_("Only nodes that say this of themselves are taken.")),
}
AUTOMATIC, AUTOMATICALLY = N_("automatic"), N_("automatic: %(name)s")
NO_RESERVATION, ANY_NODE = N_("none"), N_("any")
RESERVED_FROM, RESERVED_UNTIL = N_("%(name)s, from %(moment)s"), N_("%(name)s, until %(moment)s")
# Of these, one is a choice already: with it or without.
_OPTIONAL = {"reservation": NO_RESERVATION, "features": ANY_NODE}


@dataclass(frozen=True, slots=True)
class Option:
    """One way to choose: what is sent, and what is read."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A field, with what this person may choose in this queue; ``value`` is what is chosen."""

    name: str
    label: str
    help: str
    options: Sequence[Option]
    value: str


def list_choices(offer: Offer, queue: Queue, row: QueueFigures | None, values: Mapping[str, str], language: str, at: float) -> list[Choice]:
    """The fields where there is more than one way, and those that a link filled in: whether that can be, the server says."""
    offered = {
        "cluster": [Option(name, name) for name in offer.clusters],
        "account": [Option(account.name, account.name) for account in offer.accounts],
        "qos": [Option(name, name) for name in _list_qos(offer, queue, values)],
        "reservation": [Option(kept.name, _describe_reservation(kept, language, at)) for kept in _list_reservations(offer, queue)],
        "features": [Option(name, name) for name in offer.features if _tells_apart(name, row)],
    }
    found = []
    for name, (label, words) in FIELDS.items():
        value, options = values.get(name, "").strip(), offered[name]
        if value and value not in {option.value for option in options}:
            options = [*options, Option(value, value)]
        elif len(options) <= (0 if name in _OPTIONAL else 1):
            continue
        nothing = Option("", _describe_default(name, offer, queue, values, language))
        found.append(Choice(name, i18n.translate(language, label), i18n.translate(language, words), [nothing, *options], value))
    return found


def keep_offered(offer: Offer, queue: Queue, values: Mapping[str, str]) -> dict[str, str]:
    """The values without choices that another queue or account gave."""
    known = {
        "cluster": set(offer.clusters),
        "account": {account.name for account in offer.accounts},
        "reservation": {kept.name for kept in _list_reservations(offer, queue)},
    }
    kept = {**values, **{name: "" for name, names in known.items() if values.get(name, "") not in names}}
    if kept.get("qos", "") not in _list_qos(offer, queue, kept):
        kept["qos"] = ""
    asked = kept.get("features", "").replace("|", "&").split("&")
    return kept if set(asked) <= set(offer.features) else {**kept, "features": ""}


def find_account(offer: Offer, queue: Queue, values: Mapping[str, str]) -> AccountOffer | None:
    """The account that the session will be submitted with, as far as that is known."""
    name = values.get("account", "") or queue.account(values.get("project", ""))
    return next((account for account in offer.accounts if (account.name == name if name else account.is_default)), None)


def _list_reservations(offer: Offer, queue: Queue) -> Sequence[Reservation]:
    """Those that have nodes here."""
    return [kept for kept in offer.reservations if kept.partition in {"", queue.partition or queue.name}]


def _list_qos(offer: Offer, queue: Queue, values: Mapping[str, str]) -> Sequence[str]:
    account = find_account(offer, queue, values)
    return account.qos if account else offer.qos


def _describe_default(name: str, offer: Offer, queue: Queue, values: Mapping[str, str], language: str) -> str:
    """What happens when nothing is chosen."""
    if name in _OPTIONAL:
        return i18n.translate(language, _OPTIONAL[name])
    without = {**values, "account": ""} if name == "account" else values
    account = find_account(offer, queue, without)
    found = {"account": account.name, "qos": account.default_qos}.get(name, "") if account else ""
    return i18n.translate(language, AUTOMATICALLY, {"name": found}) if found else i18n.translate(language, AUTOMATIC)


def _tells_apart(feature: str, row: QueueFigures | None) -> bool:
    """Whether some nodes of the queue have it and others have not: what all have is no choice."""
    return row is None or not all(feature in shape.features for shape in row.shapes)


def _describe_reservation(kept: Reservation, language: str, at: float) -> str:
    if kept.starts_at is not None and kept.starts_at > at:
        return i18n.translate(language, RESERVED_FROM, {"name": kept.name, "moment": _show_moment(kept.starts_at)})
    if kept.ends_at is not None:
        return i18n.translate(language, RESERVED_UNTIL, {"name": kept.name, "moment": _show_moment(kept.ends_at)})
    return kept.name


def _show_moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
