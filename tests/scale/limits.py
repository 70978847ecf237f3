"""The load of 100,000 environments, what it needs, and what there is of each thing."""

from collections.abc import Iterator
from dataclasses import dataclass

from environments.api.streams import MOST_STREAMS
from environments.domain.holds import HoldLimits
from environments.engine.scheduler import Retention
from environments.stores.known_rows import _MOST_KNOWN
from environments.stores.postgres_calls import STATEMENT_TIMEOUT
from tests.bench.figures import shown
from tests.bench.reading import LINES
from tests.scale.model import Costs, Limit, Line, Load, need
from tests.scale.site import AS_DEPLOYED

PEAK = 4.0
"""How many times the mean of the day the busiest time has."""

A_DAY = 86_400.0
DEPLOYMENTS_A_DAY = 3.0
"""Of an environment: a create, an update, a destroy."""

EACH_LOOKS = 120.0
"""Seconds in which whoever has a stream open looks at one environment and at one page."""

LOGS_KEPT, EVENTS_KEPT = Retention().logs.days, Retention().events.days
"""Days, by default."""

DESTROY_SECONDS = 1.5
"""About as long as a destroy of `web` takes."""

SERVER_CORES = 16.0
"""Of the machine that PostgreSQL gets in this load."""

CONNECTIONS = float(AS_DEPLOYED["max_connections"])

NOTE = (
    "PostgreSQL with the settings of the deployed one, processes and streams over loopback; processor time is of the "
    "machine's cores."
)

_STREAMS = 10_000
LARGE = Load(
    environments=100_000,
    workers=1000,
    streams=_STREAMS,
    deployments=100_000 * DEPLOYMENTS_A_DAY / A_DAY * PEAK,
    shows=_STREAMS / EACH_LOOKS,
    pages=_STREAMS / EACH_LOOKS,
)


@dataclass(frozen=True)
class Facts:
    """What was measured."""

    costs: Costs
    connections: float
    worker_bytes: float
    stream_bytes: float
    commit_seconds: float
    """Time that passes for a commit with events, one after the other."""
    claim_seconds: float
    forget: Line
    """PostgreSQL's processor time to forget 5,000 log lines, by older events that are kept longer."""


def limits(facts: Facts) -> list[Limit]:
    """All that the model knows; each is of the program as it is."""
    of = facts.costs
    return [
        Limit("streams of one service process", lambda load: load.streams, MOST_STREAMS, ""),
        Limit("connections to PostgreSQL", lambda load: (load.workers + 1) * facts.connections, CONNECTIONS, ""),
        Limit("cores for one service process", lambda load: need(load, of).cores.api, 1.0, ""),
        Limit("cores of PostgreSQL", lambda load: need(load, of).cores.postgres, SERVER_CORES, ""),
        Limit("cores for one worker", lambda load: need(load, of).cores.workers / max(load.workers, 1), 1.0, ""),
        Limit(
            "commits with events, one after the other",
            lambda load: need(load, of).commits * facts.commit_seconds,
            1.0,
            "",
        ),
        Limit("claims, one after the other", lambda load: load.deployments * facts.claim_seconds, 1.0, ""),
        Limit("destroys by the clock at once", _destroys, HoldLimits().at_once, ""),
        Limit(
            "a statement that forgets log lines",
            lambda load: facts.forget.at(_older(facts, load)),
            STATEMENT_TIMEOUT,
            "s",
        ),
        Limit("environments that a process keeps parsed", lambda load: load.environments, _MOST_KNOWN, ""),
    ]


def needs(facts: Facts, load: Load) -> Iterator[tuple[str, ...]]:
    """What the load needs beside that: name, value."""
    wanted = need(load, facts.costs)
    a_day = load.deployments / PEAK * A_DAY
    events, lines = a_day * facts.costs.events, a_day * LINES
    kept = (events * EVENTS_KEPT + lines * LOGS_KEPT) * facts.costs.event_bytes
    idle = load.workers * facts.costs.transactions
    yield "cores of all service processes", shown(wanted.cores.api, "")
    yield "cores of all workers", shown(wanted.cores.workers, "")
    yield "cores of PostgreSQL", shown(wanted.cores.postgres, "")
    yield "memory of all workers", shown(load.workers * facts.worker_bytes / 1024**3, "GiB")
    yield "memory of the service for streams", shown(load.streams * facts.stream_bytes / 1024**3, "GiB")
    yield "transactions of idle workers in a second", shown(idle, "")
    yield "events in a second, log lines not counted", shown(wanted.events, "")
    yield "events in a day", f"{events:,.0f} and {lines:,.0f} log lines"
    yield "events on the disk, as long as they are kept", shown(kept / 1024**3, "GiB")


def _destroys(load: Load) -> float:
    return load.deployments / DEPLOYMENTS_A_DAY * DESTROY_SECONDS


def _older(facts: Facts, load: Load) -> float:
    """Events that are older than log lines are kept, and stay."""
    return load.deployments / PEAK * A_DAY * facts.costs.events * (EVENTS_KEPT - LOGS_KEPT)
