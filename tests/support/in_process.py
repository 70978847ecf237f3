"""The real API in this process, with a client whose connection a test can cut and whose requests it can have refused.

The use cases, the database and the HTTP application are the product's own; there is no engine. What an engine and the
world would do, a test does: it moves environments on with `put`, tells of it with `tell`, and sets what plans and
observations find.
"""

import hashlib
import inspect
import queue
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from environments.api import presenting
from environments.api.app import create_app
from environments.client import Client, HttpClient
from environments.client.protocol import Connected, Disconnected, EventStream, StreamItem
from environments.domain.environment import Deployment, Drift, Environment, Event, EventType
from environments.domain.errors import CalvinverseError, PlanStale, ServiceUnavailable
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.names import ID_ALPHABET, ID_LENGTH
from environments.domain.plan import StepPlan
from environments.domain.references import SecretReference
from environments.domain.template import make_bundle
from environments.stores.database import Database, open_database
from environments.stores.schema import deployments, resources, steps
from environments.stores.sqlite import FILE
from environments.stores.transaction import SqlTransaction
from environments.wire.deployments import DeploymentView, PendingView, WorkerView
from environments.wire.environments import Accepted, EnvironmentView, ResourceView
from tests.fakes.plans import NOW, plan_steps
from tests.fakes.service import FakeService, make_service
from tests.support.asgi import AsgiTransport, Loop

ADDRESS = "http://127.0.0.1:8400"

KINDS = ("consul.kv", "nomad.job", "vault.secret", "vault.certificate", "check.http", "opentofu.module")

WEB = """
[template]
name = "web"
version = "1"
description = "A small HTTPS service"

[lifetime]
default = "8h"
maximum = "14d"

[parameters.replicas]
type = "integer"
default = 1
minimum = 1
maximum = 20
description = "How many"

[parameters.message]
type = "string"
default = "Hello"
maxLength = 200
description = "What it says"

[parameters.branch]
type = "string"
description = "Which branch"

[parameters.verbose]
type = "boolean"
default = false

[[steps]]
name = "settings"
uses = "consul.kv"

[[steps]]
name = "app"
uses = "nomad.job"
needs = ["settings"]

[outputs]
url = { value = "https://localhost/", description = "Where it answers" }
"""

BUNDLE = make_bundle({"template.toml": WEB.encode()})

_READS = frozenset(
    (
        *("environments", "environment", "outputs", "deployments", "deployment", "resources", "history", "events"),
        *("saved_plan", "drift", "why", "workers", "templates", "template", "bundle", "validate"),
        *("images", "image", "image_history", "tokens", "ca", "info", "readiness"),
    )
)
"""Calls that change nothing."""


def environment_id(name: str) -> str:
    """The id that `environment_view` gives to an environment of this name."""
    digest = hashlib.sha256(name.encode()).digest()
    return "env-" + "".join(ID_ALPHABET[byte % len(ID_ALPHABET)] for byte in digest[:ID_LENGTH])


def environment_view(name: str = "demo", state: State = State.READY, **changes: Any) -> EnvironmentView:
    """An environment of the template `web`; anything can be changed."""
    values: dict[str, Any] = {
        "id": environment_id(name),
        "name": name,
        "owner": "ada",
        "template": "web",
        "template_version": "1",
        "bundle": BUNDLE.digest,
        "parameters": {"replicas": 1, "message": "Hello", "branch": "main"},
        "state": state,
        "state_since": NOW,
        "created_at": NOW,
        "deadline": NOW + timedelta(hours=8),
        "maximum_deadline": NOW + timedelta(days=14),
    }
    return EnvironmentView(**{**values, **changes})


@cache
def _migrated() -> bytes:
    """An empty database: migrating takes longer than all else that starts a service."""
    with tempfile.TemporaryDirectory() as folder:
        open_database(Path(folder)).close()
        return (Path(folder) / FILE).read_bytes()


def _open_migrated(folder: Path) -> Database:
    (folder / FILE).write_bytes(_migrated())
    return open_database(folder)


