"""Nothing is skipped silently: a part of the lab that is missing here is named at the end, and under CI it is a failure."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests import lab

MISSING = pytest.StashKey[Counter[str]]()
UNDER_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MISSING] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What drives a browser or a whole hub is tried twice: a busy machine can outlast a deadline. The summary names each (RERUN)."""
    for item in items:
        if item.get_closest_marker("browser") or item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """``@pytest.mark.slurm`` and its like say what a test needs."""
    for part in lab.PARTS:
        if item.get_closest_marker(part) and (reason := lab.missing(part)):
            pytest.skip(f"{part}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")
        item.config.stash[MISSING][reason] += 1
        if UNDER_CI:
            report.outcome = "failed"
            report.longrepr = f"could not run here, which is a failure under CI: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.stash[MISSING]:
        terminalreporter.section("could not run here")
        for reason, count in config.stash[MISSING].most_common():
            terminalreporter.line(f"{reason}: {count} tests")
    if failed := os.environ.get("BACKENDAI_LINT_FAILED"):
        terminalreporter.section("script/test fails all the same", red=True)
        terminalreporter.line(f"see above: {failed}")
