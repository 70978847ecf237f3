"""Plans: computed by observing the backends, saved for a day, and applied exactly as shown or not at all."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.environment import Deployment, Environment
from environments.domain.errors import CalvinverseError, InvalidInput, NameTaken, PlanStale, UnknownPlan
from environments.domain.lifecycle import SWITCHES, DeploymentKind, check_request
from environments.domain.names import BY_ID
from environments.domain.plan import Plan
from environments.service import enqueue
from environments.service.allowances import check_plans
from environments.service.authorization import (
    CHANGED_OUTSIDE,
    REMOVED_OUTSIDE,
    Action,
    Principal,
    check_role,
    environment_to_change,
    may,
    sees,
)
from environments.service.checking import Checks, Verdicts
from environments.service.drafting import (
    Draft,
    check_awaiting,
    new_environment,
    rolled_back,
    unchanged,
    updated,
    with_version,
)
from environments.service.enqueue import DeploymentRequest, Sealer
from environments.service.idempotency import Once
from environments.service.planner import Planner, Target
from environments.service.records import Accepted, accepted
from environments.service.running_again import WhyNot, any_step, left_to_run
from environments.service.storage.deployments import newest_of
from environments.service.storage.transaction import Storage, Transaction

KEPT = timedelta(hours=24)
"""How long a saved plan can be applied."""

_ACTIONS = {
    DeploymentKind.CREATE: Action.ENVIRONMENT_CREATE,
    DeploymentKind.UPDATE: Action.ENVIRONMENT_UPDATE,
    DeploymentKind.REPAIR: Action.ENVIRONMENT_REPAIR,
    DeploymentKind.PROMOTE: Action.ENVIRONMENT_PROMOTE,
    DeploymentKind.DESTROY: Action.ENVIRONMENT_DESTROY,
}

_PLAN = Action.ENVIRONMENT_PLAN


class Planning:
    """Makes, shows and applies plans."""

    def __init__(
        self,
        storage: Storage,
        planner: Planner,
        sealer: Sealer,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        checks: Checks,
        why_not_again: WhyNot = any_step,
    ) -> None:
        """`why_not_again` returns why a step can't be run again, or an empty text."""
        self._checks = checks
        self._why_not_again = why_not_again
        self._storage = storage
        self._planner = planner
        self._sealer = sealer
        self._clock = clock
        self._new_id = new_id

    def plan(self, principal: Principal, name: str, request: MakePlan) -> Plan:
        """Plans a change and saves the plan.

        Raises what the request would raise, what an observation may raise, and `TooManyRequests`.
        """
        now = self._clock()
        verdicts = Verdicts(self._checks, principal.owner)

        def drafted() -> tuple[Draft, Deployment | None, bytes | None, dict[str, str]]:
            with self._storage.read() as tx:
                check_plans(tx, principal.owner, now)  # first, so that no plan is computed that can't be saved
                draft = self._draft(tx, principal, name, request, now, verdicts)
                wished = dict.fromkeys(draft.run_again, "asked")
                again = left_to_run(tx, draft.environment) if request.kind is DeploymentKind.REPAIR else wished
                return (
                    draft,
                    newest_of(tx.deployments, draft.environment.id),
                    tx.environments.sealed(draft.environment.id),
                    again,
                )

        draft, newest, waiting, again = verdicts.settle(drafted)
        environment = draft.environment
        secrets = {**(self._sealer.unseal(waiting) if waiting else {}), **draft.secrets}
        steps = self._planner.plan(Target(request.kind, environment, draft.bundle, secrets, again))
        creates, moves = request.kind is DeploymentKind.CREATE, request.until is None
        plan = Plan(
            id=self._new_id("plan"),
            kind=request.kind,
            environment=environment.name,
            environment_id=environment.id,
            template=environment.template,
            template_version=environment.template_version,
            bundle=draft.bundle.digest,
            parameters=environment.parameters,
            requested_by=principal.owner,
            created_at=now,
            expires_at=now + KEPT,
            based_on=newest.id if newest else None,
            steps=steps,
            deadline=environment.deadline if creates else None,
            lifetime=(environment.deadline - now).total_seconds()
            if creates and moves and environment.deadline
            else None,
            request=_kept(request, draft),
        )
        with self._storage.write() as tx:
            check_plans(tx, principal.owner, now)
            tx.plans.add(plan, self._sealer.seal(draft.secrets) if draft.secrets else None)
        return plan

    def show(self, principal: Principal, plan_id: str) -> Plan:
        """A saved plan. Raises `UnknownPlan`, also when it has expired."""
        with self._storage.read() as tx:
            return self._find(tx, principal, plan_id)

    def apply(self, principal: Principal, plan_id: str, idempotency_key: str | None = None) -> Accepted:
        """Queues what the plan shows, once.

        A repeated request with the same Idempotency-Key (per token) gets the same result. Raises `UnknownPlan`,
        `IdempotencyMismatch`, and `PlanStale` when something has changed since the plan was made.
        """
        verdicts = Verdicts(self._checks, principal.owner)
        return verdicts.settle(lambda: self._applied(principal, plan_id, idempotency_key, verdicts))

    def _applied(self, principal: Principal, plan_id: str, idempotency_key: str | None, verdicts: Verdicts) -> Accepted:
        now = self._clock()
        once = Once(principal, idempotency_key, f"plan {plan_id}", self._sealer, now=now)
        with self._storage.write() as tx:
            if (before := once.known(tx)) is not None:
                return before
            plan = self._find(tx, principal, plan_id)
            known = tx.environments.get(plan.environment_id)
            if known is not None:
                check_role(tx, principal, _applies(plan), known)
            if plan.used_by is not None:
                raise _stale(plan, f"deployment {plan.used_by} has applied it already")
            sealed = tx.plans.sealed(plan.id)
            secrets = self._sealer.unseal(sealed) if sealed else {}
            environment, deployment = self._apply(tx, principal, plan, secrets, now, verdicts)
            if deployment.plan_id == plan.id and not tx.plans.use(plan.id, deployment.id):
                raise _stale(plan, "it has been applied already")
            once.remember(tx, environment, deployment.id)
            if deployment.plan_id != plan.id:  # it is being destroyed already
                return Accepted(environment, deployment.id)
            return accepted(tx, environment, deployment)

    def _draft(
        self,
        tx: Transaction,
        principal: Principal,
        name: str,
        request: MakePlan,
        now: datetime,
        verdicts: Verdicts,
    ) -> Draft:
        _check_fields(request)
        if request.kind is DeploymentKind.CREATE:
            asked = CreateEnvironment(
                name=name,
                template=request.template or "",
                digest=request.digest,
                parameters=request.parameters or {},
                ttl=request.ttl,
                until=request.until,
                rules=request.rules or (),
            )
            return new_environment(tx, principal, asked, self._new_id("env"), now, verdicts)
        instead = REMOVED_OUTSIDE if request.kind is DeploymentKind.DESTROY else CHANGED_OUTSIDE
        environment = environment_to_change(tx, principal, name, instead)
        check_role(tx, principal, _PLAN, environment)
        check_request(environment.name, environment.state, request.kind)
        if request.kind is DeploymentKind.PROMOTE:
            check_awaiting(environment)
        if request.kind is not DeploymentKind.UPDATE:
            return unchanged(tx, principal, _PLAN, environment)
        if request.rollback_to is not None:
            return rolled_back(tx, principal, environment, request.rollback_to, now, action=_PLAN)
        again = request.run_again or ()
        update = UpdateEnvironment(digest=request.digest, parameters=request.parameters, run_again=again)
        return updated(tx, principal, environment, update, now, verdicts, self._why_not_again, action=_PLAN)

    def _apply(
        self,
        tx: Transaction,
        principal: Principal,
        plan: Plan,
        secrets: dict[str, Any],
        now: datetime,
        verdicts: Verdicts,
    ) -> tuple[Environment, Deployment]:
        new = DeploymentRequest(self._new_id("dep"), principal.owner, f"as plan {plan.id} shows", now, plan_id=plan.id)
        if plan.kind is DeploymentKind.CREATE:
            draft = self._create_again(tx, principal, plan, secrets, now, verdicts)
            return draft.environment, enqueue.create(tx, draft, self._sealer, new)
        environment = environment_to_change(tx, principal, BY_ID + plan.environment_id)
        _check_unmoved(tx, plan, environment)
        if plan.kind is DeploymentKind.DESTROY:
            return enqueue.destroy(tx, environment, new, may(tx, principal, Action.ENVIRONMENT_DESTROY, environment))
        bundle = tx.templates.bundle(plan.bundle)
        if bundle is None:
            raise _stale(plan, f"the content of template {plan.template!r} that it was made for is no longer stored")
        if plan.kind is not DeploymentKind.UPDATE:
            allowed = may(tx, principal, _applies(plan), environment)
            return environment, enqueue.add(tx, environment, plan.kind, new, allowed)
        rollback_to = plan.request.get("rollback_to")
        if rollback_to is None and tx.templates.find(plan.template, plan.bundle) is None:
            raise _stale(plan, f"the version of template {plan.template!r} that it was made for was deleted")
        allowed = may(tx, principal, _applies(plan), environment, becomes=bundle)
        after = with_version(tx, environment, bundle, plan.parameters, now)
        draft = Draft(after, bundle, secrets, allowed, rollback_to, tuple(plan.request.get("run_again") or ()))
        if draft.rollback_to is not None:
            return after, enqueue.roll_back(tx, draft, new)
        return after, enqueue.update(tx, draft, self._sealer, new)

    def _create_again(
        self,
        tx: Transaction,
        principal: Principal,
        plan: Plan,
        secrets: dict[str, Any],
        now: datetime,
        verdicts: Verdicts,
    ) -> Draft:
        """The environment of the plan, with a lifetime that starts now."""
        try:
            tx.environments.check_free(plan.environment)
        except NameTaken as taken:
            raise _stale(plan, f"there is an environment named {plan.environment!r} now") from taken
        if tx.templates.find(plan.template, plan.bundle) is None:
            raise _stale(plan, f"the version of template {plan.template!r} that it was made for no longer exists")
        asked = CreateEnvironment(
            name=plan.environment,
            template=plan.template,
            digest=plan.bundle,
            parameters={**plan.parameters, **secrets},
            ttl=plan.request.get("ttl"),
            until=plan.request.get("until"),
            rules=tuple(plan.request.get("rules") or ()),
        )
        return new_environment(tx, principal, asked, plan.environment_id, now, verdicts)

    def _find(self, tx: Transaction, principal: Principal, plan_id: str) -> Plan:
        plan = tx.plans.get(plan_id)
        if plan is None or not _may_see(tx, principal, plan):
            raise UnknownPlan(f"There is no plan {plan_id!r}.")
        if plan.used_by is None and plan.expires_at <= self._clock():
            raise UnknownPlan(f"The plan {plan_id!r} was made more than {KEPT // timedelta(hours=1)} hours ago.")
        return plan


