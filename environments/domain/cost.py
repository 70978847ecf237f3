"""What an environment has cost: its time while it wasn't stopped, at the price of the version that it had then."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from environments.domain.lifecycle import DeploymentKind, DeploymentState

_HOUR = 3600.0


class Ran(Protocol):
    """When a deployment ran, and what it did: see `environments.service.storage.deployments.Span`."""

    @property
    def kind(self) -> DeploymentKind: ...
    @property
    def state(self) -> DeploymentState: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def bundle(self) -> str: ...


class Period(NamedTuple):
    """A time in which an environment ran with one version of its template."""

    begin: datetime
    end: datetime
    bundle: str


def periods(deployments: Iterable[Ran], until: datetime) -> Iterator[Period]:
    """When an environment has run. `deployments`: in the order of their beginnings; `until`: now, or when it ended.

    It runs from the beginning of its first deployment on. A stop that has succeeded ends that, a start begins it again.
    A new version counts from the beginning of its deployment. A destroy counts until it has ended.
    """
    begin: datetime | None = None
    bundle, stopped = "", False
    for one in deployments:
        if begin is not None and not stopped and one.kind is not DeploymentKind.DESTROY and one.bundle != bundle:
            yield from _period(begin, one.started_at, bundle, until)
            begin = one.started_at
        if begin is None:
            begin = one.started_at
        if one.kind is DeploymentKind.START and stopped:
            begin, stopped = one.started_at, False
        if one.kind is not DeploymentKind.DESTROY:
            bundle = one.bundle
        if one.kind is DeploymentKind.STOP and one.state is DeploymentState.SUCCEEDED and one.ended_at and not stopped:
            yield from _period(begin, one.ended_at, bundle, until)
            stopped = True
    if begin is not None and not stopped:
        yield from _period(begin, until, bundle, until)


def _period(begin: datetime, end: datetime, bundle: str, until: datetime) -> Iterator[Period]:
    end = min(end, until)
    if begin < end:
        yield Period(begin, end, bundle)


def cost(ran: Iterable[Period], prices: Mapping[str, float]) -> float:
    """The sum of the periods, each at the price of its version for an hour; unknown versions cost nothing."""
    return sum((one.end - one.begin).total_seconds() / _HOUR * prices.get(one.bundle, 0.0) for one in ran)
