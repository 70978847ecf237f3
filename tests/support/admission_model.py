"""The rules of admission as a slow model, and requests to compare it with the code."""

from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import strategies as st

from environments.domain.admission import PATIENCE, Lane, Queue, Running, Waiting
from environments.domain.lifecycle import DeploymentKind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Request(NamedTuple):
    """What a model of the queue knows of a deployment."""

    id: str
    environment: str
    owner: str
    template: str
    limit: int | None
    by_machine: bool
    at: datetime


class Model:
    """The rules, as a person would tell them: slow, and written down once more."""

    def __init__(self) -> None:
        self.waiting: list[Request] = []
        self.running: list[Request] = []
        self.started: list[Request] = []

    def next(self, now: datetime) -> Request | None:
        """What has to start next."""
        may = [one for one in self.waiting if not self.held_up(one)]
        people = [one for one in may if not self.gives_way(one, now)]
        may = people or may
        if not may:
            return None
        fewest = min(self.count(one.owner) for one in may)
        may = [one for one in may if self.count(one.owner) == fewest]
        longest_ago = min(self.last_start(one.owner) for one in may)
        may = [one for one in may if self.last_start(one.owner) == longest_ago]
        return min(may, key=lambda one: (one.at, one.id))

    def held_up(self, one: Request) -> bool:
        of_template = sum(other.template == one.template for other in self.running)
        full = one.limit is not None and of_template >= one.limit
        return full or any(other.environment == one.environment for other in self.running)

    def gives_way(self, one: Request, now: datetime) -> bool:
        return one.by_machine and now - one.at < PATIENCE

    def count(self, owner: str) -> int:
        return sum(other.owner == owner for other in self.running)

    def last_start(self, owner: str) -> int:
        """The number of the owner's last start; -1 when there was none."""
        return max((number for number, one in enumerate(self.started) if one.owner == owner), default=-1)

    def start(self, one: Request) -> None:
        self.waiting.remove(one)
        self.running.append(one)
        self.started.append(one)

    def queue(self) -> Queue:
        """The same for the code under test."""
        return Queue(
            Lane.DEPLOY,
            tuple(Waiting(*one) for one in self.waiting),
            tuple(
                Running(one.id, one.environment, DeploymentKind.CREATE, one.owner, one.template, "w", 1.0)
                for one in self.running
            ),
            {one.owner: number for number, one in enumerate(self.started, 1)},
        )


Wanted = tuple[str, str, int | None, bool, int]
"""Owner, template, its limit, whether a machine asks, and which of the owner's environments."""


OWNERS, TEMPLATES = ("ada", "grace", "edsger"), ("web", "data")


REQUEST = st.tuples(
    st.sampled_from(OWNERS),
    st.sampled_from(TEMPLATES),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.integers(0, 5),
)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), REQUEST),
        st.tuples(st.just("start"), st.none()),
        st.tuples(st.just("end"), st.integers(0, 10)),
        st.tuples(st.just("wait"), st.integers(1, 700)),
    ),
    max_size=40,
)


def request_of(number: int, wanted: Wanted, now: datetime) -> Request:
    owner, template, limit, by_machine, environment = wanted
    # Some share an environment, and then an owner: only one of those runs at a time.
    return Request(f"dep-{number:03}", f"env-{owner}-{environment}", owner, template, limit, by_machine, now)
