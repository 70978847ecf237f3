"""Who goes next: two lanes, in each people before machines, owners in turn, and templates within their limits.

The claim of a worker takes the first of `starts`, and `why pending` counts along `line`: one order for both.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from environments.domain.lifecycle import DeploymentKind

PATIENCE = timedelta(minutes=10)
"""A machine's request that has waited this long counts like a person's: people can't keep machines out for ever."""


class Lane(StrEnum):
    """Destroys have a lane of their own, so that nothing keeps one waiting."""

    DEPLOY = "deploy"
    DESTROY = "destroy"


KINDS: dict[Lane, tuple[DeploymentKind, ...]] = {
    Lane.DEPLOY: tuple(kind for kind in DeploymentKind if kind is not DeploymentKind.DESTROY),
    Lane.DESTROY: (DeploymentKind.DESTROY,),
}
"""What runs in which lane."""


def lane_of(kind: DeploymentKind) -> Lane:
    """The lane of a deployment."""
    return Lane.DESTROY if kind is DeploymentKind.DESTROY else Lane.DEPLOY


class Waiting(NamedTuple):
    """A deployment that waits. `owner` is the environment's; `limit` None: its template has none."""

    id: str
    environment_id: str
    owner: str
    template: str
    limit: int | None
    by_machine: bool
    requested_at: datetime


class Running(NamedTuple):
    """A deployment that runs, in whatever lane. `lease_left`: seconds until its lease runs out, negative afterwards."""

    id: str
    environment_id: str
    kind: DeploymentKind
    owner: str
    template: str
    worker: str
    lease_left: float


class Queue(NamedTuple):
    """One lane as it is now. `running` has the deployments of both lanes; `turns` say in which order owners began last.

    An owner without a turn has never begun anything in this lane.
    """

    lane: Lane
    waiting: tuple[Waiting, ...]
    running: tuple[Running, ...] = ()
    turns: Mapping[str, int] = {}

    def running_here(self) -> list[Running]:
        """Those of this lane."""
        return [run for run in self.running if lane_of(run.kind) is self.lane]

    def busy(self) -> dict[str, Running]:
        """What runs, by environment: there is one at a time for each."""
        return {run.environment_id: run for run in self.running}

    def of_template(self, template: str) -> int:
        """How many deployments of a template run that aren't destroys."""
        return sum(run.template == template and run.kind is not DeploymentKind.DESTROY for run in self.running)


def counts_as_machine(waiting: Waiting, now: datetime) -> bool:
    """Whether people go first."""
    return waiting.by_machine and now - waiting.requested_at < PATIENCE


def starts(queue: Queue, now: datetime) -> Iterator[Waiting]:
    """What may start, in this order, if nothing that runs ends meanwhile; each is taken to have started."""
    return _Order(queue, now).go(queue.waiting)


def line(queue: Queue, now: datetime) -> list[Waiting]:
    """All that wait, in the order in which they start: those that something holds up come after those that may."""
    order = _Order(queue, now)
    first = list(order.go(queue.waiting))
    known = {waiting.id for waiting in first}
    rest = [waiting for waiting in queue.waiting if waiting.id not in known]
    return first + list(order.go(rest, held_up=False))


class _Order:
    """Starts one after the other, and counts along."""

    def __init__(self, queue: Queue, now: datetime) -> None:
        self._lane = queue.lane
        self._now = now
        self._busy = set(queue.busy())
        self._owners = Counter(run.owner for run in queue.running_here())
        self._templates = Counter(run.template for run in queue.running if run.kind is not DeploymentKind.DESTROY)
        self._turns = dict(queue.turns)
        self._turn = max(self._turns.values(), default=0)

    def go(self, waiting: Iterable[Waiting], *, held_up: bool = True) -> Iterator[Waiting]:
        """The waiting ones in order; with `held_up` without those that must wait for something to end."""
        # Of those that are alike in all but their age, the oldest goes first: only the heads need comparing.
        groups: dict[tuple[bool, str, str, int | None], deque[Waiting]] = {}
        for one in sorted(waiting, key=lambda one: (one.requested_at, one.id)):
            group = (counts_as_machine(one, self._now), one.owner, one.template, one.limit)
            groups.setdefault(group, deque()).append(one)
        while True:
            if held_up:
                self._drop_held_up(groups)
            if not groups:
                return
            first = min(groups, key=lambda group: self._rank(group[0], groups[group][0]))
            chosen = groups[first].popleft()
            if not groups[first]:
                del groups[first]
            yield chosen
            self._started(chosen)

    def _rank(self, machine: bool, one: Waiting) -> tuple[bool, int, int, datetime, str]:
        return machine, self._owners[one.owner], self._turns.get(one.owner, 0), one.requested_at, one.id

    def _drop_held_up(self, groups: dict[tuple[bool, str, str, int | None], deque[Waiting]]) -> None:
        for group in list(groups):
            _, _, template, limit = group
            some = groups[group]
            if self._lane is Lane.DEPLOY and limit is not None and self._templates[template] >= limit:
                some.clear()
            while some and some[0].environment_id in self._busy:
                some.popleft()
            if not some:
                del groups[group]

    def _started(self, one: Waiting) -> None:
        self._busy.add(one.environment_id)
        self._owners[one.owner] += 1
        if self._lane is Lane.DEPLOY:
            self._templates[one.template] += 1
        self._turn += 1
        self._turns[one.owner] = self._turn
