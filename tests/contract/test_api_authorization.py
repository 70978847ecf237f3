"""What a user may not do, by whatever route: over a socket, against the real use cases and database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.client import Client
from environments.domain.errors import Forbidden, UnknownEnvironment, UnknownPlan
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.template import make_bundle
from environments.wire.deployments import CancelRequest
from environments.wire.environments import AbandonRequest, CreateRequest, ExtendRequest, RollbackRequest, UpdateRequest
from environments.wire.plans import PlanRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import WEB, Served, served

_HOST = WEB.replace('version = "3"', 'version = "4"\nhost_volumes = ["docker-socket"]')


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def admin(api: Served) -> Iterator[Client]:
    with api.client() as made:
        yield made


@pytest.fixture
def alice(api: Served, admin: Client) -> Iterator[Client]:
    with api.client(admin.create_token(TokenRequest(owner="alice")).secret) as made:
        yield made


def test_only_an_admin_takes_an_environment_to_a_version_with_host_volumes(
    api: Served, admin: Client, alice: Client
) -> None:
    finish = api.service.finish
    plain = alice.create(CreateRequest(name="hers", template="web")).environment.bundle
    finish("hers", State.READY)
    mounts = admin.push(make_bundle({"template.toml": _HOST.encode()})).digest

    with pytest.raises(Forbidden, match="docker-socket"):
        alice.create(CreateRequest(name="new", template="web"))
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.plan("new", PlanRequest(kind=DeploymentKind.CREATE, template="web"))
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.update("hers", UpdateRequest())
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.plan("hers", PlanRequest(kind=DeploymentKind.UPDATE))
    plan = admin.plan("hers", PlanRequest(kind=DeploymentKind.UPDATE))
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.apply_plan(plan.id)

    # An admin takes it there and back: that leaves a deployment to roll back to.
    there = admin.apply_plan(plan.id).deployment_id
    finish("hers", State.READY)
    admin.update("hers", UpdateRequest(digest=plain))
    finish("hers", State.READY)
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.rollback("hers", RollbackRequest(deployment=there))
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.plan("hers", PlanRequest(kind=DeploymentKind.UPDATE, rollback_to=there))
    back = admin.plan("hers", PlanRequest(kind=DeploymentKind.UPDATE, rollback_to=there))
    with pytest.raises(Forbidden, match="docker-socket"):
        alice.apply_plan(back.id)
    assert admin.environment("hers").bundle == plain
    assert admin.rollback("hers", RollbackRequest(deployment=there)).environment.bundle == mounts


def test_what_is_somebody_elses_is_not_there(api: Served, admin: Client, alice: Client) -> None:
    admin.create(CreateRequest(name="theirs", template="web"))
    plan = admin.plan("new", PlanRequest(kind=DeploymentKind.CREATE, template="web"))
    for ask in (
        lambda: alice.environment("theirs"),
        lambda: alice.outputs("theirs", reveal=True),
        lambda: alice.update("theirs", UpdateRequest()),
        lambda: alice.plan("theirs", PlanRequest(kind=DeploymentKind.DESTROY)),
        lambda: alice.retry("theirs"),
        lambda: alice.repair("theirs"),
        lambda: alice.promote("theirs"),
        lambda: alice.stop("theirs"),
        lambda: alice.start("theirs"),
        lambda: alice.rollback("theirs", RollbackRequest()),
        lambda: alice.destroy("theirs"),
        lambda: alice.cancel("theirs", CancelRequest()),
        lambda: alice.extend("theirs", ExtendRequest(by="1h")),
        lambda: alice.abandon("theirs", AbandonRequest(reason="mine")),
        lambda: alice.observe("theirs"),
    ):
        with pytest.raises(UnknownEnvironment, match="'theirs'"):
            ask()
    with pytest.raises(UnknownPlan):
        alice.apply_plan(plan.id)
