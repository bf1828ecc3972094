"""What a scheduler would refuse, or leave waiting for ever: said before the session is submitted. Pure.

Nobody gets what the scheduler was not seen to give them: a choice that cannot be checked is refused.
"""

from __future__ import annotations

from ..errors import N_, Violation
from .queues import Queue, QueueFigures
from .scheduler_choice import SchedulerChoice
from .slots import CUDA_SHARES, ResourceSlots

CHOICE_RULE = "scheduler-choice"
_NOT_YOURS = {
    "account": N_("You cannot use the account %(value)s in the queue %(queue)s."),
    "qos": N_("You cannot use the quality of service %(value)s in the queue %(queue)s."),
    "reservation": N_("You cannot use the reservation %(value)s in the queue %(queue)s."),
    "features": N_("No node of the queue %(queue)s has the features %(value)s."),
    "cluster": N_("The queue %(queue)s is not on the cluster %(value)s."),
}


def check_choice(choice: SchedulerChoice, queue: Queue, figures: QueueFigures | None) -> list[Violation]:  # noqa: ARG001
    """A violation for every choice that is not among what the scheduler offers here."""
    return [refuse(name, value, queue) for name, value in choice.to_options().items()]


def refuse(name: str, value: str, queue: Queue) -> Violation:
    """The violation for a choice that is not this person's to make."""
    return Violation(_NOT_YOURS[name], {"queue": queue.name, "value": value}, name, CHOICE_RULE)


def check_shares(slots: ResourceSlots, queue: Queue, figures: QueueFigures | None) -> list[Violation]:  # noqa: ARG001
    """Whether shares of GPUs can be had."""
    if not slots.amount(CUDA_SHARES):
        return []
    return [Violation(N_("The queue %(queue)s gives no shares of GPUs, only whole ones."), {"queue": queue.name}, "shares", "queue-limit")]
