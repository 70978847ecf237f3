"""Carries out a stop: what runs is ended, in reverse order of its creation; everything else stays as it is."""

from collections.abc import Sequence

from environments.domain.environment import Resource
from environments.domain.lifecycle import DeploymentState, State, StepState
from environments.engine.deploy import first_failure
from environments.engine.graph import run_graph
from environments.engine.logs import LogWriter
from environments.engine.progress import Progress, persist
from environments.engine.recorder import Recorder
from environments.engine.removal import OVER, Inspector, rows_to_destroy, stored_steps
from environments.steps.base import Owner
from environments.steps.registry import StepRegistry


class Stop:
    """One run. `run` returns when the deployment has ended, and raises `Interrupted` when it must stop before that.

    It works from the inventory, as a destroy does: nothing is rendered, so no withdrawn image or unreadable template
    keeps an environment running.
    """

    def __init__(self, recorder: Recorder, registry: StepRegistry, logs: LogWriter) -> None:
        self._recorder = recorder
        self._lease = recorder.lease
        self._registry = registry
        self._logs = logs

    def run(self) -> None:
        """Stops what runs, then records the result: stopped or failed."""
        needs, done = self._begin()
        outcome = run_graph(needs, self._step, done=done)
        failure = first_failure(outcome.errors, self._lease.deployment.id)
        with self._lease.write() as tx:
            if failure is None:
                self._recorder.move(tx, State.STOPPED, failure=None)
                self._recorder.end(tx, DeploymentState.SUCCEEDED, None)
            else:
                self._recorder.move(tx, State.FAILED, failure=failure)
                self._recorder.end(tx, DeploymentState.FAILED, failure)

    def _begin(self) -> tuple[dict[str, tuple[str, ...]], set[str]]:
        """Writes the journal's rows and the environment's state; returns the steps that an earlier worker finished."""
        deployment, environment = self._lease.deployment, self._lease.environment
        with self._lease.write() as tx:
            made = self._running(tx.inventory.of(environment.id))
            rows = rows_to_destroy(made, stored_steps(tx, deployment))
            tx.journal.lay_out(deployment.id, rows)
            steps = tx.journal.steps(deployment.id)
            if self._recorder.state is not State.STOPPING:
                self._recorder.move(tx, State.STOPPING, failure=None)
            self._recorder.begin(tx)
            self._owner = Owner(environment.id, environment.name, tx.inventory.held(environment.id))
        self._inspector = Inspector(self._registry, self._owner, made)
        return {name: needs for name, _, needs in rows}, {step.name for step in steps if step.state is StepState.DONE}

    def _running(self, inventory: Sequence[Resource]) -> list[Resource]:
        """The resources of steps that a stop ends."""
        return [
            found
            for found in inventory
            if found.step is not None and found.status not in OVER and self._registry.stop_of(found.kind) is not None
        ]

    def _step(self, name: str) -> None:
        self._lease.check()
        with self._lease.write() as tx:
            self._recorder.step(tx, name, StepState.RUNNING)
            found = self._running(tx.inventory.of(self._lease.environment.id))
        resources = [resource for resource in reversed(found) if resource.step == name]
        run = Progress(self._recorder, self._logs, name, self._inspector.time_limit(resources))
        with self._recorder.failing(self._logs, name):
            for resource in resources:
                self._stop(resource, run)
        self._logs.flush()
        with self._lease.write() as tx:
            self._recorder.step(tx, name, StepState.DONE)

    def _stop(self, resource: Resource, run: Progress) -> None:
        stop = self._registry.stop_of(resource.kind)
        assert stop is not None, "only such resources are chosen"
        run.before_effect()
        persist(run, lambda: stop(resource.address, self._owner, run))
