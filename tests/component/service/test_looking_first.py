"""What a request to create would come to: everything that is wrong with it is named, and nothing is written."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import CalvinverseError, UnknownTemplate
from tests.fakes.service import FakeService
from tests.support.in_process.service import start_service

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MAIN = {"branch": "main"}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with ExitStack() as ending:
        yield start_service(lambda: NOW, ending)


def codes(found: tuple[CalvinverseError, ...]) -> list[str]:
    return [one.code for one in found]


def test_a_request_that_would_be_taken_has_a_deadline(service: FakeService) -> None:
    found = service.requests.check(
        service.admin, CreateEnvironment(name="demo", template="web", parameters=MAIN, ttl="2h")
    )
    assert found.problems == ()
    assert found.deadline == NOW + timedelta(hours=2)
    assert service.reading.listing(service.admin, ended=True)[0] == []


def test_faults_of_a_name_a_lifetime_and_parameters_are_named_side_by_side(service: FakeService) -> None:
    service.requests.create(service.admin, CreateEnvironment(name="demo", template="web", parameters=MAIN))
    asked = CreateEnvironment(name="demo", template="web", parameters=MAIN, ttl="900d")
    assert codes(service.requests.check(service.admin, asked).problems) == ["invalid_lifetime", "name_taken"]
    asked = CreateEnvironment(name="--", template="web", ttl="900d", parameters={"nothing": 1})
    assert codes(service.requests.check(service.admin, asked).problems) == ["invalid_name", "invalid_parameters"]


def test_a_template_that_is_not_there_is_an_error(service: FakeService) -> None:
    with pytest.raises(UnknownTemplate):
        service.requests.check(service.admin, CreateEnvironment(name="demo", template="nothing"))
