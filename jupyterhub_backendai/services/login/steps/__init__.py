"""The steps between a password and being logged in, in their order."""

from __future__ import annotations

from ....config import BackendAI
from ....core.mapping import MappingRules
from ....identity import Directory
from ....store.crypt import Crypt
from ....store.database import Database
from ..codes import Codes
from .base import Step
from .code import CodeStep
from .enrol import EnrolStep
from .notes import NotesStep
from .password import PasswordStep
from .recovery import RecoveryStep

__all__ = ["Step", "make_steps"]


def make_steps(settings: BackendAI, db: Database, people: Directory, crypt: Crypt, codes: Codes, rules: MappingRules) -> tuple[Step, ...]:
    """All steps. Each login takes those that it needs, from the first to the last."""
    return (
        CodeStep(db, codes),
        PasswordStep(people, codes),
        EnrolStep(settings, db, crypt, codes, rules),
        RecoveryStep(),
        NotesStep(),
    )
