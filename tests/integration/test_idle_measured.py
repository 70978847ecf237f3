"""What is measured on a real cluster: health checks alone are idle, a request now and then is busy."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2

from environments.domain.idleness import Slice
from environments.engine.event_sources import meter
from environments.engine.event_sources.meter import Meter
from environments.providers.nomad.bridge_counters import BridgeCounters
from environments.providers.nomad.usage import NomadUsage
from tests.support.cluster import Cluster
from tests.support.probing_jobs import address, made
from tests.support.web_harness import until

THRESHOLD = 500
"""Bytes a minute. Of the requests of a minute, those that come together with a check aren't seen."""

MORE = 4
"""Minutes that are measured until one is as it should be: on a busy machine checks come late, so that some of them
count as traffic, or hide requests."""

INSIDE = """    service {
      name         = "${var.environment}--inside"
      port         = "http"
      address_mode = "alloc"
      check {
        type         = "http"
        method       = "HEAD"
        path         = "/"
        address_mode = "alloc"
        interval     = "1s"
        timeout      = "30s"
      }
    }
"""


def _measured(usage: NomadUsage, namespace: str, meanwhile: Callable[[], object], every: float) -> Slice:
    """A slice that begins now."""
    one = Meter(lambda: datetime.now(UTC))
    asked, done = 0.0, time.monotonic()
    while True:
        now = time.monotonic()
        if now >= asked:
            one.use(usage.use(namespace))
            asked = now + 5
            found = one.slice()
            if found is not None and found.end - found.begin > timedelta(seconds=meter.SLICE - 1):
                return found
        one.moved(usage.moved())
        if now >= done:
            meanwhile()
            done = now + every
        time.sleep(0.2)


def test_health_checks_alone_are_idle_and_a_request_each_ten_seconds_is_not(cluster: Cluster) -> None:
    environment = made(cluster, changes={INSIDE: ""})
    usage = NomadUsage(lambda: cluster.connections, BridgeCounters())
    name = environment.owner.name

    def ask() -> None:
        httpx2.get(f"http://{at}/names/localhost", trust_env=False, timeout=20)

    try:
        environment.apply()
        at = address(environment.owner, cluster)
        until(lambda: all(one.cpu is not None and one.interface for one in (usage.use(name) or {}).values()), 60)
        idle = _measured(usage, name, lambda: None, 60)
        for _ in range(MORE):
            if idle.bytes is not None and idle.bytes < THRESHOLD:
                break
            idle = _measured(usage, name, lambda: None, 60)
        busy = _measured(usage, name, ask, 10)
        for _ in range(MORE):
            if busy.bytes is not None and busy.bytes > THRESHOLD:
                break
            busy = _measured(usage, name, ask, 10)
        assert idle.bytes is not None
        assert idle.bytes < THRESHOLD
        assert idle.cpu is not None
        assert idle.cpu < 100
        assert busy.bytes is not None
        assert busy.bytes > THRESHOLD
    finally:
        environment.destroy()
    assert usage.use(name) in ({}, None)
