"""Carries out a destroy: in reverse order, from the inventory, until a final observation finds nothing."""

from collections.abc import Sequence

from environments.domain.deadline import destroy_again_after
from environments.domain.environment import Resource
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState
from environments.engine.deploy import first_failure
from environments.engine.graph import run_graph
from environments.engine.logs import LogWriter
from environments.engine.progress import Progress
from environments.engine.recorder import Recorder
from environments.engine.removal import OVER, SHARED, Inspector, Removal, left, rows_to_destroy, stored_steps
from environments.service.storage.transaction import Transaction
from environments.steps.base import Observation, Owner
from environments.steps.registry import StepRegistry

PROOF = "proof"
"""The journal's step for the final observation."""


class Destroy:
    """One run. `run` returns when the deployment has ended, and raises `Interrupted` when it must stop before that."""

    def __init__(self, recorder: Recorder, registry: StepRegistry, logs: LogWriter) -> None:
        self._recorder = recorder
        self._lease = recorder.lease
        self._registry = registry
        self._logs = logs
        self._set_inventory([], frozenset())

    def run(self) -> None:
        """Removes everything, observes it again, and records the result: destroyed, or failed with a later retry."""
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
        """Writes the journal's rows: the template's steps in reverse order, then shared resources, then the proof."""
        deployment = self._lease.deployment
        with self._lease.write() as tx:
            self._reach(tx)
            rows = self._rows(tx)
            tx.journal.lay_out(deployment.id, rows)
            steps = tx.journal.steps(deployment.id)
            self._set_inventory(tx.inventory.of(deployment.environment_id), _held(tx, deployment.environment_id))
            self._recorder.begin(tx)
        done = {step.name for step in steps if step.state is StepState.DONE and step.name != PROOF}
        return {name: needs for name, _, needs in rows}, done

    def _reach(self, tx: Transaction) -> None:
        """Records all places that the environment's jobs could read and write, whether or not a step named them."""
        environment = self._lease.environment
        owner = Owner(environment.id, environment.name, _held(tx, environment.id))
        known = {found.ref for found in tx.inventory.of(environment.id)}
        missing = [item for item in self._registry.reach(owner) if item.ref not in known]
        self._recorder.intend(tx, SHARED, missing)
        tx.inventory.hold(environment.id, [(item.ref.kind, item.ref.address) for item in missing])

    def _set_inventory(self, made: Sequence[Resource], held: frozenset[tuple[str, str]]) -> None:
        environment = self._lease.environment
        self._inspector = Inspector(self._registry, Owner(environment.id, environment.name, held), made)
        self._removal = Removal(self._recorder, self._inspector, with_hosts=True)

    def _rows(self, tx: Transaction) -> list[tuple[str, str, tuple[str, ...]]]:
        rows = rows_to_destroy(tx.inventory.of(self._lease.environment.id), stored_steps(tx, self._lease.deployment))
        names = tuple(row[0] for row in rows)
        return [*rows, (SHARED, SHARED, names), (PROOF, PROOF, (*names, SHARED))]

    def _step(self, name: str) -> None:
        self._lease.check()
        with self._lease.write() as tx:
            self._recorder.step(tx, name, StepState.RUNNING)
            resources = self._resources(tx, name)
        run = Progress(self._recorder, self._logs, name, self._inspector.time_limit(resources))
        with self._recorder.failing(self._logs, name):
            if name == PROOF:
                self._prove(resources, run)
            else:
                for resource in resources:
                    if resource.status not in OVER:
                        self._removal.remove(resource, run)
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

    def _prove(self, resources: Sequence[Resource], run: Progress) -> None:
        """Observes every resource that was ever recorded, including those recorded as gone.

        What is found is removed once more, then observed again. A backend that has just started may have answered that
        a resource doesn't exist before it had read all its data.
        """
        found_left = self._left(resources, run)
        if found_left:
            again = {(resource.kind, resource.address) for resource, _ in found_left}
            with self._lease.write(going_on=True) as tx:
                shared = tx.inventory.shared_by_rank(self._lease.environment.id)
            own = [resource for resource in reversed(resources) if resource.step is not None]
            for resource in (*own, *shared):
                if (resource.kind, resource.address) in again:
                    run.log(f"{resource.kind} {resource.address} is still there and will be removed again.")
                    self._removal.remove(resource, run)
            found_left = self._left(resources, run)
        if found_left:
            raise left(found_left)

    def _left(self, resources: Sequence[Resource], run: Progress) -> list[tuple[Resource, Observation]]:
        found_left = []
        for resource in resources:
            if resource.status is not ResourceStatus.ABANDONED:
                found = self._observe(resource, run)
                if self._inspector.is_left(resource, found):
                    self._removal.record(resource, ResourceStatus.STUCK, found.detail)
                    found_left.append((resource, found))
        return found_left

    def _observe(self, resource: Resource, run: Progress) -> Observation:
        run.before_effect()
        return self._inspector.observe(resource, run)


def _held(tx: Transaction, environment_id: str) -> frozenset[tuple[str, str]]:
    return tx.inventory.held(environment_id, gone=True)
