"""Carries out everything but a stop and a destroy: the steps of the template, in dependency order, under a lease."""

from collections.abc import Mapping
from typing import Any

import structlog

from environments.domain.cleaning import Cleaner
from environments.domain.environment import Failure
from environments.domain.errors import (
    CalvinverseError,
    ImageNotPublished,
    Interrupted,
    InvalidTemplate,
    NotAllowedNow,
    NotFound,
    PlanStale,
    StorageError,
)
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, StepState, state_when_running
from environments.domain.template_parts import OnFailure, Template
from environments.engine.contexts import Contexts
from environments.engine.failures import PLAIN, failure_of
from environments.engine.graph import run_graph
from environments.engine.history import read_history
from environments.engine.logs import LogWriter
from environments.engine.plan_guard import PlanGuard
from environments.engine.pruning import Pruning
from environments.engine.recorder import Recorder
from environments.engine.stepping import Steps
from environments.service import enqueue
from environments.service.authorization import ENGINE
from environments.service.cron import next_run
from environments.service.drafting import Draft, rolled_back
from environments.service.enqueue import DeploymentRequest, Sealer
from environments.service.images import references
from environments.service.storage.transaction import Transaction
from environments.steps.registry import StepRegistry

log = structlog.get_logger()


class Deploy:
    """One run. `run` returns when the deployment has ended, and raises `Interrupted` when it must stop before that."""

    def __init__(self, recorder: Recorder, registry: StepRegistry, sealer: Sealer, logs: LogWriter) -> None:
        self._recorder = recorder
        self._lease = recorder.lease
        self._registry = registry
        self._sealer = sealer
        self._logs = logs

    def run(self) -> None:
        """Applies the steps that aren't done, prunes, then records the result: ready or failed."""
        done = self._begin()
        template = self._template
        kept = {step.name for step in template.steps}
        outcome = run_graph(
            template.dependencies(),
            lambda name: self._steps.do(template.step(name)),
            done=done & kept,
            stop_on_error=self._stops,
            before_start=lambda finished, _: self._maybe_validating(template, finished),
        )
        raise_interrupts(outcome.errors, self._lease.deployment.id)
        fatal = {name: error for name, error in outcome.errors.items() if self._stops(name, error)}
        missing = kept - outcome.done
        failure = _first(fatal, self._recorder.cleaner)
        outputs: dict[str, Any] = {}
        if failure is None:
            try:
                outputs = self._contexts.outputs(self._steps.outputs, whole=not missing)
            except (InvalidTemplate, ImageNotPublished) as error:
                failure = failure_of(error, cleaner=self._recorder.cleaner)
        if failure is None and not missing:
            # While a step is missing, it is unknown which resources are still used; the next update prunes.
            failure = self._clear_away(done)
        if failure is None:
            self._succeed(template, outputs, missing, outcome.errors)
        else:
            self._fail(template, failure)

    def _clear_away(self, done: set[str]) -> Failure | None:
        try:
            errors = self._pruning.run(self._steps.outputs, done)
        except (InvalidTemplate, ImageNotPublished) as error:
            # an image may have been withdrawn since the step was done
            return failure_of(error, cleaner=self._recorder.cleaner)
        return first_failure(errors, self._lease.deployment.id, self._recorder.cleaner)

    def _begin(self) -> set[str]:
        """Writes the journal's rows and the environment's state; returns the steps that an earlier worker finished."""
        deployment, environment = self._lease.deployment, self._lease.environment
        with self._lease.write() as tx:
            bundle = tx.templates.bundle(deployment.bundle)
            assert bundle is not None, "bundles in use are never deleted"
            self._template = bundle.template()
            sealed = tx.environments.sealed(environment.id)
            secrets = self._sealer.unseal(sealed) if sealed else {}
            self._recorder.cleaner = Cleaner(secrets.values())
            plan = tx.plans.get(deployment.plan_id) if deployment.plan_id else None
            assert plan is not None or not deployment.plan_id, "plans in use are never deleted"
            plan_guard = None if plan is None else PlanGuard(plan)
            history = read_history(tx, environment.id, besides=deployment.id)
            self._contexts = Contexts(
                self._registry,
                environment,
                bundle,
                references(tx),
                secrets,
                history,
                deployment.run_again,
                promotes=deployment.kind is DeploymentKind.PROMOTE,
                starts=deployment.kind is DeploymentKind.START,
            )
            self._pruning = Pruning(self._recorder, self._logs, self._registry, self._contexts, history, plan_guard)
            rows = [(step.name, step.uses, step.needs) for step in self._template.steps]
            tx.journal.lay_out(deployment.id, [*rows, *self._pruning.rows()])
            steps = tx.journal.steps(deployment.id)
            if self._recorder.state not in (State.DEPLOYING, State.UPDATING, State.STARTING, State.VALIDATING):
                self._recorder.move(tx, state_when_running(deployment.kind), failure=None)
            self._recorder.begin(tx)
        done = {step.name for step in steps if step.state is StepState.DONE}
        self._steps = Steps(
            self._recorder,
            self._logs,
            self._contexts,
            outputs={step.name: step.outputs for step in steps if step.name in done},
            earlier=history.latest,
            begun=frozenset(step.name for step in steps if step.attempts and step.name not in done),
            plan_guard=plan_guard,
        )
        return done

    def _stops(self, name: str, error: BaseException) -> bool:
        """Whether no other step may start after this error."""
        if isinstance(error, Interrupted | StorageError | PlanStale) or not isinstance(error, Exception):
            return True
        return self._template.step(name).on_failure is not OnFailure.CONTINUE

    def _maybe_validating(self, template: Template, done: set[str]) -> None:
        if self._recorder.state is not State.VALIDATING and all(
            step.name in done or self._registry.only_checks(step.uses) for step in template.steps
        ):
            with self._lease.write() as tx:
                self._recorder.move(tx, State.VALIDATING)

    def _succeed(
        self, template: Template, outputs: dict[str, Any], missing: set[str], errors: Mapping[str, BaseException]
    ) -> None:
        """Records that the environment is ready. `missing`: steps that failed or were skipped without stopping it."""
        awaiting = self._contexts.awaiting_promotion(self._steps.outputs)
        changes: dict[str, Any] = {"awaiting_promotion": awaiting}
        if not awaiting or self._lease.environment.last_good is None:
            # A version that awaits promotion isn't proven yet: a rollback goes to the version that it would replace.
            changes["last_good"] = self._lease.deployment.id
        if not any(self._registry.takes_secrets(step.uses) and step.name in missing for step in template.steps):
            changes["sealed"] = None
        changes["observe_at"] = next_run(template.drift, self._recorder.clock())
        left_out = [step.name for step in template.steps if step.name in missing]
        with self._lease.write() as tx:
            if left_out:
                for row in tx.journal.steps(self._lease.deployment.id):
                    if row.state is StepState.PENDING:
                        self._recorder.step(tx, row.name, StepState.SKIPPED)
            self._recorder.move(tx, State.READY, failure=None, outputs=outputs, **changes)
            if awaiting:
                self._recorder.awaiting_promotion(tx, awaiting)
            self._recorder.end(tx, DeploymentState.SUCCEEDED, None, _without(left_out, errors, self._recorder.cleaner))

    def _fail(self, template: Template, failure: Failure) -> None:
        """Records that the environment has failed, and queues a rollback if the failed step asks for one."""
        deployment = self._lease.deployment
        names = {step.name: step for step in template.steps}
        step = names.get(failure.step or "")
        with self._lease.write() as tx:
            back = None
            if step is not None and step.on_failure is OnFailure.ROLLBACK:
                back = self._way_back(tx)
                if isinstance(back, str):
                    failure = failure.model_copy(update={"message": f"{failure.message} {back}"})
            self._recorder.move(tx, State.FAILED, failure=failure)
            self._recorder.end(tx, DeploymentState.FAILED, failure)
            if isinstance(back, Draft):
                asked = DeploymentRequest(
                    # One failure makes one rollback, so the id follows from the deployment's.
                    id=f"{deployment.id}-back",
                    by=deployment.requested_by,
                    reason=f"back to {back.rollback_to}, because step {failure.step!r} failed",
                    now=self._recorder.clock(),
                    by_machine=deployment.by_machine,
                    hops=deployment.hops,
                )
                enqueue.roll_back(tx, back, asked)

    def _way_back(self, tx: Transaction) -> Draft | str:
        """The draft of the rollback, or a sentence that says why there is none."""
        deployment = self._lease.deployment
        if deployment.rollback_to is not None:
            return "This was a rollback, so nothing is rolled back."
        environment = tx.environments.get(deployment.environment_id)
        assert environment is not None
        try:
            back = rolled_back(tx, ENGINE, environment, None, self._recorder.clock())
        except (NotAllowedNow, NotFound, InvalidTemplate):
            return "There is nothing to roll back to: no earlier deployment made the environment ready."
        if (back.environment.bundle, back.environment.parameters) == (deployment.bundle, environment.parameters):
            return "There is nothing to roll back to: the last good deployment applied the same."
        return back


