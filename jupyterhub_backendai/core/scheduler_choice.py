"""What a person chooses of a scheduler besides the queue: account, quality of service, reservation, features, cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import N_
from .fields import Fields

_FEATURES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:[&|][A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,7}", re.ASCII)


_FEATURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def is_feature(name: str) -> bool:
    """Whether a feature of a node has a name that can be asked for."""
    return bool(_FEATURE.fullmatch(name))


@dataclass(frozen=True, slots=True)
class SchedulerChoice:
    """Each is the scheduler's own name, "" to leave it to the site and to the scheduler. ``features`` are joined with & or |."""

    account: str = ""
    qos: str = ""
    reservation: str = ""
    features: str = ""
    cluster: str = ""

    def to_options(self) -> dict[str, str]:
        """What was chosen, as fields of a request; :func:`read_choice` is the inverse."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SchedulerChoice:
        """The inverse of :meth:`to_options`, of what was checked before."""
        return cls(**{str(name): str(value) for name, value in data.items()})


def read_choice(fields: Fields) -> SchedulerChoice:
    """The choice among the fields of a request; complaints stay with the fields."""
    message = N_("This has letters, digits and the characters . _ -")
    names = {name: fields.word(name, message, "") for name in ("account", "qos", "reservation", "cluster")}
    features = fields.text("features")
    if features and not _FEATURES.fullmatch(features):
        fields.refuse("features", N_("Name features of nodes, such as a100 or a100&80g."))
        features = ""
    return SchedulerChoice(features=features, **names)
