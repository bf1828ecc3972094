"""What ``/metrics`` shows: counters that the handlers raise, and figures read from the database when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
LOGINS = Counter("backendai_logins", "Logins by result", ["result"], registry=REGISTRY)
REFUSALS = Counter("backendai_refusals", "Session starts refused, by rule", ["rule"], registry=REGISTRY)
COMMANDS = Counter("backendai_engine_reads", "Readings of an engine by result", ["engine", "result"], registry=REGISTRY)
REQUESTS = Histogram("backendai_request_seconds", "Time to answer a request", ["handler", "status"], registry=REGISTRY)

SessionCounts = Mapping[tuple[str, str, str], int]


class Snapshot(Collector):
    """Figures of this moment: sessions by state, queue and engine, and the age of each engine's figures."""

    def __init__(self, sessions: SessionCounts, read_at: Mapping[str, float | None]) -> None:
        self._sessions, self._read_at = sessions, read_at

    def collect(self) -> Iterable[Metric]:
        sessions = GaugeMetricFamily("backendai_sessions", "Sessions that are not over", labels=["status", "queue", "engine"])
        for labels, count in self._sessions.items():
            sessions.add_metric(list(labels), count)
        ages = GaugeMetricFamily("backendai_figures_age_seconds", "Age of an engine's figures", labels=["engine"])
        for engine, read_at in self._read_at.items():
            if read_at is not None:
                ages.add_metric([engine], max(0.0, time.time() - read_at))
        yield sessions
        yield ages


def render(sessions: SessionCounts, read_at: Mapping[str, float | None]) -> bytes:
    """All metrics in Prometheus' text form."""
    snapshot = CollectorRegistry()
    snapshot.register(Snapshot(sessions, read_at))
    return generate_latest(REGISTRY) + generate_latest(snapshot)
