"""Carries out a destroy: in reverse order, driven by the inventory, ended by an independent look that finds nothing."""

from collections.abc import Sequence
from datetime import timedelta

from environments.domain.deadline import destroy_again_after
from environments.domain.environment import Resource
from environments.domain.errors import CalvinverseError, Interrupted, StepFailed, StorageError
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState
from environments.engine.deploy import first_failure
from environments.engine.graph import ancestors, run_graph
from environments.engine.logs import LogWriter
from environments.engine.progress import Progress, failure_of, persist
from environments.engine.recorder import Recorder
from environments.executors.base import Observation, Owner, Presence, ResourceHandler, Toolbox
from environments.service.storage import Transaction

SHARED = "shared"
"""The journal's step for what serves the whole environment."""

PROOF = "proof"
"""The journal's step for the last look."""

TIME_LIMIT = timedelta(minutes=3)
"""For each step of a destroy."""

_OVER = (ResourceStatus.GONE, ResourceStatus.ABANDONED)


class Destroy:
    """One run; `run` returns when the deployment has ended, and raises `Interrupted` when it has to stop before."""

    def __init__(self, recorder: Recorder, toolbox: Toolbox, logs: LogWriter) -> None:
        self._recorder = recorder
        self._lease = recorder.lease
        self._toolbox = toolbox
        self._logs = logs
        self._owner = Owner(self._lease.environment.id, self._lease.environment.name)
        self._made: frozenset[tuple[str, str]] = frozenset()
        """Kind and address of all that the environment was ever about to make."""

    def run(self) -> None:
        """Takes everything away, looks again, and decides: destroyed, or failed and to be tried again."""
        needs, done = self._begin()
        outcome = run_graph(needs, self._step, done=done, stop_on_error=False)
        failure = first_failure(outcome.errors, self._lease.deployment.id)
        now = self._recorder.clock()
        with self._lease.write() as tx:
            if failure is None:
                self._recorder.move(
                    tx, State.DESTROYED, failure=None, destroyed_at=now, sealed=None, destroy_again_at=None
                )
                self._recorder.end(tx, DeploymentState.SUCCEEDED, None)
            else:
                attempts = self._lease.environment.destroy_attempts + 1
                self._recorder.move(
                    tx,
                    State.DESTROY_FAILED,
                    failure=failure,
                    destroy_attempts=attempts,
                    destroy_again_at=now + destroy_again_after(attempts),
                )
                self._recorder.end(tx, DeploymentState.FAILED, failure)

    def _begin(self) -> tuple[dict[str, tuple[str, ...]], set[str]]:
        """Lays the journal out: the template's steps turned round, then what is shared, then the proof."""
        deployment = self._lease.deployment
        with self._lease.write() as tx:
            rows = self._rows(tx)
            tx.journal.lay_out(deployment.id, rows)
            steps = tx.journal.steps(deployment.id)
            self._made = frozenset((found.kind, found.address) for found in tx.inventory.of(deployment.environment_id))
            self._recorder.begin(tx)
        done = {step.name for step in steps if step.state is StepState.DONE and step.name != PROOF}
        return {name: needs for name, _, needs in rows}, done

    def _rows(self, tx: Transaction) -> list[tuple[str, str, tuple[str, ...]]]:
        made_by = {resource.step for resource in tx.inventory.of(self._lease.environment.id)}
        bundle = tx.templates.bundle(self._lease.deployment.bundle)
        steps = bundle.template().steps if bundle else ()
        rows = []
        needs = {step.name: step.needs for step in steps}
        for step in reversed(steps):
            if step.name in made_by:
                # Also those that need it through a step that made nothing.
                users = [
                    other.name for other in steps if other.name in made_by and step.name in ancestors(needs, other.name)
                ]
                rows.append((step.name, step.uses, tuple(users)))
        # Steps that made things but are in no version that we still have: nothing needs them, so they go first.
        known = {row[0] for row in rows}
        rows += [(str(name), "unknown", ()) for name in sorted(made_by - known - {None}, key=str)]
        names = tuple(row[0] for row in rows)
        return [*rows, (SHARED, SHARED, names), (PROOF, PROOF, (*names, SHARED))]

    def _step(self, name: str) -> None:
        self._lease.check()
        run = Progress(self._lease, self._logs, name, TIME_LIMIT.total_seconds())
        with self._lease.write() as tx:
            self._recorder.step(tx, name, StepState.RUNNING)
            resources = self._resources(tx, name)
        try:
            if name == PROOF:
                self._prove(resources, run)
            else:
                for resource in resources:
                    if resource.status not in _OVER:
                        self._remove(resource, run)
        except (Interrupted, StorageError):
            # The step stays `running` in the journal: whoever goes on with the deployment does it again.
            raise
        except Exception as error:
            self._logs.flush()
            with self._lease.write() as tx:
                self._recorder.step(tx, name, StepState.FAILED, failure=failure_of(error, name))
            raise
        self._logs.flush()
        with self._lease.write() as tx:
            self._recorder.step(tx, name, StepState.DONE)

    def _resources(self, tx: Transaction, name: str) -> list[Resource]:
        environment_id = self._lease.environment.id
        if name == SHARED:
            return tx.inventory.shared_by_rank(environment_id)
        found = tx.inventory.of(environment_id)
        if name == PROOF:
            return found
        return [resource for resource in reversed(found) if resource.step == name]

    def _remove(self, resource: Resource, run: Progress) -> None:
        """Takes one resource away; what is left is written down as stuck, with why."""
        gone = self._gone_with_its_house(resource, run)
        if gone is not None:
            self._record(resource, ResourceStatus.GONE, gone.detail)
            return
        handler = self._handler(resource)
        try:
            persist(run, lambda: handler.destroy(resource.address, self._owner, run))
            found = persist(run, lambda: handler.observe(resource.address, self._owner))
        except Interrupted:
            raise
        except CalvinverseError as error:
            self._record(resource, ResourceStatus.STUCK, error.message)
            raise
        if found.presence is Presence.OURS:
            self._record(resource, ResourceStatus.STUCK, found.detail)
            raise _left([(resource, found)])
        self._record(resource, ResourceStatus.GONE, found.detail if found.presence is Presence.FOREIGN else "")

    def _prove(self, resources: Sequence[Resource], run: Progress) -> None:
        """Looks at everything that was ever written down, whatever we believe to have removed."""
        left = []
        for resource in resources:
            if resource.status is not ResourceStatus.ABANDONED:
                found = self._look(resource, run)
                if found.presence is Presence.OURS:
                    self._record(resource, ResourceStatus.STUCK, found.detail)
                    left.append((resource, found))
        if left:
            raise _left(left)

    def _look(self, resource: Resource, run: Progress) -> Observation:
        run.before_effect()
        gone = self._gone_with_its_house(resource, run)
        if gone is not None:
            return gone
        handler = self._handler(resource)
        return persist(run, lambda: handler.observe(resource.address, self._owner))

    def _gone_with_its_house(self, resource: Resource, run: Progress) -> Observation | None:
        """That the resource went with the one it was in, if this environment made that one and it is no more."""
        kind, address = self._toolbox.houses.get(resource.kind, ("", ""))
        if (kind, address) not in self._made:
            return None
        handler = self._toolbox.handlers[kind]
        found = persist(run, lambda: handler.observe(address, self._owner))
        return Observation(Presence.ABSENT, f"gone with {address}") if found.presence is Presence.ABSENT else None

    def _record(self, resource: Resource, status: ResourceStatus, detail: str) -> None:
        with self._lease.write() as tx:
            self._recorder.resource(tx, resource.kind, resource.address, status, detail)

    def _handler(self, resource: Resource) -> ResourceHandler:
        handler = self._toolbox.handlers.get(resource.kind)
        if handler is None:
            raise StepFailed(f"This version doesn't know how to remove {resource.kind} {resource.address}.")
        return handler


def _left(found: Sequence[tuple[Resource, Observation]]) -> StepFailed:
    parts = [
        f"{resource.kind} {resource.address}{f' ({seen.detail})' if seen.detail else ''}" for resource, seen in found
    ]
    return StepFailed(
        f"Still there: {'; '.join(parts)}.",
        hint="It is tried again by itself; `calvinverse env retry` tries at once.",
        details={"left": parts},
    )
