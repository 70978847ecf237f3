"""Triggers on a service without an engine: what a worker would do to deployments, `settle` does at once."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from environments.domain.access import PersonKind
from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.received_event import NewReceivedEvent, ReceivedEvent, Source
from environments.domain.trigger import Firing, Trigger
from environments.engine.event_processor import EventProcessor
from environments.service.authorization import Principal
from environments.service.firing import FiringRuns, NoSources, Sources
from environments.service.matching import Matching
from environments.service.receiving import Receiving
from environments.service.storage.transaction import Storage, Transaction
from environments.service.storage.webhooks import Webhook
from environments.service.trigger_effects import Effects, NoHints
from environments.stores.sealing import KeyFileSealer
from tests.support.engine_harness import EngineHarness
from tests.support.postgres import Postgres

TEMPLATE = """
[template]
name = "things"
[lifetime]
default = "8h"
maximum = "14d"
[parameters.word]
type = "string"
default = "hello"
[[steps]]
name = "left"
uses = "test.thing"
with = { says = "{{ parameters.word }}" }
"""

_ENDS: dict[DeploymentKind, State] = {
    DeploymentKind.STOP: State.STOPPED,
    DeploymentKind.DESTROY: State.DESTROYED,
}


class TriggerHarness(EngineHarness):
    """Receives, matches and fires. `sources` is what the source of an event says of it now."""

    sources: Sources = NoSources()
    prefix = ""
    """Before the numbers of ids: several processes make them."""

    @property
    def place(self) -> tuple[Path, str | None, Path | None]:
        """Where its database is: a harness that is made of this has the same one."""
        return self._place

    def new_id(self, kind: str) -> str:
        """`env-1`, `dep-2`, …"""
        return f"{kind}-{self.prefix}{next(self._ids)}"

    def open(self) -> None:
        super().open()
        with self.database.write() as tx:
            for name in ("ada", "grace", "linus"):
                if tx.people.get(name) is None:
                    tx.people.keep(name, PersonKind.PERSON, self.clock(), "test")
            if tx.webhooks.get("forge") is None:
                tx.webhooks.add(Webhook("forge", "gitea", "", (), "root", self.clock()), ["everyone"])
        self.receiving = Receiving(self.database, self.clock, self.new_id)
        self.processor = self.make_processor(self.database)
        self._deliveries = itertools.count(1)

    def make_processor(self, storage: Storage) -> EventProcessor:
        """A processor that doesn't run by itself."""
        effects = Effects(KeyFileSealer(self.folder / "key"), self.new_id, self.warnings, NoHints())
        runs = FiringRuns(storage, self.clock, self.new_id, self.checks, effects, self.sources)
        return EventProcessor(storage, Matching(), runs, self.clock, self.new_id, lambda: True)

    def trigger(self, owner: str = "ada", on_environment: str | None = None, **written: Any) -> str:
        """Places a trigger, on an environment or alone; returns its id."""
        definition = Trigger.model_validate({"name": self.new_id("t"), "webhook": "forge", **written})
        return self.place_trigger(definition, owner, on_environment)

    def event(self, source: Source, kind: str, subject: str = "acme/shop#1", **more: Any) -> NewReceivedEvent:
        """An event of the webhook `forge`, of a delivery of its own."""
        fields = {"repository": "acme/shop", **more.pop("fields", {})}
        delivery = more.pop("delivery", f"d-{next(self._deliveries)}")
        values = {"origin": "forge", "delivery": delivery, "fields": fields, **more}
        return NewReceivedEvent(source=source, kind=kind, subject=subject, **values)

    def receive(self, *events: NewReceivedEvent) -> list[str]:
        """Stores events; returns their ids."""
        return [event_id for event_id, _ in self.receiving.receive(events)]

    def process(self) -> None:
        """What a processor does until nothing is due now."""
        while self.processor.round() or self._waits():
            pass

    def _waits(self) -> bool:
        with self.database.read() as tx:
            return bool(tx.received.count_waiting() or tx.firings.due(self.clock(), 1))

    def firings(self, event_id: str) -> list[Firing]:
        """What an event led to."""
        with self.database.read() as tx:
            return tx.firings.of_event(event_id)

    def received(self, event_id: str) -> ReceivedEvent:
        """An event as it is now."""
        with self.database.read() as tx:
            found = tx.received.get(event_id)
        assert found is not None
        return found

    def make(self, name: str, owner: str = "ada", template: str = "things", **parameters: Any) -> Environment:
        """An environment that is ready."""
        request = CreateEnvironment(name=name, template=template, parameters=parameters)
        self.requests.create(Principal(owner, "user", f"tok-{owner}"), request)
        self.settle()
        return self.environment(name)

    def settle(self) -> int:
        """Ends all deployments well; returns how many."""
        now = self.clock()
        count = 0
        with self.database.write() as tx:
            found = tx._connection.exec_driver_sql("SELECT environment_id FROM deployments WHERE state = 'queued'")
            for environment_id in dict.fromkeys(found.scalars()):
                environment = tx.environments.get(environment_id)
                assert environment is not None
                for deployment in tx.deployments.unfinished(environment.id):
                    _end(tx, environment, deployment.id, deployment.kind, now)
                    count += 1
        return count

    def state(self, name: str) -> State:
        """An environment's state."""
        return self.environment(name).state


def _end(tx: Transaction, environment: Environment, deployment: str, kind: DeploymentKind, now: datetime) -> None:
    table_state = DeploymentState.SUCCEEDED.value
    tx._connection.exec_driver_sql(  # type: ignore[attr-defined]  # no worker is here whose lease would allow it
        f"UPDATE deployments SET state = '{table_state}' WHERE id = '{deployment}'"  # noqa: S608 - our own ids
    )
    more = {"destroyed_at": now} if kind is DeploymentKind.DESTROY else {}
    tx.environments.set_state(environment.id, _ENDS.get(kind, State.READY), now, **more)


class DeadlyStorage:
    """A database whose process dies at its commit number `at`, before it or right after it."""

    def __init__(self, storage: Storage, at: int, *, after: bool, die: Callable[[], None]) -> None:
        self._storage = storage
        self._left = at
        self._after = after
        self._die = die

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._storage.write() as tx:
            yield tx
            self._left -= 1
            if self._left == 0 and not self._after:
                self._die()
        if self._left == 0 and self._after:
            self._die()

    def read(self) -> AbstractContextManager[Transaction]:
        return self._storage.read()


def kill_self() -> None:
    """The end of this process, without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def open_triggers(request: pytest.FixtureRequest, folder: Path) -> TriggerHarness:
    """On the database that the parameter of the asking fixture names."""
    if request.param == "sqlite":
        return TriggerHarness(folder)
    postgres: Postgres = request.getfixturevalue("postgres")
    return TriggerHarness(folder, postgres.new_database(), postgres.password_file)


def died(work: Callable[[], None]) -> bool:
    """Runs work in a process of its own; whether that was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing of the test may run in this process
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the process failed"
    return False