class Stream:
    """A stream of events that a test can cut."""

    def __init__(self, client: "InProcessClient", real: EventStream, environment: str | None) -> None:
        self.environment = environment
        self.closed = False
        self._client = client
        self._real = real
        self._items: queue.SimpleQueue[StreamItem | CalvinverseError | None] = queue.SimpleQueue()

    def give(self, item: StreamItem | CalvinverseError) -> None:
        """The next thing that the reader sees; an error is raised there."""
        self._items.put(item)

    def __iter__(self) -> Iterator[StreamItem]:
        if self._client.away is not None:
            self.give(Disconnected(self._client.away, 0.5))
        threading.Thread(target=self._read, name="stream", daemon=True).start()
        while (item := self._items.get()) is not None:
            if isinstance(item, CalvinverseError):
                raise item
            yield item

    def _read(self) -> None:
        try:
            for item in self._real:
                if not (isinstance(item, Connected) and self._client.away is not None):
                    self.give(item)
        except CalvinverseError as error:
            self.give(error)

    def close(self) -> None:
        self.closed = True
        self._real.close()
        self._items.put(None)


class _Inventory:
    """Environment → the lines of its inventory."""

    def __init__(self, client: "InProcessClient") -> None:
        self._client = client

    def __getitem__(self, name: str) -> list[ResourceView]:
        found = self._client.service.reading.resources(self._client.service.admin, name)
        return [presenting.resource(line) for line in found]

    def __setitem__(self, name: str, lines: list[ResourceView]) -> None:
        environment_id = self._client.views[name].id
        with self._client.service.database.write() as tx:
            tx._connection.execute(resources.delete().where(resources.c.environment_id == environment_id))
            for line in lines:
                row = {**line.model_dump(), "status": line.status.value, "environment_id": environment_id}
                tx._connection.execute(resources.insert().values(**row, rank=0))


class _Drifts:
    """Environment → what the last observation found; the next one finds it again."""

    def __init__(self, client: "InProcessClient") -> None:
        self._client = client

    def __setitem__(self, name: str, drift: Drift) -> None:
        self._client.service.world.drifts[name] = drift
        self._set(name, drift)

    def __delitem__(self, name: str) -> None:
        del self._client.service.world.drifts[name]
        self._set(name, None)

    def _set(self, name: str, drift: Drift | None) -> None:
        with self._client.service.database.write() as tx:
            tx.environments.change(self._client.views[name].id, drift=drift)


