"""A service without HTTP, on a database in a temporary folder and a small world: what the engine's tests stand on."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentState, State
from environments.domain.template import make_bundle
from environments.domain.trigger import PlacedTrigger, Trigger
from environments.engine.plan import BackendPlanner
from environments.engine.scheduler import Retention, Scheduler
from environments.engine.worker import Worker
from environments.providers.local_cluster.agents.patience import wait_for
from environments.service.authorization import Principal
from environments.service.catalogue import Catalogue
from environments.service.checking import DirectChecks
from environments.service.expiry import Expiry
from environments.service.extend_links import ExtendLinks
from environments.service.feed import Feed
from environments.service.leadership import Leadership
from environments.service.planning import Planning
from environments.service.queueing import Queueing
from environments.service.recovery import Recovery
from environments.service.requests import Requests
from environments.service.switching import Switching
from environments.service.warnings import GRACE, Warnings
from environments.steps.registry import StepRegistry, why_not_again
from environments.stores.database import Database
from environments.stores.sealing import KeyFileSealer
from tests.fakes.channels import MemoryChannels
from tests.fakes.things import FakeThings, thing_registry
from tests.support.crashes import CrashInjection
from tests.support.migrated import open_migrated
from tests.support.postgres import Postgres

EXTERNAL = "https://calvinverse.example.net"
"""Where links in warnings lead."""

ADMIN = Principal("ada", "admin", "tok-1")
USER = Principal("grace", "user", "tok-2")


class MovableClock:
    """The real time, and as much later as a test likes."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class EngineHarness:
    """Everything of one service; `restart` stands for a new process on the same database."""

    def __init__(self, folder: Path, url: str | None = None, password_file: Path | None = None) -> None:
        """On PostgreSQL at `url`, else on SQLite in the folder."""
        self.folder = folder
        self._place = (folder, url, password_file)
        folder.mkdir(parents=True, exist_ok=True)
        self.world = FakeThings()
        self.clock = MovableClock()
        self.channels = MemoryChannels()
        self._ids = itertools.count(1)
        self._worker_ids = itertools.count(1)
        self.open()

    def open(self) -> None:
        """Opens the database and puts the parts together; the worker doesn't run yet."""
        self.database: Database = open_migrated(*self._place)
        self.feed = Feed()
        self.database.follow(self.feed.publish)
        registry = self.make_registry()
        sealer = KeyFileSealer(self.folder / "key")
        self.checks = DirectChecks(registry.executors)
        self.catalogue = Catalogue(self.database, self.checks, self.clock)
        again = partial(why_not_again, registry.executors)
        self.requests = Requests(self.database, sealer, self.clock, self.new_id, self.checks, again)
        self.planning = Planning(
            self.database, BackendPlanner(self.database, registry), sealer, self.clock, self.new_id, self.checks, again
        )
        self.recovery = Recovery(self.database, self.clock, self.new_id)
        self.queueing = Queueing(self.database, self.clock)
        self._faults = CrashInjection()
        name = f"worker-{next(self._worker_ids)}"
        self.worker = Worker(name, self.database, registry, sealer, self.feed, self.clock, faults=self._faults)
        self.links = ExtendLinks(self.database, lambda: b"\2" * 32, self.clock, EXTERNAL, GRACE)
        self.warnings = Warnings(self.database, self.clock, self.new_id, self.channels, self.links.make)
        self.switching = Switching(self.database, self.clock, self.new_id)
        self.expiry = Expiry(self.database, self.clock, self.new_id)
        self.scheduler = self.make_scheduler()

    def make_scheduler(self, leadership: Leadership | None = None) -> Scheduler:
        """A scheduler of this service, which doesn't run yet."""
        parts = (self.database, self.expiry, self.warnings, self.clock, Retention(), leadership)
        return Scheduler(*parts, self.switching)

    def make_registry(self) -> StepRegistry:
        """The step kinds: those of the small world."""
        return thing_registry(self.world)

    def new_id(self, kind: str) -> str:
        """`env-1`, `dep-2`, …"""
        return f"{kind}-{next(self._ids)}"

    def push(self, text: str) -> None:
        """Pushes a template."""
        self.catalogue.push(ADMIN, make_bundle({"template.toml": text.encode()}))

    def create(self, name: str = "one", **values: Any) -> None:
        """Asks for an environment."""
        self.requests.create(ADMIN, CreateEnvironment(name=name, template="things", **values))

    def environment(self, name: str = "one") -> Environment:
        """As it is now."""
        with self.database.read() as tx:
            found = tx.environments.named(name)
        assert found is not None
        return found

    def place_trigger(self, definition: Trigger, owner: str, environment: str | None = None) -> str:
        """Places a trigger, on an environment or alone; returns its id."""
        placed = PlacedTrigger(
            id=self.new_id("trg"),
            name=definition.name,
            owner=owner,
            definition=definition,
            environment_id=None if environment is None else self.environment(environment).id,
            created_by=owner,
            created_at=self.clock(),
        )
        with self.database.write() as tx:
            tx.triggers.add(placed)
        return placed.id

    def wait_for(self, *states: State, name: str = "one", seconds: float = 60) -> Environment:
        """The environment once it is in one of these states."""
        self.until(lambda: self.environment(name).state in states, seconds)
        return self.environment(name)

    def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until something holds; fails the test when it doesn't in time."""
        assert wait_for(true, seconds, pause=0.01), f"timed out; {self.environment()!r}"

    def ended(self, deployment_id: str | None) -> DeploymentState:
        """How a deployment ends, once it has."""

        def state() -> DeploymentState:
            with self.database.read() as tx:
                found = tx.deployments.get(str(deployment_id))
            assert found is not None
            return found.state

        self.until(lambda: state() not in (DeploymentState.QUEUED, DeploymentState.RUNNING))
        return state()

    def stop(self) -> None:
        """Ends the service in an orderly way."""
        self.worker.stop()
        self.database.close()

    def crash(self) -> None:
        """The process dies: nothing it runs may touch the world or the database any more."""
        self._faults.crash()
        self.database.close()


DATABASES = ("sqlite", "postgresql")
"""Parameters of a fixture that gives what `open_harness` does."""


def open_harness(request: pytest.FixtureRequest, folder: Path) -> EngineHarness:
    """On the database that the parameter of the asking fixture names, in which there is nothing yet."""
    if request.param == "sqlite":
        return EngineHarness(folder)
    postgres: Postgres = request.getfixturevalue("postgres")
    return EngineHarness(folder, postgres.new_database(), postgres.password_file)


TEMPLATE = """
[template]
name = "things"
version = "1"
[lifetime]
default = "8h"
maximum = "14d"
[parameters.word]
type = "string"
default = "hello"
[parameters.code]
type = "string"
writeOnly = true
[[steps]]
name = "left"
uses = "test.thing"
with = { says = "{{ parameters.word }}", shared = true }
[[steps]]
name = "right"
uses = "test.thing"
[[steps]]
name = "top"
uses = "test.thing"
needs = ["left", "right"]
with = { says = "{{ steps.left.said }}!" }
[[steps]]
name = "check"
uses = "check.thing"
needs = ["top"]
[outputs]
word = "{{ steps.top.said }}"
"""
