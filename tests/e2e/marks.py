"""What tests of the whole platform need, as marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PLATFORM = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]
LAB = [pytest.mark.root, pytest.mark.slurm, pytest.mark.ldap, pytest.mark.postgres]


def needs_lab(test: Callable[..., Any]) -> Callable[..., Any]:
    """For one test among those of the embedded default."""
    for mark in LAB:
        test = mark(test)
    return test