class InProcessClient(HttpClient):
    """See the module. `close` ends streams only: a test may connect again. `shut_down` ends everything."""

    def __init__(
        self, *views: EnvironmentView, now: datetime = NOW, owner: str = "ada", address: str = ADDRESS
    ) -> None:
        self.now = now
        self.owner = owner
        self.calls: list[tuple[Any, ...]] = []
        self.streams: list[Stream] = []
        self.away: CalvinverseError | None = None
        """While set, every call raises it."""
        self.refuse: CalvinverseError | None = None
        """Raised by the next call that changes something, once."""
        self.moved: list[str] = []
        """What has moved since the plans were made: with any, none of them can be applied."""
        self.pending: dict[str, PendingView] = {}
        """Deployment → why it waits, in place of what the queue says."""
        self.worker_views: list[WorkerView] = []
        """Workers, in place of those that the database knows."""
        self._ending = ExitStack()
        folder = Path(self._ending.enter_context(tempfile.TemporaryDirectory()))
        numbers: Counter[str] = Counter()

        def new_id(kind: str) -> str:
            numbers[kind] += 1
            number = numbers[kind]
            return {"env": environment_id(f"number {number}"), "dep": f"dep-new-{number}"}.get(kind, f"{kind}-{number}")

        self.service: FakeService = make_service(
            folder, opened=_open_migrated, clock=lambda: self.now, new_id=new_id, kinds=KINDS, template=WEB
        )
        self._ending.callback(self.service.database.close)
        token = self.service.access.first_token(owner, "test")
        loop = Loop()
        self._ending.callback(loop.close)
        app = create_app(self.service)
        lifespan = app.router.lifespan_context(app)
        loop.run(lifespan.__aenter__())
        self._ending.callback(lambda: loop.run(lifespan.__aexit__(None, None, None)))
        super().__init__(address, token, transport=AsgiTransport(app, loop.loop))
        self._ending.callback(super().close)
        self.inventory = _Inventory(self)
        self.looks = _Drifts(self)
        self.plan_steps = plan_steps()
        with self.service.database.write() as tx:
            for view in views:
                self._put(tx, view)
        _OPEN.append(self)

    # --- for the test -------------------------------------------------------------------------------------------------

    @property
    def plan_steps(self) -> tuple[StepPlan, ...]:
        """What every plan from now on shows."""
        return self.service.world.steps

    @plan_steps.setter
    def plan_steps(self, found: tuple[StepPlan, ...]) -> None:
        self.service.world.steps = found

    @property
    def views(self) -> dict[str, EnvironmentView]:
        """Every environment, by name, with its newest deployment."""
        admin, reading = self.service.admin, self.service.reading
        found = [reading.environment(admin, f"id:{one.id}") for one in reading.environments(admin, ended=True)]
        return {one.environment.name: presenting.environment_details(one) for one in found}

    @property
    def stored(self) -> list[Event]:
        """Every event."""
        with self.service.database.read() as tx:
            return list(tx.events.after(0, environment_id=None, owner=None, limit=10**6))

    def put(self, view: EnvironmentView) -> None:
        """Makes an environment be like this, without telling of it."""
        with self.service.database.write() as tx:
            self._put(tx, view)

    def _put(self, tx: SqlTransaction, view: EnvironmentView) -> None:
        secret = {name: self._reference(view, name) for name, output in view.outputs.items() if output.secret}
        values = {name: getattr(view, name) for name in Environment.model_fields if hasattr(view, name)}
        values["outputs"] = {
            name: {"value": secret.get(name, output.value), "description": output.description, "secret": output.secret}
            for name, output in view.outputs.items()
        }
        known = tx.environments.get(view.id)
        drift = known.drift if known is not None else None
        if view.drifted and drift is None:
            drift = Drift(observed_at=self.now, steps=plan_steps()[:1])
        environment = Environment(**{**values, "drift": drift if view.drifted else None})
        if known is None:
            tx.environments.add(environment)
        else:
            fixed = ("id", "state", "state_since")
            changed = {name: getattr(environment, name) for name in Environment.model_fields if name not in fixed}
            tx.environments.set_state(view.id, view.state, view.state_since, **changed)
        tx._connection.execute(deployments.delete().where(deployments.c.environment_id == view.id))
        if view.deployment is not None:
            self._put_deployment(tx, environment, view.deployment, secret)
        if view.last_good is not None and tx.deployments.get(view.last_good) is None:
            self._put_deployment(tx, environment, past_deployment(view.last_good), {})

    def _put_deployment(
        self,
        tx: SqlTransaction,
        environment: Environment,
        view: DeploymentView,
        secret: Mapping[str, SecretReference],
    ) -> None:
        tx._connection.execute(deployments.delete().where(deployments.c.id == view.id))
        given = {name: getattr(view, name) for name in Deployment.model_fields if hasattr(view, name)}
        tx.deployments.add(
            Deployment(
                **given,
                environment_id=environment.id,
                bundle=environment.bundle,
                template=environment.template,
                parameters=environment.parameters,
            )
        )
        if view.state is DeploymentState.RUNNING:
            tx._connection.execute(deployments.update().where(deployments.c.id == view.id).values(lease_until=1e12))
        for position, step in enumerate(view.steps):
            its = {name: reference for name, reference in secret.items() if reference.step == step.name}
            tx._connection.execute(
                steps.insert().values(
                    deployment_id=view.id,
                    name=step.name,
                    position=position,
                    uses=step.uses,
                    needs=list(step.needs),
                    state=step.state.value,
                    attempts=step.attempts,
                    started_at=step.started_at,
                    ended_at=step.ended_at,
                    outputs={"references": its} if its else {},
                    failure=step.failure.model_dump(mode="json") if step.failure else None,
                )
            )

    @staticmethod
    def _reference(view: EnvironmentView, output: str) -> SecretReference:
        """The step of the output's name keeps its value."""
        return SecretReference(view.id, output, f"environments/{view.name}/{output}", output)

    def push_template(self, text: str) -> str:
        """Pushes a template's text; its digest."""
        return self.service.catalogue.push(self.service.admin, make_bundle({"template.toml": text.encode()})).digest

    def put_past_deployment(self, environment: str, id: str) -> None:
        """Adds a deployment to the history."""
        with self.service.database.write() as tx:
            found = tx.environments.named(environment)
            assert found is not None
            self._put_deployment(tx, found, past_deployment(id), {})

    def keep_secret(self, environment: str, output: str, value: str) -> None:
        """What revealing a secret output shows."""
        reference = self._reference(self.views[environment], output)
        self.service.world.secrets[reference.path, reference.key] = value

    def tell(self, type_: EventType, environment: str, message: str = "", **fields: Any) -> None:
        """Writes an event, for all that read it or follow the stream."""
        at = fields.pop("at", self.now)
        with self.service.database.write() as tx:
            found = tx.environments.named(environment)
            found = found or next(one for one in tx.environments.all(ended=True) if one.name == environment)
            tx.events.add(type_, found.id, at, message=message, **fields)

    def go_away(self, error: CalvinverseError | None = None) -> None:
        """The service can't be reached from now on; streams say so."""
        self.away = error or ServiceUnavailable(f"The service at {self.address} can't be reached.")
        for stream in self.streams:
            stream.give(Disconnected(self.away, 0.5))

    def come_back(self) -> None:
        """The service can be reached again."""
        self.away = None
        for stream in self.streams:
            stream.give(Connected())

    def close(self) -> None:
        for stream in self.streams:
            stream.close()

    def shut_down(self) -> None:
        """Ends the service and removes its database."""
        self.close()
        self._ending.close()

    # --- what no service without an engine and workers can answer ---------------------------------------------------

    def why(self, deployment_id: str) -> PendingView:
        found = super().why(deployment_id)
        return self.pending.get(deployment_id, found)

    def workers(self) -> list[WorkerView]:
        return super().workers() or list(self.worker_views)

    def events(self, after: int | None = None, environment: str | None = None) -> Stream:  # type: ignore[override]
        stream = Stream(self, super().events(after, environment), environment)
        self.streams.append(stream)
        return stream

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        if self.moved:
            raise PlanStale(
                f"The plan {plan_id} doesn't fit any more: {'; '.join(self.moved)}.", details={"moved": self.moved}
            )
        return self._begun(super().apply_plan(plan_id, idempotency_key=idempotency_key))

    def create(self, request: Any, *, idempotency_key: str | None = None) -> Accepted:
        return self._begun(super().create(request, idempotency_key=idempotency_key))

    def update(self, name: str, request: Any) -> Accepted:
        return self._begun(super().update(name, request))

    def retry(self, name: str) -> Accepted:
        return self._begun(super().retry(name))

    def repair(self, name: str) -> Accepted:
        return self._begun(super().repair(name))

    def promote(self, name: str) -> Accepted:
        return self._begun(super().promote(name))

    def rollback(self, name: str, request: Any) -> Accepted:
        return self._begun(super().rollback(name, request))

    def _begun(self, accepted: Accepted) -> Accepted:
        """Begins the deployment, as the next free worker would."""
        with self.service.database.write() as tx:
            environment = tx.environments.get(accepted.environment.id)
            deployment = None if accepted.deployment_id is None else tx.deployments.get(accepted.deployment_id)
            assert environment is not None
            assert deployment is not None
            template = BUNDLE.template()
            tx.journal.lay_out(deployment.id, [(step.name, step.uses, step.needs) for step in template.steps])
            state = {
                DeploymentKind.CREATE: State.REQUESTED if environment.state is State.REQUESTED else State.DEPLOYING,
                DeploymentKind.DESTROY: State.DESTROYING,
            }.get(deployment.kind, State.UPDATING)
            if state is not environment.state:
                tx.environments.set_state(environment.id, state, self.now)
                tx.events.add(EventType.ENVIRONMENT_STATE, environment.id, self.now, data={"state": state.value})
        after = self.service.reading.environment(self.service.admin, f"id:{accepted.environment.id}")
        return accepted.model_copy(update={"environment": presenting.environment_details(after)})


def past_deployment(id: str) -> DeploymentView:
    """A create that has succeeded an hour ago."""
    hour = timedelta(hours=1)
    return DeploymentView(
        id=id,
        kind=DeploymentKind.CREATE,
        state=DeploymentState.SUCCEEDED,
        reason="created",
        requested_by="ada",
        requested_at=NOW - hour,
        started_at=NOW - hour,
        ended_at=NOW - hour,
    )


def _recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(getattr(Client, name))

    def called(self: InProcessClient, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = [value for key, value in bound.arguments.items() if key not in ("self", "idempotency_key")]
        self.calls.append((name, *given))
        if self.away is not None and name != "events":
            raise self.away
        if name not in _READS and self.refuse is not None:
            refusal, self.refuse = self.refuse, None
            raise refusal
        return method(self, *args, **kwargs)

    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


for _name, _ in inspect.getmembers(Client, inspect.isfunction):
    if not _name.startswith("_") and _name not in ("close",):
        setattr(InProcessClient, _name, _recorded(_name, getattr(InProcessClient, _name)))

_OPEN: list[InProcessClient] = []


def shut_down_all() -> None:
    """Ends every service that was started here; for the end of a test."""
    while _OPEN:
        _OPEN.pop().shut_down()
