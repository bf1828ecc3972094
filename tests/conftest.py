"""Nothing is skipped silently: a part of the lab that is missing here is named at the end, and under CI it is a failure."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import lab

MISSING = pytest.StashKey[Counter[str]]()
CLUSTER = "cluster"
SHARED = dict.fromkeys(("tests/identity/test_append.py", "tests/services/test_login_factors.py"), "the codes of one person")
PURE = ("tests/core/", "tests/test_")  # no server, no clock: what fails there fails
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs more than its own process is tried twice: a busy machine can outlast a deadline. The summary names each (RERUN)."""
    for item in items:
        if not share_of(item.nodeid).startswith(PURE):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: share_of(item.nodeid) != CLUSTER)  # first, because it takes longest


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers the lab's one cluster belongs to one of them; the other tests go file by file."""

    class Shares(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return share_of(nodeid)

    return Shares(config, log)


def share_of(nodeid: str) -> str:
    """What one worker does without another's help: what a test changes that there is only once."""
    path = nodeid.partition("::")[0]
    if path.startswith(("tests/e2e/", "tests/helper/")) or "slurm" in path:
        return CLUSTER
    return SHARED.get(path, path)


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