def first_failure(errors: Mapping[str, BaseException], deployment_id: str, cleaner: Cleaner = PLAIN) -> Failure | None:
    """The first failure among a graph's errors; None without errors. Raises what `raise_interrupts` raises."""
    raise_interrupts(errors, deployment_id)
    return _first(errors, cleaner)


def raise_interrupts(errors: Mapping[str, BaseException], deployment_id: str) -> None:
    """Raises errors that interrupt the deployment or prevent writes to the journal; logs errors of the program."""
    for error in errors.values():
        # Anything else than an `Exception` ends the thread, and is no failure of a step.
        if isinstance(error, Interrupted | StorageError) or not isinstance(error, Exception):
            raise error
    for name, error in errors.items():
        if not isinstance(error, CalvinverseError):
            log.error("step.fault", step=name, deployment=deployment_id, exc_info=error)


def _first(errors: Mapping[str, BaseException], cleaner: Cleaner) -> Failure | None:
    return next((failure_of(error, name, cleaner) for name, error in errors.items()), None)


def _without(left_out: list[str], errors: Mapping[str, BaseException], cleaner: Cleaner) -> str:
    """The note at a deployment's end about steps whose failure didn't stop it."""
    if not left_out:
        return ""
    why = "; ".join(f"{name}: {failure_of(error, name, cleaner).message}" for name, error in errors.items())
    return f"without {', '.join(left_out)} ({why})"
