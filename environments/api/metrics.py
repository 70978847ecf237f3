"""Metrics for Prometheus: requests by route, environments by state, deployments by kind and state, warnings."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from environments.domain.holds import HoldKind
from environments.domain.lifecycle import ENDED, DeploymentKind, DeploymentState, State
from environments.service.holding import Holding
from environments.service.reading import Reading
from environments.service.warnings import Warnings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds."""


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "LOCK", "UNLOCK"})
OTHER = "other"
"""The label of all other methods: anybody can make them up, and each would be a series that stays."""


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self, reading: Reading, warnings: Warnings, holding: Holding, version: str) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "calvinverse_requests", "Requests by route.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "calvinverse_request_seconds",
            "Seconds until an answer began, by route.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.streams = Gauge("calvinverse_event_streams", "Open streams of events.", registry=self._registry)
        info = Gauge("calvinverse_info", "The version that runs.", ("version",), registry=self._registry)
        info.labels(version).set(1)
        self._registry.register(_Counts(reading, warnings, holding))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a request. `route` is the template of the route: a path would create a series for each name."""
        method = method if method in METHODS else OTHER
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)


class _Counts(Collector):
    """Counts read from the database at each scrape, so they are right after a restart. Empty states are 0."""

    def __init__(self, reading: Reading, warnings: Warnings, holding: Holding) -> None:
        self._reading = reading
        self._warnings = warnings
        self._holding = holding

    def collect(self) -> Iterator[Metric]:
        by_state, by_kind = self._reading.counts()
        environments = GaugeMetricFamily("calvinverse_environments", "Live environments by state.", labels=("state",))
        for state in (state for state in State if state not in ENDED):
            environments.add_metric((state.value,), by_state.get(state, 0))
        yield environments
        deployments = GaugeMetricFamily(
            "calvinverse_deployments", "Deployments on record, by kind and state.", labels=("kind", "state")
        )
        for kind in DeploymentKind:
            for outcome in DeploymentState:
                deployments.add_metric((kind.value, outcome.value), by_kind.get((kind, outcome), 0))
        yield deployments
        waiting = GaugeMetricFamily(
            "calvinverse_warnings_waiting", "Warnings that aren't delivered yet, by channel.", labels=("channel",)
        )
        failing = GaugeMetricFamily(
            "calvinverse_warnings_failing", "Those of them that have failed at least once.", labels=("channel",)
        )
        for channel, count in self._warnings.counts().items():
            waiting.add_metric((channel,), count.waiting)
            failing.add_metric((channel,), count.failing)
        yield waiting
        yield failing

        held = self._holding.counts()
        holds = GaugeMetricFamily("calvinverse_holds", "Open holds of destroys by the clock.", labels=("kind",))
        kept = GaugeMetricFamily("calvinverse_held_environments", "Environments that are held.", labels=("kind",))
        for reason in HoldKind:
            holds.add_metric((reason.value,), reason.value in held)
            kept.add_metric((reason.value,), held.get(reason.value, 0))
        yield holds
        yield kept

    def describe(self) -> Iterator[Metric]:
        """No metrics: registering must not read the database."""
        return iter(())
