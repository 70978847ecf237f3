"""What a load needs, from what one of each costs.

All needs are sums of products: so many of something in a second times the cost of one. What grows with the number of
environments, of queued deployments or of workers has a second cost, for each of those. Processor time is in seconds, a
share of a core in seconds for each second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Line:
    """A cost that grows: `fixed`, and `each` for every one of something."""

    fixed: float
    each: float = 0.0

    def at(self, count: float) -> float:
        """The cost when there are so many."""
        return self.fixed + self.each * count

    @classmethod
    def through(cls, few: tuple[float, float], many: tuple[float, float]) -> "Line":
        """From two measurements (count, cost); one that shrinks with the count is taken not to grow."""
        each = max((many[1] - few[1]) / (many[0] - few[0]), 0.0)
        return cls(max(few[1] - each * few[0], 0.0), each)


@dataclass(frozen=True)
class Split:
    """Processor time of three kinds of processes: of those that answer, of all workers, of PostgreSQL."""

    api: float = 0.0
    workers: float = 0.0
    postgres: float = 0.0

    def __add__(self, other: "Split") -> "Split":
        return Split(self.api + other.api, self.workers + other.workers, self.postgres + other.postgres)

    def __sub__(self, other: "Split") -> "Split":
        return self + other * -1

    def __mul__(self, factor: float) -> "Split":
        return Split(self.api * factor, self.workers * factor, self.postgres * factor)


@dataclass(frozen=True)
class Costs:
    """What one of each costs."""

    idle: Split
    """In a second: a service and its database without any worker."""
    worker: Split
    """In a second: a worker with nothing to do."""
    deployment: Split
    """A deployment, carried out beside one worker."""
    wake: Split
    """One more idle worker, when a commit with events wakes it."""
    show: Split
    page_api: Line
    """A page of 50 environments: what the service needs for it, by the number of environments."""
    page_postgres: Line
    stream: Split
    """In a second: an open stream with a token of its own, on which nothing happens."""
    told: Split
    """A commit with events, on a stream: it is woken, whether or not it shows them."""
    commits: float
    """Commits with events, for a deployment."""
    events: float
    """Events, for a deployment, log lines not counted."""
    event_bytes: float
    """On the disk, with its indexes."""
    transactions: float
    """In a second, of an idle worker."""


@dataclass(frozen=True)
class Load:
    """What there is, and what happens in a second."""

    environments: int
    workers: int
    streams: int
    deployments: float
    shows: float
    pages: float

    def scaled(self, share: float) -> "Load":
        """That share of everything."""
        return replace(
            self,
            environments=round(self.environments * share),
            workers=round(self.workers * share),
            streams=round(self.streams * share),
            deployments=self.deployments * share,
            shows=self.shows * share,
            pages=self.pages * share,
        )


@dataclass(frozen=True)
class Need:
    """Cores, and rates in a second."""

    cores: Split
    events: float
    commits: float


def need(load: Load, costs: Costs) -> Need:
    """What a load needs. Workers that are idle are woken by each commit with events, whoever makes it."""
    commits, events = load.deployments * costs.commits, load.deployments * costs.events
    page = Split(costs.page_api.at(load.environments), 0.0, costs.page_postgres.at(load.environments))
    cores = (
        costs.idle
        + costs.worker * load.workers
        + costs.deployment * load.deployments
        + costs.wake * (commits * max(load.workers - 1, 0))
        + costs.show * load.shows
        + page * load.pages
        + costs.stream * load.streams
        + costs.told * (commits * load.streams)
    )
    return Need(cores, events, commits)


@dataclass(frozen=True)
class Limit:
    """Something that a load needs, and how much of it there is."""

    name: str
    needed: Callable[[Load], float]
    limit: float
    unit: str

    def share(self, load: Load) -> float:
        """How many times of what there is the load needs."""
        return self.needed(load) / self.limit

    def breaks_at(self, load: Load) -> float:
        """The share of the load at which all of it is needed, when everything of the load grows together."""
        low, high = 0.0, 1.0
        while self.share(load.scaled(high)) < 1:
            low, high = high, high * 2
            if high > _MOST:
                return high
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.share(load.scaled(middle)) < 1 else (low, middle)
        return high


_MOST = 1000.0
"""Times the load: beyond that nobody asks when it breaks."""


def first(limits: Sequence[Limit], load: Load) -> list[Limit]:
    """In the order in which they break when everything grows together."""
    return sorted(limits, key=lambda limit: limit.breaks_at(load))
