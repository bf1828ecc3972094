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
    config.pluginmanager.register(Missing(config.stash[MISSING]))


class Missing:
    """Counts what could not run. In the process that reports, because with several workers the tests are in others."""

    def __init__(self, reasons: Counter[str]) -> None:
        self.reasons = reasons

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reasons.update(value for key, value in report.user_properties if key == "missing" and report.when == "setup")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What drives a browser or a whole hub is tried twice: a busy machine can outlast a deadline. The summary names each (RERUN).

    With several workers the lab's one cluster belongs to one of them, which begins with it, because that takes longest; the other
    tests go file by file.
    """
    for item in items:
        if item.get_closest_marker("browser") or item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("lab" if uses_cluster(item) else item.path.relative_to(config.rootpath).as_posix()))
    if config.getoption("dist", "no") != "no":
        items.sort(key=lambda item: not uses_cluster(item))


def uses_cluster(item: pytest.Item) -> bool:
    """Whether a test needs Slurm or is of the platforms that tests/e2e starts once."""
    return item.get_closest_marker("slurm") is not None or "e2e" in item.path.parent.parts


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
        report.user_properties.append(("missing", reason))
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