def _kept(request: MakePlan, draft: Draft) -> dict[str, Any]:
    """The fields of the request to store. Its parameters are stored separately because some are secret."""
    kept = request.model_dump(mode="json", exclude={"parameters"}, exclude_none=True)
    return {**kept, "rollback_to": draft.rollback_to} if draft.rollback_to else kept


def _check_fields(request: MakePlan) -> None:
    """Raises `InvalidInput` for fields that this kind of plan doesn't accept, and for missing ones."""
    if request.kind in SWITCHES:
        raise InvalidInput(f"There is no plan of a {request.kind.value}: it changes only what runs.")
    takes = {
        DeploymentKind.CREATE: {"template", "digest", "parameters", "ttl", "until", "rules"},
        DeploymentKind.UPDATE: {"digest", "parameters", "rollback_to", "run_again"},
    }.get(request.kind, set())
    given = {name for name in MakePlan.model_fields if name != "kind" and getattr(request, name) is not None}
    if extra := sorted(given - takes):
        raise InvalidInput(f"A plan to {request.kind.value} takes no {', '.join(extra)}.")
    if request.rollback_to is not None and len(given) > 1:
        raise InvalidInput("A plan to roll back takes its version and its parameters from the earlier deployment.")
    if request.kind is DeploymentKind.CREATE and not request.template:
        raise InvalidInput("A plan to create needs the name of a template.")


