"""Plans, repair, rollback, giving up and drift through the typed client: real use cases, database and socket."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.client import Client
from environments.domain.environment import Failure, Resource
from environments.domain.errors import (
    BackendUnavailable,
    IdempotencyMismatch,
    InvalidInput,
    InvalidParameters,
    NameTaken,
    NotAllowedNow,
    NotFound,
    PlanStale,
    TooManyRequests,
    UnknownEnvironment,
    UnknownPlan,
    UnknownTemplate,
)
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State, StepState
from environments.domain.plan import Action, Change, StepPlan
from environments.service import allowances
from environments.wire.deployments import CancelRequest
from environments.wire.environments import AbandonRequest, CreateRequest, RollbackRequest, UpdateRequest
from environments.wire.plans import PlanRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import Served, served

STEPS = (
    StepPlan(
        step="settings",
        uses="fake",
        changes=(Change(kind="fake", address="demo/settings", action=Action.CHANGE, details=("message: Hello → Hi",)),),
    ),
    StepPlan(step="app", uses="fake", deferred="settings has to be done first"),
)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.service.world.steps = STEPS
        yield running


@pytest.fixture
def client(api: Served) -> Iterator[Client]:
    with api.client() as made:
        yield made


def ready(api: Served, client: Client, name: str = "demo", **request: Any) -> str:
    """A ready environment; its last good deployment."""
    accepted = client.create(CreateRequest(name=name, template="web", **request))
    api.service.step(name, "settings", StepState.DONE)
    api.service.finish(name, State.READY)
    assert accepted.deployment_id is not None
    with api.service.database.write() as tx:
        tx.environments.change(accepted.environment.id, last_good=accepted.deployment_id)
    return accepted.deployment_id


def test_a_plan_to_create_is_kept_and_makes_that_environment(client: Client) -> None:
    request = PlanRequest(kind=DeploymentKind.CREATE, template="web", parameters={"replicas": 2}, ttl="2h")
    plan = client.plan("fresh", request)
    assert (plan.environment, plan.template, plan.parameters["replicas"]) == ("fresh", "web", 2)
    assert plan.steps == STEPS
    assert client.saved_plan(plan.id) == plan
    with pytest.raises(UnknownEnvironment):
        client.environment("fresh")
    accepted = client.apply_plan(plan.id)
    assert accepted.environment.parameters["replicas"] == 2
    assert client.saved_plan(plan.id).used_by == accepted.deployment_id
    assert client.deployments("fresh")[0].plan_id == plan.id


def test_an_update_is_applied_as_it_was_planned(api: Served, client: Client) -> None:
    ready(api, client)
    plan = client.plan("demo", PlanRequest(kind=DeploymentKind.UPDATE, parameters={"message": "Hi"}))
    assert client.environment("demo").parameters["message"] == "Hello"
    accepted = client.apply_plan(plan.id)
    assert accepted.environment.parameters["message"] == "Hi"
    newest = client.environment("demo").deployment
    assert newest is not None
    assert (newest.kind, newest.plan_id) == (DeploymentKind.UPDATE, plan.id)


def test_a_plan_is_applied_once_however_often_it_is_sent(api: Served, client: Client) -> None:
    ready(api, client)
    plan = client.plan("demo", PlanRequest(kind=DeploymentKind.REPAIR))
    first = client.apply_plan(plan.id, idempotency_key="one")
    again = client.apply_plan(plan.id, idempotency_key="one")
    assert again.deployment_id == first.deployment_id
    with pytest.raises(PlanStale, match="applied it already"):
        client.apply_plan(plan.id)
    with pytest.raises(IdempotencyMismatch):
        client.create(CreateRequest(name="other", template="web"), idempotency_key="one")


def test_a_plan_that_no_longer_fits_says_what_moved(api: Served, client: Client) -> None:
    ready(api, client)
    plan = client.plan("demo", PlanRequest(kind=DeploymentKind.REPAIR))
    other = client.update("demo", UpdateRequest(parameters={"replicas": 3}))
    with pytest.raises(PlanStale) as told:
        client.apply_plan(plan.id)
    assert str(other.deployment_id) in told.value.details["moved"][0]
    assert told.value.hint


def test_plans_that_make_no_sense(api: Served, client: Client) -> None:
    ready(api, client)
    update, create = DeploymentKind.UPDATE, DeploymentKind.CREATE
    cases: list[tuple[str, PlanRequest, type[Exception]]] = [
        ("nobody", PlanRequest(kind=update), UnknownEnvironment),
        ("demo", PlanRequest(kind=create, template="web"), NameTaken),
        ("new", PlanRequest(kind=create, template="nope"), UnknownTemplate),
        ("new", PlanRequest(kind=create), InvalidInput),
        ("demo", PlanRequest(kind=update, parameters={"replicas": 99}), InvalidParameters),
        ("demo", PlanRequest(kind=DeploymentKind.REPAIR, ttl="2h"), InvalidInput),
        ("demo", PlanRequest(kind=update, rollback_to="dep-nope"), NotFound),
    ]
    for name, request, error in cases:
        with pytest.raises(error):
            client.plan(name, request)
    with pytest.raises(UnknownPlan):
        client.saved_plan("plan-nope")
    with pytest.raises(UnknownPlan):
        client.apply_plan("plan-nope")
    api.service.world.fault = BackendUnavailable("Nomad has no leader.")
    with pytest.raises(BackendUnavailable, match="no leader"):
        client.plan("demo", PlanRequest(kind=update))


def test_plans_are_for_those_who_see_the_environment(api: Served, client: Client) -> None:
    ready(api, client)
    plan = client.plan("demo", PlanRequest(kind=DeploymentKind.DESTROY))
    secret = client.create_token(TokenRequest(owner="grace")).secret
    with api.client(secret) as grace:
        with pytest.raises(UnknownPlan):
            grace.saved_plan(plan.id)
        with pytest.raises(UnknownPlan):
            grace.apply_plan(plan.id)
        for ask in (
            lambda: grace.plan("demo", PlanRequest(kind=DeploymentKind.REPAIR)),
            lambda: grace.repair("demo"),
            lambda: grace.promote("demo"),
            lambda: grace.rollback("demo", RollbackRequest()),
            lambda: grace.abandon("demo", AbandonRequest(reason="mine now")),
            lambda: grace.drift("demo"),
            lambda: grace.observe("demo"),
        ):
            with pytest.raises(UnknownEnvironment):
                ask()
    assert client.environment("demo").state is State.READY


def test_an_owner_has_only_so_many_plans_to_apply(api: Served, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "MOST_PLANS", 3)
    ready(api, client)
    request = PlanRequest(kind=DeploymentKind.UPDATE)
    plans = [client.plan("demo", request) for _ in range(3)]
    with pytest.raises(TooManyRequests, match="3 saved plans") as refusal:
        client.plan("demo", request)
    assert f"{plans[0].expires_at:%Y-%m-%d %H:%M}" in refusal.value.hint
    assert 3600 < refusal.value.details["retry_after"] <= 24 * 3600 + 1
    secret = client.create_token(TokenRequest(owner="grace")).secret
    with api.client(secret) as grace:
        asked = PlanRequest(kind=DeploymentKind.CREATE, template="web")
        assert grace.plan("of-grace", asked).environment == "of-grace"  # nobody else is kept waiting
    client.apply_plan(plans[1].id)
    api.service.finish("demo", State.READY)
    client.plan("demo", request)
    with pytest.raises(TooManyRequests):
        client.plan("demo", request)
    with api.service.database.write() as tx:
        tomorrow = datetime.now(UTC) + timedelta(hours=25)
        assert tx.plans.living(plans[0].requested_by, tomorrow) == []
        tx.plans.forget(tomorrow)
    client.plan("demo", request)


def test_a_plan_that_destroys_destroys(api: Served, client: Client) -> None:
    ready(api, client)
    plan = client.plan("demo", PlanRequest(kind=DeploymentKind.DESTROY))
    assert client.apply_plan(plan.id).environment.state is State.DESTROYING


def test_a_promotion_is_a_deployment_of_an_environment_that_awaits_it(api: Served, client: Client) -> None:
    ready(api, client)
    view = client.environment("demo")
    assert view.awaiting_promotion == ()
    with pytest.raises(NotAllowedNow, match="Nothing of environment 'demo' awaits promotion"):
        client.promote("demo")
    with api.service.database.write() as tx:
        tx.environments.change(view.id, awaiting_promotion=("app",))
    assert client.environment("demo").awaiting_promotion == ("app",)
    promoted = client.promote("demo")
    deployment = client.deployment(str(promoted.deployment_id))
    assert (deployment.kind, deployment.reason) == (DeploymentKind.PROMOTE, "promotion of app")


def test_repair_and_rollback_are_deployments(api: Served, client: Client) -> None:
    good = ready(api, client)
    repaired = client.repair("demo")
    assert client.deployment(str(repaired.deployment_id)).kind is DeploymentKind.REPAIR
    with pytest.raises(NotAllowedNow):
        client.repair("demo")
    api.service.finish("demo", State.READY)
    client.update("demo", UpdateRequest(parameters={"message": "Broken"}))
    api.service.finish("demo", State.FAILED, Failure(code="step_failed", message="It broke."))
    assert client.environment("demo").parameters["message"] == "Broken"
    back = client.rollback("demo", RollbackRequest())
    assert back.environment.parameters["message"] == "Hello"
    assert good in client.deployment(str(back.deployment_id)).reason
    api.service.finish("demo", State.READY)
    with pytest.raises(NotFound):
        client.rollback("demo", RollbackRequest(deployment="dep-nope"))


def test_abandon_needs_a_failed_destroy_and_a_reason(api: Served, client: Client) -> None:
    ready(api, client)
    with pytest.raises(NotAllowedNow):
        client.abandon("demo", AbandonRequest(reason="no more"))
    environment = client.environment("demo")
    with api.service.database.write() as tx:
        now = datetime.now(UTC)
        tx.environments.set_state(environment.id, State.DESTROY_FAILED, now)
        app = {"kind": "fake", "address": "demo/app", "step": "app", "status": ResourceStatus.STUCK}
        tx.inventory.intend([Resource(environment_id=environment.id, created_at=now, updated_at=now, **app)], {})
    view = client.abandon("demo", AbandonRequest(reason="the cluster was scrapped"))
    assert view.state is State.ABANDONED
    (left,) = client.resources(environment.id)
    assert left.status is ResourceStatus.ABANDONED
    assert "the cluster was scrapped" in left.detail
    with pytest.raises(NameTaken, match="was abandoned"):
        client.create(CreateRequest(name="demo", template="web"))
    client.abandon("demo", AbandonRequest(reason="it was removed by hand"))  # again: it is looked for at once
    with api.service.database.write() as tx:
        assert [found.id for found in tx.environments.to_observe(datetime.now(UTC), State.ABANDONED, 1)] == [view.id]
        tx.environments.change(environment.id, observe_at=None)  # what a look does that finds nothing
    client.create(CreateRequest(name="demo", template="web"))


def test_drift_is_what_the_last_observation_found(api: Served, client: Client) -> None:
    ready(api, client)
    assert client.drift("demo").drift is None
    found = client.observe("demo").drift
    assert found is not None
    assert found.steps == STEPS
    assert client.drift("demo").drift == found
    assert client.environment("demo").drifted
    api.service.world.steps = ()
    client.observe("demo")
    assert not client.environments()[0].drifted
    client.repair("demo")
    api.service.move("demo", State.UPDATING)
    with pytest.raises(NotAllowedNow):
        client.observe("demo")


def test_what_waits_is_explained_and_cancelled(api: Served, client: Client) -> None:
    ready(api, client)
    accepted = client.update("demo", UpdateRequest(parameters={"message": "Never"}))
    pending = client.why(str(accepted.deployment_id))
    assert (pending.state, pending.position) == (DeploymentState.QUEUED, 1)
    assert pending.reasons
    cancelled = client.cancel("demo", CancelRequest())
    assert cancelled.state is DeploymentState.CANCELLED
    view = client.environment("demo")
    assert (view.state, view.parameters["message"]) == (State.READY, "Hello")
    assert client.workers() == []
