"""One place says who may do what, and nothing gets into the queue past it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.template import make_bundle
from environments.service import enqueue
from environments.service.authorization import Action, Principal, may
from environments.service.enqueue import DeploymentRequest
from environments.service.roles import APPLIES, QUEUES
from tests.fakes.service import WEB, FakeService, make_service
from tests.fakes.sharing import transaction

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE, BOB = Principal("alice", "user", "tok-a"), Principal("bob", "user", "tok-b")
ADMIN = Principal("root", "admin", "tok-r")
TX = transaction()
MOUNTS = make_bundle({"template.toml": WEB.replace("[lifetime]", 'host_volumes = ["builds"]\n[lifetime]').encode()})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    service = make_service(tmp_path)
    yield service
    service.database.close()


def test_nothing_queues_a_deployment_that_was_not_allowed(service: FakeService) -> None:
    service.requests.create(ALICE, CreateEnvironment(name="hers", template="web"))
    service.finish("hers", State.READY)
    ((found,), _) = service.reading.listing(ADMIN)
    with service.database.read() as tx:
        (record,) = tx.environments.all()
    asked = DeploymentRequest("dep-x", "alice", "", NOW)
    other = record.model_copy(update={"id": "env-other"})
    for kind in DeploymentKind:
        wrong = [
            *(
                may(TX, ALICE, action, record)
                for action, kinds in QUEUES.items()
                if action not in APPLIES and kind not in kinds
            ),
            may(TX, ALICE, Action.ENVIRONMENT_READ, record),
            may(TX, ALICE, Action.ENVIRONMENT_DESTROY, other),
            may(TX, ADMIN, Action.ENVIRONMENT_UPDATE, record, becomes=MOUNTS),
        ]
        for allowed in wrong:
            with service.database.write() as tx, pytest.raises(TypeError):
                enqueue.add(tx, record, kind, asked, allowed)
    with service.database.read() as tx:
        assert len(tx.deployments.of(found.id)) == 1
