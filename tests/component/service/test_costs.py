"""What an environment has cost is shown with it, by the price of its template."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from environments.api import presenting
from environments.cli.environment_tables import details
from environments.domain.commands import CreateEnvironment
from environments.domain.template import make_bundle
from environments.service.authorization import Principal
from environments.stores.schema import deployments
from environments.wire.environments import EnvironmentView
from tests.fakes.clock import SetClock
from tests.fakes.service import WEB, FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")
PRICED = WEB.replace('name = "web"', 'name = "priced"\nprice = 4.0', 1)


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    service.catalogue.push(service.admin, make_bundle({"template.toml": PRICED.encode()}))
    yield service
    service.database.close()


def make(service: FakeService, name: str, template: str) -> None:
    done = service.requests.create(ADA, CreateEnvironment(name=name, template=template))
    with service.database.write() as tx:
        begun = deployments.update().where(deployments.c.id == done.deployment_id)
        tx._connection.execute(begun.values(started_at=service.clock()))


def view(service: FakeService, name: str) -> EnvironmentView:
    return presenting.environment_details(service.reading.environment(ADA, name))


def line(service: FakeService, name: str) -> str:
    (found,) = [text for text in details(view(service, name), UTC, service.clock()) if text.startswith("cost ")]
    return found.removeprefix("cost").strip()


def test_an_environment_costs_the_price_of_its_hours(service: FakeService, clock: SetClock) -> None:
    make(service, "dear", "priced")
    assert view(service, "dear").cost == 0
    clock.now += timedelta(minutes=90)
    assert view(service, "dear").cost == 6
    assert line(service, "dear") == "6.00"


def test_one_whose_template_has_no_price_costs_nothing_that_is_known(service: FakeService, clock: SetClock) -> None:
    make(service, "free", "web")
    clock.now += timedelta(hours=1)
    assert view(service, "free").cost is None
    assert line(service, "free") == "none: its template has no price"
