from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helperd import RunningHelper, running_helper


@pytest.fixture(scope="module")
def helper() -> Iterator[RunningHelper]:
    with running_helper() as running:
        yield running
