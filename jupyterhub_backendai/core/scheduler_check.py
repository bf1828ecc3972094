"""What a scheduler would refuse, or leave waiting for ever: said before the session is submitted. Pure.

Nobody gets what the scheduler was not seen to give them: a choice that cannot be checked is refused. What nobody chose and cannot
be checked is left to the scheduler: nothing is refused that it would have taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import N_, Violation
from .identity import PosixAccount
from .queues import Queue, QueueFigures
from .scheduler_fit import check_fit, check_shares, matches
from .scheduler_limits import check_limits
from .scheduler_offers import AccountOffer, Offer, find_offer, is_open_to, list_associations, takes_account

if TYPE_CHECKING:
    from .sessions import LaunchRequest

CHOICE_RULE = "scheduler-choice"
_NOT_YOURS = {
    "account": N_("You cannot use the account %(value)s in the queue %(queue)s."),
    "qos": N_("You cannot use the quality of service %(value)s in the queue %(queue)s."),
    "reservation": N_("You cannot use the reservation %(value)s in the queue %(queue)s."),
    "features": N_("No node of the queue %(queue)s has the features %(value)s."),
    "cluster": N_("The queue %(queue)s is not on the cluster %(value)s."),
}
_WRONG_ACCOUNT = N_("The queue %(queue)s takes no sessions of the account %(account)s. Choose one of: %(accounts)s.")
_NO_ACCOUNT = N_("The queue %(queue)s takes no sessions of the account %(account)s, and you have no other that it takes.")
_NOT_CHARGED = N_("Your Unix account %(user)s may not charge the account %(account)s. Ask your centre's help desk.")


def check_scheduler(
    request: LaunchRequest, queue: Queue, figures: QueueFigures | None, project: str, posix: PosixAccount | None
) -> list[Violation]:
    """Every reason why the scheduler would never run the request, for this person and project.

    Amounts that are beyond every node are :func:`.sessions.check_request`'s to say; here is what hangs together.
    """
    found = check_shares(request, queue, figures)
    found += check_choice(request, queue, figures, project, posix)
    if figures is None:
        return found
    found += _check_partition(request, queue, figures, posix)
    if not request.choice.account:
        found += _check_account(queue, figures, project, posix)
    if not found:
        found += check_limits(request, queue, figures, project, posix)
    return found or check_fit(request, queue, figures)


def check_choice(
    request: LaunchRequest, queue: Queue, figures: QueueFigures | None, project: str, posix: PosixAccount | None
) -> list[Violation]:
    """A violation for every choice that is not among what the scheduler offers here."""
    choice, offer = request.choice, find_offer(queue, figures, posix, project)
    account = find_account(request, queue, offer, project)
    allowed = {
        "account": choice.account in {one.name for one in offer.accounts},
        "qos": choice.qos in (account.qos if account else offer.qos),
        "reservation": _may_reserve(choice.reservation, offer, account, posix),
        "features": _has_features(choice.features, figures),
        "cluster": choice.cluster in offer.clusters,
    }
    return [refuse(name, value, queue) for name, value in choice.to_options().items() if not allowed[name]]


def _has_features(expression: str, figures: QueueFigures | None) -> bool:
    """Whether some node fits. A name that no node of the cluster has is refused by the scheduler also behind an "or"."""
    if figures is None or figures.scheduler is None:
        return False
    known = figures.scheduler.features | set(figures.features)
    return set(expression.replace("|", "&").split("&")) <= known and any(matches(expression, shape.features) for shape in figures.shapes)


def find_account(request: LaunchRequest, queue: Queue, offer: Offer, project: str) -> AccountOffer | None:
    """The account that the session is charged to, None when it is not known to be this person's."""
    name = request.choice.account or queue.account(project)
    if name:
        return next((one for one in offer.accounts if one.name == name), None)
    return next((one for one in offer.accounts if one.is_default), None)


def refuse(name: str, value: str, queue: Queue) -> Violation:
    """The violation for a choice that is not this person's to make."""
    return Violation(_NOT_YOURS[name], {"queue": queue.name, "value": value}, name, CHOICE_RULE)


def _may_reserve(name: str, offer: Offer, account: AccountOffer | None, posix: PosixAccount | None) -> bool:
    kept = next((one for one in offer.reservations if one.name == name), None)
    return kept is not None and posix is not None and is_open_to(kept, posix, [account.name] if account else [])


def _check_partition(request: LaunchRequest, queue: Queue, figures: QueueFigures, posix: PosixAccount | None) -> list[Violation]:
    """What the partition demands of everybody."""
    rules = figures.rules
    if rules is None:
        return []
    found = []
    if rules.is_root_only:
        found.append(Violation(N_("The queue %(queue)s is only for root."), {"queue": queue.name}, "queue", "closed"))
    if rules.min_nodes > 1:
        params = {"queue": queue.name, "least": rules.min_nodes}
        message = N_("The queue %(queue)s is for jobs of at least %(least)s nodes; a session has one.")
        found.append(Violation(message, params, "queue", "queue-limit"))
    if rules.needs_reservation and not request.choice.reservation:
        message = N_("The queue %(queue)s is only for those who have a reservation. Choose yours.")
        found.append(Violation(message, {"queue": queue.name}, "reservation", "queue-limit"))
    if rules.groups is not None and posix and not any(posix.gid == one.gid or posix.name in one.members for one in rules.groups):
        names = {"queue": queue.name, "groups": ", ".join(rules.allow_groups)}
        found.append(Violation(N_("The queue %(queue)s is only for the Unix groups %(groups)s."), names, "queue", "queue"))
    return found


def _check_account(queue: Queue, figures: QueueFigures, project: str, posix: PosixAccount | None) -> list[Violation]:
    """Whether the account that is charged when nobody chooses one may be charged here."""
    held, facts = list_associations(queue, figures, posix), figures.scheduler
    if held is None or facts is None or posix is None or "associations" not in facts.enforces:
        return []
    name = queue.account(project) or next((one.account for one in held if one.is_default), "")
    if not name:
        return []
    if not takes_account(figures.rules, name):
        offer = find_offer(replace(queue, accounts={}), figures, posix)
        params = {"queue": queue.name, "account": name, "accounts": ", ".join(one.name for one in offer.accounts)}
        return [Violation(_WRONG_ACCOUNT if offer.accounts else _NO_ACCOUNT, params, "account", "queue-limit")]
    if name not in {one.account for one in held}:
        return [Violation(_NOT_CHARGED, {"user": posix.name, "account": name}, "account", "queue-limit")]
    return []
