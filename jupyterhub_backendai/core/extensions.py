"""Giving a session that runs more time: what its resource group permits, and to whom. Pure; times are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import N_, Violation
from .fields import format_duration
from .queues import EXTENDERS, Queue

OWNER, ADMINISTRATORS = EXTENDERS
LEAST_S = 60
OVER = N_("Only a session that runs can be given more time.")


@dataclass(frozen=True, slots=True)
class Extendable:
    """A session as far as its time goes: its limit now, how much of that was added later, and how often."""

    time_limit_s: int
    extended_s: int = 0
    extensions: int = 0


def most_s(
    session: Extendable, queue: Queue, longest_s: int | None = None, lifetime_s: int | None = None, *, is_admin: bool = False
) -> int:
    """The most that can be added now, 0 for nothing.

    ``longest_s`` is the longest time of the queue, ``lifetime_s`` the longest life that the owner's keypair policy allows; both
    hold for administrators too, because the engine or the idle checker would end the session all the same.
    """
    if queue.extension_by == ADMINISTRATORS and not is_admin:
        return 0
    if queue.extension_count is not None and session.extensions >= queue.extension_count:
        return 0
    bounds = [queue.extension_time_s - session.extended_s]
    bounds += [bound - session.time_limit_s for bound in (longest_s, lifetime_s) if bound]
    most = min(bounds)
    return most if most >= LEAST_S else 0


def check_extension(
    session: Extendable, add_s: int, queue: Queue, longest_s: int | None = None, lifetime_s: int | None = None, *, is_admin: bool = False
) -> list[Violation]:
    """Why a session cannot be given so much more time, in words; nothing when it can. Arguments as of :func:`most_s`."""
    params = {"queue": queue.name}
    if not queue.extension_time_s:
        return [Violation(N_("Sessions of the queue %(queue)s cannot be given more time."), params, "time", "extension")]
    if queue.extension_by == ADMINISTRATORS and not is_admin:
        message = N_("In the queue %(queue)s only administrators give sessions more time. Ask your centre's help desk.")
        return [Violation(message, params, "time", "extension")]
    if queue.extension_count is not None and session.extensions >= queue.extension_count:
        often = {**params, "count": queue.extension_count}
        return [Violation(N_("A session of the queue %(queue)s is given more time at most %(count)s times."), often, "time", "extension")]
    if add_s < LEAST_S:
        return [Violation(N_("Ask for at least a minute."), {}, "time", "extension")]
    found = []
    left_s = queue.extension_time_s - session.extended_s
    if add_s > left_s:
        shown = {**params, "most": format_duration(queue.extension_time_s), "left": format_duration(max(0, left_s))}
        message = N_("A session of the queue %(queue)s is given at most %(most)s more in all; %(left)s of that is left.")
        found.append(Violation(message, shown, "time", "extension"))
    new_s = session.time_limit_s + add_s
    if longest_s and new_s > longest_s:
        shown = {**params, "most": format_duration(longest_s), "asked": format_duration(new_s)}
        message = N_("At most %(most)s in the queue %(queue)s; with this the session would have %(asked)s.")
        found.append(Violation(message, shown, "time", "queue-limit"))
    if lifetime_s and new_s > lifetime_s:
        shown = {"most": format_duration(lifetime_s), "asked": format_duration(new_s)}
        message = N_("The keypair policy lets a session live at most %(most)s; with this it would have %(asked)s.")
        found.append(Violation(message, shown, "time", "quota-limit"))
    return found
