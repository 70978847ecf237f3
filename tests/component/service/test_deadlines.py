"""The deadline of an environment follows the rules of its template's version, and an event tells of each move."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Environment, Event, EventType
from environments.domain.errors import InvalidTemplate
from environments.domain.lifecycle import State, StepState
from environments.domain.template import Bundle, make_bundle
from environments.domain.timing import Source
from environments.service.authorization import Principal
from tests.fakes.clock import MONDAY, SetClock
from tests.fakes.service import WEB, FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")


@pytest.fixture
def service(tmp_path: Path, clock: SetClock) -> Iterator[FakeService]:
    service = make_service(tmp_path, clock=clock)
    yield service
    service.database.close()


def ruled(*rules: str) -> Bundle:
    """The template `web`, with rules that destroy."""
    named = ", ".join(f'"{rule}"' for rule in rules)
    text = WEB.replace("[lifetime]", f"[lifetime]\ndestroy = [{named}]").replace('version = "3"', 'version = "4"')
    return make_bundle({"template.toml": text.encode()})


def shown(service: FakeService, name: str) -> Environment:
    return service.reading.environment(ADA, name).environment


def moves(service: FakeService, name: str) -> list[Event]:
    found = service.reading.events(ADA, name)
    return [event for event in found if event.type is EventType.ENVIRONMENT_DEADLINE]


def _ready(service: FakeService, name: str) -> None:
    service.move(name, State.DEPLOYING, State.VALIDATING)
    service.finish(name, State.READY)


def test_a_rule_of_the_template_ends_an_environment_before_its_lifetime(service: FakeService) -> None:
    service.catalogue.push(service.admin, ruled("0 12 * * 1-5 UTC"))
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web"))
    found = shown(service, "demo")
    assert found.deadline == MONDAY + timedelta(hours=3)
    assert found.deadline_because is not None
    assert found.deadline_because.source is Source.TEMPLATE
    assert found.deadline_because.place == "template web, version 4, lifetime.destroy[0]"


def test_an_update_brings_the_rules_of_its_version_and_an_event_tells(service: FakeService, clock: SetClock) -> None:
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web", ttl="12d"))
    _ready(service, "demo")
    service.catalogue.push(service.admin, ruled("0 10 * * *"))
    clock.now += timedelta(hours=2)
    service.requests.update(ADA, "demo", UpdateEnvironment())
    found = shown(service, "demo")
    assert found.deadline == MONDAY + timedelta(hours=25), "a moment before the update doesn't count"
    (told,) = moves(service, "demo")
    assert told.message == (
        "the deadline of demo moved from 2027-03-13 09:00:00 UTC to 2027-03-02 10:00:00 UTC: version 4 of its template"
    )
    assert told.data["because"]["source"] == "template"


def test_a_cancelled_update_takes_its_rules_back(service: FakeService, clock: SetClock) -> None:
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web", ttl="12d"))
    service.step("demo", "settings", StepState.DONE)
    _ready(service, "demo")
    service.catalogue.push(service.admin, ruled("0 10 * * *"))
    clock.now += timedelta(hours=2)
    service.requests.update(ADA, "demo", UpdateEnvironment())
    service.queueing.cancel(ADA, "demo")
    assert shown(service, "demo").deadline == MONDAY + timedelta(days=12)
    assert [event.message.rpartition(": ")[2] for event in moves(service, "demo")] == [
        "version 4 of its template",
        "ada cancelled its update",
    ]


def test_an_update_without_other_rules_moves_nothing(service: FakeService) -> None:
    service.requests.create(ADA, CreateEnvironment(name="demo", template="web", ttl="12d"))
    _ready(service, "demo")
    service.requests.update(ADA, "demo", UpdateEnvironment(parameters={"replicas": 2}))
    assert moves(service, "demo") == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("0 19 * *", "is not a calendar rule"),
        ("0 19 * * * Europe/Amsterdm", "there is no time zone 'Europe/Amsterdm'"),
        ("0 0 31 2 *", "no cron expression that ever fires"),
    ],
)
def test_a_template_with_a_wrong_rule_is_refused(service: FakeService, rule: str, told: str) -> None:
    with pytest.raises(InvalidTemplate) as caught:
        service.catalogue.push(service.admin, ruled(rule))
    assert told in str(caught.value.details["problems"])
    assert "lifetime.destroy" in str(caught.value.details["problems"])
