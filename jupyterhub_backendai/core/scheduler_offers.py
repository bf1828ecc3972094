"""What a scheduler lets one person choose in one queue. Pure.

What is not known is not offered: then nothing can be chosen, and the scheduler's own defaults hold.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .identity import PosixAccount
from .partitions import Association, PartitionRules, Reservation, SchedulerFacts
from .queues import Queue, QueueFigures
from .scheduler_choice import is_feature

USUAL_QOS = "normal"
MAX_OFFERED = 200


@dataclass(frozen=True, slots=True)
class AccountOffer:
    """An account that somebody may charge here, and the qualities of service to go with it."""

    name: str
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything that can be chosen. ``is_known`` False: the scheduler did not tell about this person, so neither do we."""

    accounts: tuple[AccountOffer, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    features: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    is_known: bool = False

    @property
    def qos(self) -> tuple[str, ...]:
        """Of all the accounts, in their order."""
        return tuple(dict.fromkeys(name for account in self.accounts for name in account.qos))


def find_offer(queue: Queue, figures: QueueFigures | None, posix: PosixAccount | None, project: str = "") -> Offer:
    """What a person may choose in a queue for a project."""
    if figures is None or figures.scheduler is None:
        return Offer()
    facts, held = figures.scheduler, list_associations(queue, figures, posix)
    accounts = _offer_accounts(queue, figures, held, project) if held else ()
    return Offer(
        accounts=accounts,
        reservations=_offer_reservations(facts, figures.read_at, posix, [account.name for account in accounts]),
        features=tuple(name for name in figures.features if is_feature(name))[:MAX_OFFERED],
        clusters=queue.clusters or ((facts.cluster,) if facts.cluster else ()),
        is_known=held is not None,
    )


def list_associations(queue: Queue, figures: QueueFigures | None, posix: PosixAccount | None) -> tuple[Association, ...] | None:
    """What a person may charge in the queue's partition, the default first; None when nobody told about this person."""
    facts = figures.scheduler if figures else None
    if facts is None or facts.associations is None or posix is None or posix.name not in facts.associations:
        return None
    partition = queue.partition or queue.name
    return tuple(held for held in facts.associations[posix.name] if held.partition in {"", partition})


def takes_account(rules: PartitionRules | None, account: str) -> bool:
    """Whether a partition takes jobs of an account; a list of those that may makes one of those that may not void."""
    return rules is None or _is_in(account, rules.allow_accounts, rules.deny_accounts)


def takes_qos(rules: PartitionRules | None, qos: str) -> bool:
    """Whether a partition takes jobs of a quality of service."""
    return rules is None or _is_in(qos, rules.allow_qos, rules.deny_qos)


def _is_in(name: str, allowed: Collection[str] | None, denied: Collection[str]) -> bool:
    return name not in denied if allowed is None else name in allowed


def default_qos(held: Association, facts: SchedulerFacts) -> str:
    """The quality of service of a job that names none, "" when that cannot be said."""
    if held.default_qos:
        return held.default_qos
    qos = held.qos or ()
    if len(qos) == 1:
        return qos[0]
    return USUAL_QOS if facts.qos and USUAL_QOS in facts.qos and (not qos or USUAL_QOS in qos) else ""


def _offer_accounts(queue: Queue, figures: QueueFigures, held: tuple[Association, ...], project: str) -> tuple[AccountOffer, ...]:
    """An association of the partition's own goes before one of the account as a whole. What the site set for a project, is set."""
    facts = figures.scheduler or SchedulerFacts()
    fixed = queue.accounts.get(project, "")
    offers: dict[str, AccountOffer] = {}
    for one in sorted(held, key=lambda association: not association.partition):
        if one.account in offers or not takes_account(figures.rules, one.account) or (fixed and one.account != fixed):
            continue
        known = [name for name in one.qos or () if takes_qos(figures.rules, name) and (facts.qos is None or name in facts.qos)]
        usual = default_qos(one, facts)
        offers[one.account] = AccountOffer(one.account, tuple(known[:MAX_OFFERED]), usual if usual in known else "", one.is_default)
    return tuple(sorted(offers.values(), key=lambda offer: (not offer.is_default, offer.name)))[:MAX_OFFERED]


def _offer_reservations(
    facts: SchedulerFacts, at: float | None, posix: PosixAccount | None, accounts: Collection[str]
) -> tuple[Reservation, ...]:
    if posix is None:
        return ()
    return tuple(kept for kept in facts.reservations if is_open_to(kept, posix, accounts) and not is_past(kept, at))[:MAX_OFFERED]


def is_open_to(kept: Reservation, posix: PosixAccount, accounts: Collection[str]) -> bool:
    """Whether one of these accounts of a person may use a reservation. Of Unix groups we know nothing: then not."""
    if kept.groups or posix.name in kept.not_users or (kept.users is not None and posix.name not in kept.users):
        return False
    if kept.accounts is None and not kept.not_accounts:
        # somebody must be named, if only who may not; else it is nobody's
        return kept.users is not None or bool(kept.not_users)
    return any((kept.accounts is None or name in kept.accounts) and name not in kept.not_accounts for name in accounts)


def is_past(kept: Reservation, at: float | None) -> bool:
    """Whether it was over when the figures were read."""
    return at is not None and kept.ends_at is not None and kept.ends_at <= at
