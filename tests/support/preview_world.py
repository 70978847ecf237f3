"""Previews on the real use cases and database, with a forge in memory and an engine that ends what is queued."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from environments.domain.environment import Environment
from environments.domain.lifecycle import ENDED, DeploymentKind, DeploymentState, State
from environments.domain.preview import Preview
from environments.domain.received_event import NewReceivedEvent
from environments.domain.trigger import PlacedTrigger, Trigger
from environments.service.authorization import Principal
from environments.service.checking import DirectChecks
from environments.service.preview_noting import PreviewNoting
from environments.service.preview_telling import PreviewTelling
from environments.service.previews import Previews
from environments.service.receiving import Receiving
from environments.service.storage.transaction import Transaction
from environments.service.storage.webhooks import Webhook
from tests.fakes.forge import MemoryForge
from tests.fakes.kinds import AnyKind
from tests.fakes.service import FakeService, make_service

PREVIEW = """
[template]
name = "preview"
version = "1"

[lifetime]
default = "3d"

[parameters.commit]
type = "string"
default = ""
maxLength = 1000

[parameters.title]
type = "string"
default = ""

[parameters.labels]
type = "array"
items = { type = "string" }
default = []

[[steps]]
name = "app"
uses = "fake"

[outputs]
url = "{{ steps.app.url }}"
"""


class Killed(BaseException):
    """The process ended here."""


class PreviewWorld:
    """One trigger on one repository. `at` is called at each point between the parts of a look."""

    def __init__(self, folder: Path, *, template: str = PREVIEW, opened: Any = None, **rule: Any) -> None:
        self.now = datetime(2027, 1, 15, 12, tzinfo=UTC)
        more = {} if opened is None else {"opened": opened}
        self.service: FakeService = make_service(folder, clock=self.clock, template=template, **more)
        self.forge = MemoryForge()
        with self.service.database.write() as tx:
            tx.webhooks.add(Webhook("shop", "gitea", "", (), "root", self.now), ["everyone"])
        self.at: Callable[[str], None] = lambda point: None
        self.previews = self.make()
        numbers = iter(range(1, 10**9))
        database, new_id = self.service.database, lambda kind: f"{kind}-{next(numbers):012}"
        self.receiving = Receiving(database, self.clock, new_id)
        self.noting = PreviewNoting(database, self.clock, new_id, self.forge, self.acting)
        self.placed = self.trigger("shop", **rule)

    def clock(self) -> datetime:
        """Each look at it is a little later."""
        self.now += timedelta(microseconds=1)
        return self.now

    def make(self) -> Previews:
        """The use cases anew, as after a start of the process."""
        service, forge = self.service, self.forge
        ids = (f"{number:012}" for number in range(1, 10**9))
        stamp = f"{self.now:%H%M%S%f}"
        telling = PreviewTelling(service.database, self.clock, forge, at=lambda point: self.at(point))
        return Previews(
            service.database,
            service.world,
            self.clock,
            lambda kind: f"{kind}-{stamp}{next(ids)[-6:]}",
            DirectChecks({"fake": AnyKind()}),
            forge,
            telling,
            self.acting,
            at=lambda point: self.at(point),
        )

    def acting(self, tx: Transaction, owner: str, placed: PlacedTrigger, now: datetime) -> Principal:
        """For its owner, a user."""
        return Principal(owner, "user", placed.id, kind="trigger")

    def trigger(self, name: str, **rule: Any) -> PlacedTrigger:
        """Adds a trigger; what isn't a field of one stands in its rule for previews."""
        own = {key: rule.pop(key) for key in list(rule) if key in Trigger.model_fields}
        definition = {
            "name": name,
            "on": "git.pull_request",
            "action": "preview",
            "webhook": "shop",
            "repository": "acme/shop",
            "template": "preview",
            "parameters": {"commit": "{{ event.head_sha }}"},
            "preview": rule,
            **own,
        }
        placed = PlacedTrigger.model_validate(
            {"id": f"trg-{name}", "name": name, "owner": "ada", "definition": definition, "created_at": self.now}
        )
        with self.service.database.write() as tx:
            tx.triggers.add(placed)
        return placed

    def tell(self, *events: NewReceivedEvent) -> None:
        """Receives events, and does what the processor does with them."""
        for event_id, fresh in self.receiving.receive(events):
            if not fresh:
                continue
            with self.service.database.write() as tx:
                event = tx.received.get(event_id)
                placed = tx.triggers.get(self.placed.id)
                assert event is not None
                self.noting.wake(tx, [event])
                if event.source.value == "git.pull_request" and placed is not None:
                    self.noting.hint(tx, placed, event, self.clock())

    def look(self) -> int:
        """Looks at all that is due; returns how many."""
        self.noting.follow()
        due = [one for ids in self.noting.due().values() for one in ids]
        for preview_id in due:
            self.previews.look(preview_id)
        return len(due)

    def work(self) -> None:
        """Ends all deployments that are queued, as the engine does when all goes well."""
        with self.service.database.write() as tx:
            while (claim := tx.deployments.claim("test", 60, list(DeploymentKind), self.now)) is not None:
                run = claim.deployment
                tx.deployments.end(run.id, "test", run.epoch, DeploymentState.SUCCEEDED, None, self.now)
                environment = tx.environments.get(run.environment_id)
                assert environment is not None
                destroys = run.kind is DeploymentKind.DESTROY
                ended = {"destroyed_at": self.now} if destroys else {}
                state = State.DESTROYED if destroys else State.READY
                tx.environments.set_state(environment.id, state, self.clock(), failure=None, **ended)
                url = {"value": f"https://{environment.name}.example/", "description": "", "secret": False}
                tx.environments.change(environment.id, outputs={} if destroys else {"url": url})

    def settle(self, rounds: int = 30) -> None:
        """Looks and works until nothing is due any more."""
        idle = 0
        for _ in range(rounds):
            idle = 0 if self.look() else idle + 1
            self.work()
            self.now += timedelta(seconds=3)
            if idle == 2:
                return

    def living(self, *, every: bool = False) -> list[Environment]:
        """Environments that haven't ended, or that aren't to."""
        with self.service.database.read() as tx:
            found = tx.environments.all()
        gone = ENDED if every else ENDED | {State.DESTROYING}
        return [one for one in found if one.state not in gone]

    def made(self) -> int:
        """How many environments were ever made."""
        with self.service.database.read() as tx:
            return len(tx.environments.all(ended=True))

    def record(self, number: int) -> Preview:
        """The preview of a pull request."""
        with self.service.database.read() as tx:
            found = tx.previews.of(self.placed.id, number)
        assert found is not None
        return found
