"""Usage and statistics: what was used in a period, over time and by whom, as a page and as CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

from ... import i18n
from ...core.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM
from ...core.statistics import GROUPINGS, UNITS, Period, Use, parse_period
from ...errors import N_, InvalidParameters, Violation
from ...store.statistics import Statistics, load_statistics
from ..auth import administrative
from ..charts import Stack, build_spark, build_stack
from ..csv_files import write_cell, write_rows
from .base import AdminHandler
from .show import slot_label

GIB = 1024**3
SHOWN = 100
MEASURES = (CPU, MEM, CUDA_DEVICE, CUDA_SHARES)
#: what an hour of a slot is called, and how many of it are one on the page
HOURS = {CPU: (N_("CPU·h"), 1), MEM: (N_("GiB·h"), GIB), CUDA_DEVICE: (N_("GPU·h"), 1), CUDA_SHARES: (N_("GPU share·h"), 1)}
GROUP_WORDS = {
    "resource_group": N_("Resource group"),
    "project": N_("Project"),
    "user": N_("User"),
    "domain": N_("Domain"),
}
UNIT_WORDS = {"day": N_("Days"), "week": N_("Weeks"), "month": N_("Months")}


@dataclass(frozen=True, slots=True)
class Request:
    """What an address asks for."""

    period: Period
    grouping: str
    measure: str
    filters: Mapping[str, str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One group: how much, its share of the whole (percent) of what is measured, and where it leads."""

    name: str
    use: Use
    share: float
    url: str


def read_request(arguments: Mapping[str, str]) -> Request:
    """What is asked for. Days are those of the machine's zone. Raises InvalidParameters with everything that is wrong."""
    at = datetime.now(UTC).astimezone()
    found: list[Violation] = []
    choices = {"by": GROUPINGS, "measure": MEASURES}
    chosen = {name: arguments.get(name, "") or options[0] for name, options in choices.items()}
    for name, options in choices.items():
        if chosen[name] not in options:
            found.append(Violation(N_("Choose one of: %(choices)s."), {"choices": ", ".join(options)}, name))
    try:
        period = parse_period(arguments, at)
    except InvalidParameters as exc:
        found += exc.violations
    if found:
        raise InvalidParameters(violations=found)
    filters = {name: arguments[name][:256].replace("\0", "") for name in GROUPINGS if arguments.get(name)}
    return Request(period, chosen["by"], chosen["measure"], filters, at)


def hours_of(use: Mapping[str, Decimal], measure: str) -> float:
    """Slot-hours in the unit of the page."""
    return float(use.get(measure, Decimal(0)) / HOURS[measure][1])