def _check_unmoved(tx: Transaction, plan: Plan, environment: Environment) -> None:
    """Raises `PlanStale` when the environment has changed since the plan was made."""
    newest = newest_of(tx.deployments, environment.id)
    if newest is not None and newest.id != plan.based_on:
        raise _stale(
            plan, f"{newest.requested_by} asked to {newest.kind.value} {environment.name} ({newest.id}) after it"
        )
    try:
        check_request(environment.name, environment.state, plan.kind)
    except CalvinverseError as error:
        raise _stale(plan, f"{environment.name} is {environment.state.value} now") from error


def _applies(plan: Plan) -> Action:
    """The action that applies the plan."""
    if plan.kind is DeploymentKind.UPDATE and plan.request.get("rollback_to") is not None:
        return Action.ENVIRONMENT_ROLL_BACK
    return _ACTIONS[plan.kind]


def _stale(plan: Plan, moved: str) -> PlanStale:
    return PlanStale(f"The plan {plan.id} no longer fits: {moved}.", details={"moved": [moved]})


def _may_see(tx: Transaction, principal: Principal, plan: Plan) -> bool:
    """A plan to create belongs to whoever made it, and admins and auditors see it; others go by the environment."""
    environment = tx.environments.get(plan.environment_id)
    if environment is None:
        reached = principal.scope is None or principal.scope.reaches(plan.environment_id, plan.template)
        return reached and (principal.owner == plan.requested_by or principal.sees_all)
    return sees(tx, principal, environment)
