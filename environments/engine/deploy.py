"""Carries out a create or an update: the steps of the template, in dependency order, under a lease."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from environments.domain.environment import Failure, Resource
from environments.domain.errors import CalvinverseError, ImageNotPublished, Interrupted, InvalidTemplate, StorageError
from environments.domain.lifecycle import DeploymentState, ResourceStatus, State, StepState, state_when_running
from environments.domain.template import Bundle, Step, Template
from environments.engine.graph import ancestors, run_graph
from environments.engine.logs import LogWriter
from environments.engine.progress import Progress, failure_of, persist
from environments.engine.recorder import Recorder
from environments.executors.base import Executor, Intended, Owner, StepContext, Toolbox
from environments.service.images import references
from environments.service.rendering import render, scope
from environments.service.requests import Sealer
from environments.service.storage import Transaction

log = structlog.get_logger()

_CHECKS = "check."
_TAKES_SECRETS = "vault.secret"


class Deploy:
    """One run; `run` returns when the deployment has ended, and raises `Interrupted` when it has to stop before."""

    def __init__(self, recorder: Recorder, toolbox: Toolbox, sealer: Sealer, logs: LogWriter) -> None:
        self._recorder = recorder
        self._lease = recorder.lease
        self._toolbox = toolbox
        self._sealer = sealer
        self._logs = logs
        self._outputs: dict[str, dict[str, Any]] = {}
        self._secrets: dict[str, str] = {}
        self._bundle = Bundle(files={})
        self._volumes: frozenset[str] = frozenset()
        self._images: dict[str, str] = {}
        self._needs: dict[str, tuple[str, ...]] = {}

    def run(self) -> None:
        """Applies what is not done yet, then decides: ready or failed."""
        template, done = self._begin()
        outcome = run_graph(
            template.dependencies(),
            lambda name: self._step(template.step(name)),
            done=done,
            before_start=lambda finished, _: self._maybe_validating(template, finished),
        )
        failure = first_failure(outcome.errors, self._lease.deployment.id)
        outputs: dict[str, Any] = {}
        if failure is None:
            try:
                outputs = self._render_outputs(template)
            except (InvalidTemplate, ImageNotPublished) as error:
                failure = failure_of(error)
        with self._lease.write() as tx:
            if failure is None:
                self._recorder.move(tx, State.READY, failure=None, outputs=outputs, sealed=None)
                self._recorder.end(tx, DeploymentState.SUCCEEDED, None)
            else:
                self._recorder.move(tx, State.FAILED, failure=failure)
                self._recorder.end(tx, DeploymentState.FAILED, failure)

    def _begin(self) -> tuple[Template, set[str]]:
        """Lays the journal out and moves the environment on; what an earlier worker finished is done."""
        deployment, environment = self._lease.deployment, self._lease.environment
        with self._lease.write() as tx:
            bundle = tx.templates.bundle(deployment.bundle)
            assert bundle is not None, "bundles in use are never deleted"
            template = bundle.template()
            tx.journal.lay_out(deployment.id, [(step.name, step.uses, step.needs) for step in template.steps])
            steps = tx.journal.steps(deployment.id)
            sealed = tx.environments.sealed(environment.id)
            self._images = references(tx)
            if self._recorder.state not in (State.DEPLOYING, State.UPDATING, State.VALIDATING):
                self._recorder.move(tx, state_when_running(deployment.kind), failure=None)
            self._recorder.begin(tx)
        self._bundle = bundle
        self._volumes = frozenset(template.host_volumes)
        self._needs = {step.name: step.needs for step in template.steps}
        self._outputs = {step.name: step.outputs for step in steps if step.state is StepState.DONE}
        self._secrets = self._sealer.unseal(sealed) if sealed else {}
        return template, set(self._outputs)

    def _maybe_validating(self, template: Template, done: set[str]) -> None:
        if self._recorder.state is not State.VALIDATING and all(
            step.name in done or step.uses.startswith(_CHECKS) for step in template.steps
        ):
            with self._lease.write() as tx:
                self._recorder.move(tx, State.VALIDATING)

    def _step(self, step: Step) -> None:
        intended: Sequence[Intended] = ()
        running = False
        try:
            executor, context = self._prepare(step)
            intended = executor.resources(context)
            with self._lease.write(going_on=True) as tx:
                self._recorder.step(tx, step.name, StepState.RUNNING)
                self._intend(tx, step, intended)
            running = True
            limit = (step.timeout or executor.time_limit).total_seconds()
            run = Progress(self._lease, self._logs, step.name, limit)
            outputs = persist(run, lambda: executor.apply(context, run))
        except (Interrupted, StorageError):
            # The step stays as it is in the journal: whoever goes on with the deployment does it again.
            raise
        except Exception as error:
            self._logs.flush()
            with self._lease.write() as tx:
                if not running:
                    self._recorder.step(tx, step.name, StepState.RUNNING)
                self._recorder.step(tx, step.name, StepState.FAILED, failure=failure_of(error, step.name))
            raise
        self._logs.flush()
        with self._lease.write() as tx:
            self._recorder.step(tx, step.name, StepState.DONE, outputs=outputs)
            refs = [(item.ref.kind, item.ref.address) for item in intended]
            tx.inventory.settle(self._lease.environment.id, refs, self._recorder.clock())
        self._outputs[step.name] = outputs

    def _prepare(self, step: Step) -> tuple[Executor, StepContext]:
        executor = self._toolbox.executors.get(step.uses)
        if executor is None:
            raise InvalidTemplate(f"This version knows no step kind {step.uses!r}.")
        return executor, self._context(step, executor)

    def _context(self, step: Step, executor: Executor) -> StepContext:
        environment = self._lease.environment
        # Only the outputs of what a step needs, directly or not, are sure to be there.
        needed = {name: self._outputs[name] for name in ancestors(self._needs, step.name)}
        names = scope(environment, environment.parameters, needed, self._images)
        options = render(step.options, names, f"step {step.name!r}")
        try:
            read = executor.options.model_validate(options)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            )
            raise InvalidTemplate(f"The options of step {step.name!r} don't fit: {faults}.") from error
        return StepContext(
            owner=Owner(environment.id, environment.name),
            step=step.name,
            options=read,
            bundle=self._bundle,
            parameters=environment.parameters,
            secrets=self._secrets if step.uses == _TAKES_SECRETS else {},
            host_volumes=self._volumes,
        )

    def _intend(self, tx: Transaction, step: Step, intended: Sequence[Intended]) -> None:
        """Writes down what the step is about to make."""
        now = self._recorder.clock()
        resources = [
            Resource(
                environment_id=self._lease.environment.id,
                kind=item.ref.kind,
                address=item.ref.address,
                step=None if item.shared else step.name,
                status=ResourceStatus.INTENDED,
                created_at=now,
                updated_at=now,
            )
            for item in intended
        ]
        tx.inventory.intend(resources, {f"{item.ref.kind} {item.ref.address}": item.rank for item in intended})

    def _render_outputs(self, template: Template) -> dict[str, Any]:
        environment = self._lease.environment
        names = scope(environment, environment.parameters, self._outputs, self._images)
        return {
            name: {
                "value": render(output.value, names, f"output {name!r}"),
                "description": output.description,
                "secret": output.secret,
            }
            for name, output in template.outputs.items()
        }


def first_failure(errors: Mapping[str, BaseException], deployment_id: str) -> Failure | None:
    """The failure to show of a graph's errors; None when there are none.

    What interrupts the deployment, or keeps the engine from writing its journal, is raised instead.
    """
    for error in errors.values():
        if isinstance(error, Interrupted | StorageError):
            raise error
    for name, error in errors.items():
        if not isinstance(error, CalvinverseError):
            log.error("step.fault", step=name, deployment=deployment_id, exc_info=error)
        return failure_of(error, name)
    return None
