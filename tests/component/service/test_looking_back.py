"""Why an environment was destroyed: the deadline's reason, and none for another try after a person's destroy failed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Failure
from environments.domain.lifecycle import State
from environments.domain.timing import PastAction, Source
from environments.service.authorization import Principal
from environments.service.expiry import Expiry
from environments.service.looking_back import Past
from tests.fakes.clock import SetClock
from tests.fakes.service import FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime.now(UTC))


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web"))
    service.move("demo", State.DEPLOYING, State.VALIDATING)
    service.finish("demo", State.READY)
    yield service
    service.database.close()


def expiry_of(service: FakeService, clock: SetClock) -> Expiry:
    return Expiry(service.database, clock, lambda kind: f"{kind}-{'c' * 12}")


def newest(service: FakeService) -> Past:
    return service.reading.explain(ADA, "demo", 1, past=1).past[0]


def test_the_end_of_a_lifetime_is_told_as_its_template_says(service: FakeService, clock: SetClock) -> None:
    clock.now += timedelta(days=30)
    assert expiry_of(service, clock).destroy_due() == ["demo"]
    found = newest(service)
    assert (found.action, found.by) == (PastAction.DESTROY, "clock")
    assert found.because is not None
    assert found.because.source is Source.LIFETIME


def test_another_try_of_a_persons_destroy_is_not_because_of_the_deadline(service: FakeService, clock: SetClock) -> None:
    service.requests.destroy(ADA, "demo", "not needed")
    service.finish("demo", State.DESTROY_FAILED, Failure(code="step_failed", message="it is stuck", hint=""))
    clock.now += timedelta(days=30)
    with service.database.write() as tx:
        environment = tx.environments.named("demo")
        assert environment is not None
        tx.environments.change(environment.id, destroy_again_at=clock.now)
    assert expiry_of(service, clock).destroy_due() == ["demo"]
    found = newest(service)
    assert (found.by, found.reason, found.because) == ("clock", "tried again", None)
    told = service.reading.explain(ADA, "demo", 1, past=10).past
    assert [(one.by, one.reason) for one in told if one.action is PastAction.DESTROY][1] == ("ada", "not needed")
