"""What an engine and the world would do, a test does: it sets what there is and what plans and observations find."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from environments.api import presenting
from environments.domain.environment import Drift, Environment, Event, EventType
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.plan import StepPlan
from environments.domain.template import make_bundle
from environments.service.storage.transaction import Transaction
from environments.wire.environments import Accepted, EnvironmentView, ResourceView
from tests.fakes.plans import plan_steps
from tests.fakes.service import FakeService
from tests.support.in_process.rows import put_deployment, put_environment, put_inventory, secret_reference
from tests.support.in_process.service import start_service
from tests.support.views import past_deployment


class Inventories:
    """Environment → the lines of its inventory."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene

    def __getitem__(self, name: str) -> list[ResourceView]:
        found = self._scene.service.reading.resources(self._scene.service.admin, name)
        return [presenting.resource(line) for line in found]

    def __setitem__(self, name: str, lines: list[ResourceView]) -> None:
        with self._scene.service.database.write() as tx:
            put_inventory(tx, _named(tx, name).id, lines)


class Observations:
    """Environment → what the last observation found; the next one finds it again."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene

    def __setitem__(self, name: str, drift: Drift) -> None:
        self._scene.service.world.drifts[name] = drift
        self._set(name, drift)

    def __delitem__(self, name: str) -> None:
        del self._scene.service.world.drifts[name]
        self._set(name, None)

    def _set(self, name: str, drift: Drift | None) -> None:
        with self._scene.service.database.write() as tx:
            tx.environments.change(_named(tx, name).id, drift=drift)


class Scene:
    """The state of a service that runs in this process, and the ways to change it without a request."""

    def __init__(self, now: datetime, ending: ExitStack) -> None:
        self.now = now
        """The service's time."""
        self.service: FakeService = start_service(lambda: self.now, ending)
        self.inventory = Inventories(self)
        self.observed = Observations(self)
        self.plan_steps = plan_steps()

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
        environments, _ = reading.listing(admin, ended=True)
        found = [reading.environment(admin, f"id:{one.id}") for one in environments]
        return {one.environment.name: presenting.environment_details(one) for one in found}

    @property
    def stored(self) -> list[Event]:
        """Every event."""
        with self.service.database.read() as tx:
            return list(tx.events.after(0, environment_id=None, limit=10**6))

    def put(self, view: EnvironmentView) -> None:
        """Makes an environment be like this, without telling of it."""
        with self.service.database.write() as tx:
            put_environment(tx, view, self.now)

    def push_template(self, text: str) -> str:
        """Pushes a template's text; its digest."""
        return self.service.catalogue.push(self.service.admin, make_bundle({"template.toml": text.encode()})).digest

    def put_past_deployment(self, environment: str, id: str) -> None:
        """Adds a deployment to the history."""
        with self.service.database.write() as tx:
            put_deployment(tx, _named(tx, environment), past_deployment(id), {})

    def keep_secret(self, environment: str, output: str, value: str) -> None:
        """What revealing a secret output shows."""
        with self.service.database.read() as tx:
            reference = secret_reference(_named(tx, environment), output)
        self.service.world.secrets[reference.path, reference.key] = value

    def tell(self, type_: EventType, environment: str, message: str = "", **fields: Any) -> None:
        """Writes an event, for all that read it or follow the stream."""
        self.tell_all([(self.now, type_, environment, message, fields)])

    def tell_all(self, told: Iterable[tuple[datetime, EventType, str, str, Mapping[str, Any]]]) -> None:
        """Writes events at once; each: moment, type, environment, message, further fields."""
        with self.service.database.write() as tx:
            for at, type_, environment, message, fields in told:
                tx.events.add(type_, _named(tx, environment).id, at, message=message, **fields)

    def begin(self, accepted: Accepted) -> Accepted:
        """Begins the deployment, as the next free worker would; what was accepted, as it is then."""
        with self.service.database.write() as tx:
            environment = tx.environments.get(accepted.environment.id)
            deployment = None if accepted.deployment_id is None else tx.deployments.get(accepted.deployment_id)
            assert environment is not None
            assert deployment is not None
            template = self.service.catalogue.bundle(deployment.template, deployment.bundle).template()
            tx.journal.lay_out(deployment.id, [(step.name, step.uses, step.needs) for step in template.steps])
            state = {
                DeploymentKind.CREATE: State.REQUESTED if environment.state is State.REQUESTED else State.DEPLOYING,
                DeploymentKind.DESTROY: State.DESTROYING,
                DeploymentKind.STOP: State.STOPPING,
                DeploymentKind.START: State.STARTING,
            }.get(deployment.kind, State.UPDATING)
            if state is not environment.state:
                tx.environments.set_state(environment.id, state, self.now)
                tx.events.add(EventType.ENVIRONMENT_STATE, environment.id, self.now, data={"state": state.value})
        after = self.service.reading.environment(self.service.admin, f"id:{accepted.environment.id}")
        return accepted.model_copy(update={"environment": presenting.environment_details(after)})


def _named(tx: Transaction, name: str) -> Environment:
    """The environment of this name, or else one that has ended."""
    found = tx.environments.named(name)
    return found or next(one for one in tx.environments.all(ended=True) if one.name == name)
