"""Plans a change by observing the backends: what each step will do, in the order in which the steps will run."""

from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime
from functools import partial

from environments.domain.environment import Resource
from environments.domain.errors import InvalidTemplate
from environments.domain.lifecycle import DeploymentKind, ResourceStatus
from environments.domain.plan import StepPlan
from environments.engine.contexts import Contexts
from environments.engine.history import History, of_step, read_history, to_destroy
from environments.engine.plan_draft import Budget, PlanDraft, or_trouble
from environments.engine.removal import SHARED, Inspector, rows_to_destroy, with_reach
from environments.service.images import references
from environments.service.planner import Target
from environments.service.storage.transaction import Storage
from environments.steps.base import Owner
from environments.steps.registry import StepRegistry

_NEVER = datetime.min.replace(tzinfo=UTC)

LONGEST_PLAN = 240.0
"""Seconds that the plan of an environment may take; a client waits 300 s."""


class BackendPlanner:
    """Implements `environments.service.planner.Planner`."""

    def __init__(self, storage: Storage, registry: StepRegistry, longest: float = LONGEST_PLAN) -> None:
        self._storage = storage
        self._registry = registry
        self._longest = longest

    def plan(self, target: Target, troubles: MutableMapping[str, str] | None = None) -> tuple[StepPlan, ...]:
        """The changes that make the target; for a destroy, the existing resources."""
        budget = Budget(self._longest)
        with self._storage.read() as tx:
            history = read_history(tx, target.environment.id)
            shared = tx.inventory.shared_by_rank(target.environment.id)
            held = tx.inventory.held(target.environment.id, gone=True)
            images = references(tx)
        if target.kind is DeploymentKind.DESTROY:
            return self._destroy(target, history._replace(held=held), shared, troubles, budget)
        contexts = Contexts(
            self._registry,
            target.environment,
            target.bundle,
            images,
            target.secrets,
            history,
            target.run_again,
            promotes=target.kind is DeploymentKind.PROMOTE,
            stopped=target.kind is DeploymentKind.STOP,
        )
        return PlanDraft(self._registry, contexts, history, shared, troubles, budget).steps()

    def _destroy(
        self,
        target: Target,
        history: History,
        shared: Sequence[Resource],
        troubles: MutableMapping[str, str] | None,
        budget: Budget,
    ) -> tuple[StepPlan, ...]:
        owner = with_reach(self._registry, Owner(target.environment.id, target.environment.name, history.held))
        inspector = Inspector(self._registry, owner, history.inventory, budget.check)
        try:
            steps = target.bundle.template().steps
        except InvalidTemplate:
            steps = ()
        rows = [
            (name, uses, of_step(history.inventory, name))
            for name, uses, _ in rows_to_destroy(history.inventory, steps)
        ]
        plans = []
        for name, uses, resources in [*rows, (SHARED, SHARED, [*self._reached(owner, history), *shared])]:
            changes = or_trouble(troubles, name, partial(to_destroy, inspector, resources))
            plans.append(StepPlan(step=name, uses=uses, changes=changes))
        return tuple(plan for plan in plans if plan.changes)

    def _reached(self, owner: Owner, history: History) -> list[Resource]:
        """The resources outside of the inventory that a destroy observes too."""
        known = {found.ref for found in history.inventory}
        return [
            Resource(
                environment_id=owner.id,
                kind=item.ref.kind,
                address=item.ref.address,
                status=ResourceStatus.INTENDED,
                created_at=_NEVER,
                updated_at=_NEVER,
            )
            for item in self._registry.reach(owner)
            if item.ref not in known
        ]
