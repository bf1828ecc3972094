"""``GET admin/statistics``: what was used in a period, by whom and when, for programs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ...core.slots import ResourceSlots
from ...core.statistics import Use
from ...store.statistics import Statistics, load_statistics
from ..admin.statistics import read_request
from ..auth import administrative
from ..base import ApiHandler


class StatisticsHandler(ApiHandler):
    """The parameters are those of the page: ``from``, ``to``, ``unit``, ``by``, and filters by name."""

    @administrative
    async def get(self) -> None:
        request = read_request({name: self.get_query_argument(name) for name in self.request.query_arguments})
        found = await self.db.run(load_statistics, self.actor, request.period, request.grouping, request.at, request.filters)
        self.answer(to_json(found))


def to_json(found: Statistics) -> dict[str, Any]:
    """Amounts are texts of plain numbers: hours, and hours times the slot (bytes for memory). Of the buckets, "" is all other groups."""
    period = found.period
    return {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "unit": period.unit,
        "by": found.grouping,
        "filters": dict(found.filters),
        "people": found.people,
        "total": _use(found.total),
        "groups": [{"name": name, **_use(use)} for name, use in found.groups],
        "buckets": [
            {"from": edge.isoformat(), "slot_hours": {name: _amounts(buckets[index]) for name, buckets in found.lines.items()}}
            for index, edge in enumerate(period.edges[:-1])
        ],
    }


def _use(use: Use) -> dict[str, Any]:
    return {"sessions": use.sessions, "hours": _number(use.hours), "slot_hours": _amounts(use.slot_hours)}


def _amounts(slots: ResourceSlots) -> dict[str, str]:
    return {name: _number(amount) for name, amount in slots.items()}


def _number(amount: Decimal) -> str:
    """A plain number; a millionth of an hour is nobody's business."""
    return f"{round(amount, 6).normalize():f}"


default_handlers = [(r"rest/v1/admin/statistics", StatisticsHandler)]
