"""`nomad.job`: a job of an environment has ended by itself, complete or failed.

Events of Nomad's stream, and the listing that every stream begins with, only say which jobs to ask Nomad about. So it
doesn't matter whether events are late, twice or lost. A run of a job is received once: its delivery is the environment,
the job, the moment when it was registered, and how it ended. What somebody stopped, also by destroying its environment,
has not ended by itself.
"""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from environments.domain.environment import Deployment, Environment
from environments.domain.lifecycle import ENDED, DeploymentKind, State
from environments.domain.received_event import NewReceivedEvent, Source
from environments.engine.event_sources.parts import Deaf, SourceParts
from environments.engine.event_sources.rounds import Rounds
from environments.engine.event_sources.standing import living_named
from environments.service.storage.transaction import Transaction
from environments.steps.cluster_events import Happening, Listing, SeenJob
from environments.steps.source_ports import JobEnd

_AT_ONCE = 50
"""Jobs that Nomad is asked about in one round."""

_EVERY = 60.0
"""Seconds until a round that nothing woke."""

_LATEST = 20
"""Deployments of an environment that are looked at for the one that registered a job."""

_MARGIN = timedelta(seconds=5)
"""How much Nomad's clock and ours may differ."""

Run = tuple[str, str, int]
"""Namespace, job, and when it was registered."""


class JobEvents(Deaf):
    """Subscribes to `ClusterFollower`."""

    def __init__(self, parts: SourceParts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._ended: dict[Run, None] = {}
        """What may have ended, in the order in which it was heard."""
        self._told: set[Run] = set()
        """What was received already, as far as the last listing knew it."""
        self._rounds = Rounds("nomad.job", self._round, parts.leads, self._forget)

    def start(self) -> None:
        """Starts the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """Stops the thread."""
        self._rounds.stop()

    def jobs_listed(self, listing: Listing, namespaces: frozenset[str]) -> None:
        """Finds what ended while nobody listened."""
        with self._lock:
            self._told &= {_run(job) for job in listing.jobs}
        self._hear(listing.jobs)

    def jobs_changed(self, happenings: Sequence[Happening]) -> None:
        """Finds what has just ended."""
        self._hear(happenings)

    def lost(self) -> None:
        """Another process asks."""
        self._forget()

    def _hear(self, happenings: Iterable[Happening]) -> None:
        ended = [_run(one) for one in happenings if isinstance(one, SeenJob) and _may_have_ended(one)]
        with self._lock:
            self._ended |= dict.fromkeys(run for run in ended if run not in self._told)
        if ended:
            self._rounds.wake()

    def _forget(self) -> None:
        with self._lock:
            self._ended.clear()
            self._told.clear()

    def _round(self) -> float:
        with self._lock:
            runs = list(self._ended)[:_AT_ONCE]
        if not runs:
            return _EVERY
        with self._parts.storage.read() as tx:
            living = {name: environment for name in {run[0] for run in runs} if (environment := living_named(tx, name))}
        for run in runs:
            namespace, job, _ = run
            end = self._parts.job_ends.end(namespace, job) if namespace in living else None
            if end is not None:
                self._receive(living[namespace], job, end)
            with self._lock:
                self._ended.pop(run, None)
                if end is not None:
                    self._told.add((namespace, job, end.submitted))
        return 0.0

    def _receive(self, environment: Environment, job: str, end: JobEnd) -> None:
        name = environment.name
        fields = {
            "job": end.parent or job,
            "run": job,
            "namespace": name,
            "status": end.outcome,
            "type": end.type,
            "environment": name,
        }
        with self._parts.storage.write() as tx:
            now = tx.environments.get(environment.id)
            if now is None or now.state in ENDED or now.state is State.DESTROYING:
                return
            event = NewReceivedEvent(
                source=Source.JOB,
                kind=end.outcome,
                origin="nomad",
                delivery=f"{environment.id}/{_digest(job)}/{end.submitted}/{end.outcome}",
                subject=f"{name}/{job}",
                fields=fields,
                environment_id=environment.id,
                hops=0 if end.parent else _hops(tx, environment.id, end.submitted),
            )
            received = self._parts.receiving.receive_in(tx, [event])
        if received[0][1]:
            self._parts.receiving.wake()


def _may_have_ended(job: SeenJob) -> bool:
    return job.dead and not job.stopped and not job.starts_later


def _digest(job: str) -> str:
    """A name of a job of any length."""
    return hashlib.sha256(job.encode()).hexdigest()[:32]


def _run(job: SeenJob) -> Run:
    return job.namespace, job.id, job.submitted


def _hops(tx: Transaction, environment_id: str, submitted: int) -> int:
    """Those of the deployment that registered a job then: a chain of triggers goes on through it.

    The runs of a periodic job follow its schedule, and not a deployment.
    """
    at = datetime.fromtimestamp(submitted / 1e9, UTC)
    for deployment in tx.deployments.of(environment_id, limit=_LATEST):
        if deployment.kind is not DeploymentKind.DESTROY and _ran_at(deployment, at):
            return deployment.hops
    return 0


def _ran_at(deployment: Deployment, at: datetime) -> bool:
    began, ended = deployment.started_at, deployment.ended_at
    return began is not None and began - _MARGIN <= at and (ended is None or at <= ended + _MARGIN)