class StatisticsHandler(AdminHandler):
    """GET only: period, buckets, grouping and filters are in the address."""

    @administrative
    async def get(self) -> None:
        arguments = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        errors: dict[str, str] = {}
        try:
            request = read_request(arguments)
        except InvalidParameters as exc:
            errors, _ = self.explain_all(exc)
            request = read_request({name: value for name, value in arguments.items() if name in GROUPINGS})
        found = await self.db.run(load_statistics, self.actor, request.period, request.grouping, request.at, request.filters)
        self.render_admin(
            "admin/statistics.html", "statistics", status=400 if errors else 200, **self._describe(request, found, errors, arguments)
        )

    def _describe(self, request: Request, found: Statistics, errors: Mapping[str, str], arguments: Mapping[str, str]) -> dict[str, object]:
        measures = [name for name in MEASURES if name in (CPU, MEM, CUDA_DEVICE) or found.total.slot_hours.amount(name)]
        labels = label_buckets(request.period)
        lines = {name: [hours_of(slots, request.measure) for slots in buckets] for name, buckets in found.lines.items()}
        return {
            "request": request,
            "found": found,
            "errors": errors,
            "values": {
                "from": request.period.first.isoformat(),
                "to": request.period.last.isoformat(),
                "unit": request.period.unit,
                **arguments,
            },
            "measures": [(name, slot_label(self.language, name), self._unit(name)) for name in measures],
            "groupings": GROUP_WORDS,
            "units": {name: UNIT_WORDS[name] for name in UNITS},
            "unit": self._unit(request.measure),
            "rows": self._list_rows(request, found),
            "more": max(0, len(found.groups) - SHOWN),
            "stack": self._build_stack(request, lines, labels),
            "lines": lines,
            "labels": labels,
            "spark": build_spark([sum(column) for column in zip(*lines.values(), strict=True)]),
            "hours_of": hours_of,
            "url": lambda **changes: self._address("statistics", request, **changes),
            "csv_url": lambda **changes: self._address("statistics.csv", request, **changes),
        }

    def _unit(self, measure: str) -> str:
        return i18n.translate(self.language, HOURS[measure][0])

    def _list_rows(self, request: Request, found: Statistics) -> list[Row]:
        whole = hours_of(found.total.slot_hours, request.measure)
        following = "resource_group" if request.grouping == "user" else "user"
        return [
            Row(
                name,
                use,
                100 * hours_of(use.slot_hours, request.measure) / whole if whole else 0.0,
                self._address("statistics", request, by=following, **{request.grouping: name}),
            )
            for name, use in found.groups[:SHOWN]
        ]

    def _build_stack(self, request: Request, lines: Mapping[str, list[float]], labels: list[str]) -> Stack:
        return build_stack(lines, labels, self._unit(request.measure), i18n.translate(self.language, N_("all others")))

    def _address(self, page: str, request: Request, **changes: str) -> str:
        asked = {
            "from": request.period.first.isoformat(),
            "to": request.period.last.isoformat(),
            "unit": request.period.unit,
            "by": request.grouping,
            "measure": request.measure,
            **request.filters,
            **changes,
        }
        return f"{self.base}{page}?{urlencode({name: value for name, value in asked.items() if value})}"


class FileHandler(AdminHandler):
    """The groups, or with ``table=time`` the buckets, as a CSV file; all of them."""

    @administrative
    async def get(self) -> None:
        request = read_request({name: self.get_query_argument(name) for name in self.request.query_arguments})
        found = await self.db.run(load_statistics, self.actor, request.period, request.grouping, request.at, request.filters)
        is_time = self.get_query_argument("table", "") == "time"
        rows = list_times(request, found) if is_time else list_groups(request, found)
        name = f"use-{'time' if is_time else request.grouping}-{request.period.first}-{request.period.last}.csv"
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        # The mark at the beginning tells spreadsheets that this is UTF-8.
        self.finish("\ufeff" + write_rows([[write_cell(cell) for cell in row] for row in rows]))


def list_groups(request: Request, found: Statistics) -> list[list[object]]:
    """The table of the groups: its head, then a line for each."""
    slots = sorted(found.total.slot_hours)
    lines: list[list[object]] = [
        [name, use.sessions, _number(use.hours), *(_hours(use.slot_hours, slot) for slot in slots)] for name, use in found.groups
    ]
    return [[request.grouping, "sessions", "hours", *(_head(slot) for slot in slots)], *lines]


def list_times(request: Request, found: Statistics) -> list[list[object]]:
    """Every bucket of every line that the chart has."""
    slots = sorted(found.total.slot_hours)
    labels = label_buckets(request.period)
    lines: list[list[object]] = [
        [label, name, *(_hours(buckets[index], slot) for slot in slots)]
        for name, buckets in found.lines.items()
        for index, label in enumerate(labels)
    ]
    return [["from", request.grouping, *(_head(slot) for slot in slots)], *lines]


def _head(slot: str) -> str:
    return "mem_gib_hours" if slot == MEM else f"{slot}_hours"


def _hours(slots: Mapping[str, Decimal], slot: str) -> str:
    return _number(slots.get(slot, Decimal(0)) / HOURS.get(slot, ("", 1))[1])


def _number(amount: Decimal) -> str:
    return f"{round(amount, 3):f}"


def label_buckets(period: Period) -> list[str]:
    """The first day of each bucket."""
    return [f"{edge:%Y-%m}" if period.unit == "month" and edge.day == 1 else f"{edge:%Y-%m-%d}" for edge in period.edges[:-1]]


default_handlers = [(r"admin/statistics", StatisticsHandler), (r"admin/statistics\.csv", FileHandler)]
