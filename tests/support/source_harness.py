"""Sources of received events on a database, with a cluster in memory."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from environments.domain.access import PersonKind, ServiceRole, ServiceRoleGrant
from environments.domain.environment import Deployment
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.received_event import ReceivedEvent, Source
from environments.domain.trigger import Trigger
from environments.engine.event_sources.parts import EventSource, SourceParts
from environments.service.receiving import Receiving
from tests.fakes.backends.sources import MemoryJobEnds, MemoryKeys, MemoryUsage
from tests.support.engine_harness import EngineHarness


class SourceHarness:
    """Starts sources; `received` is what they told."""

    def __init__(self, engine: EngineHarness) -> None:
        self.engine = engine
        self.job_ends, self.keys, self.usage = MemoryJobEnds(), MemoryKeys(), MemoryUsage()
        self.leads = True
        self._sources: list[EventSource] = []

    def start(self, make: Callable[[SourceParts], EventSource]) -> Any:
        """One source, as a process of the service has it."""
        engine = self.engine
        parts = SourceParts(
            engine.database,
            Receiving(engine.database, engine.clock, engine.new_id),
            engine.clock,
            lambda: self.leads,
            self.job_ends,
            self.keys,
            self.usage,
        )
        source = make(parts)
        engine.database.follow(source.published)
        self._sources.append(source)
        source.start()
        return source

    def ready(self, name: str) -> None:
        """Makes an environment, and waits until it is ready."""
        self.engine.create(name, parameters={"code": "secret"})
        self.engine.wait_for(State.READY, name=name)

    def stop(self) -> None:
        """What a restart does first."""
        for source in self._sources:
            source.stop()
        self._sources.clear()

    def trigger(self, owner: str = "ada", environment: str | None = None, name: str = "one", **values: Any) -> str:
        """Places a trigger."""
        definition = Trigger.model_validate({"name": name, "action": "notify", "message": "so", **values})
        return self.engine.place_trigger(definition, owner, environment)

    def admin(self, name: str = "ada") -> None:
        """Makes somebody an admin."""
        now = self.engine.clock()
        with self.engine.database.write() as tx:
            tx.people.keep(name, PersonKind.PERSON, now, "test")
            tx.service_roles.put(ServiceRoleGrant(subject=name, role=ServiceRole.ADMIN, by="test", at=now))

    def received(self, source: Source) -> list[ReceivedEvent]:
        """What a source told, oldest first."""
        with self.engine.database.read() as tx:
            return [event for event in reversed(tx.received.all()) if event.source is source]

    def waits_for(self, source: Source, count: int, seconds: float = 20) -> list[ReceivedEvent]:
        """What a source told, once there are as many."""
        self.engine.until(lambda: len(self.received(source)) >= count, seconds)
        found = self.received(source)
        assert len(found) == count, found
        return found

    def fired(self, environment: str, hops: int, ran: timedelta = timedelta(0)) -> str:
        """A deployment to which so many triggers led."""
        engine, now = self.engine, self.engine.clock()
        found = engine.environment(environment)
        deployment = Deployment(
            id=engine.new_id("dep"),
            environment_id=found.id,
            kind=DeploymentKind.UPDATE,
            state=DeploymentState.SUCCEEDED,
            reason="trigger one",
            requested_by="ada",
            requested_at=now,
            bundle=found.bundle,
            started_at=now - ran,
            ended_at=now,
            by_machine=True,
            hops=hops,
        )
        with engine.database.write() as tx:
            tx.deployments.add(deployment)
        return deployment.id


def nanoseconds(moment: datetime) -> int:
    """As Nomad writes moments."""
    return int(moment.timestamp() * 1e9)
