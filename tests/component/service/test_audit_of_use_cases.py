"""What use cases and the clock tell the audit log."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.lifecycle import State
from environments.domain.timing import Holiday, Scope, TimedAction
from environments.service.storage.audit import AuditEntry, AuditFilter
from tests.fakes.service import FakeService, make_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    made = make_service(tmp_path)
    yield made
    made.database.close()


def told(service: FakeService, action: str) -> list[AuditEntry]:
    """Entries of an action, oldest first."""
    with service.database.read() as tx:
        return [one.entry for one in tx.audit.list(AuditFilter(action=action))][::-1]


def about(entry: AuditEntry) -> tuple[Any, ...]:
    return entry.object_kind, entry.object_name, entry.before, entry.after


def test_policies(service: FakeService) -> None:
    rule = [(TimedAction.STOP, "0 19 * * * UTC")]
    service.policies.set(service.admin, Scope.OWNER, "ada", rule, "7d")
    service.policies.set(service.admin, Scope.OWNER, "ada", rule, "5d", dry_run=True)
    service.policies.remove(service.admin, Scope.OWNER, "ada")
    made, removed = told(service, "policy:set")
    assert (made.object_kind, made.object_name, made.before) == ("policy", "owner ada", None)
    assert made.after is not None
    assert "0 19 * * * UTC" in str(made.after["rules"])
    assert (removed.after, removed.before is not None) == (None, True)


def test_holiday_calendars(service: FakeService) -> None:
    first, second = (Holiday(day=date(2027, 1, day), title=f"day {day}") for day in (1, 2))
    service.calendars.set(service.admin, "nl", [first])
    service.calendars.set(service.admin, "nl", [first, second])
    service.calendars.remove(service.admin, "nl")
    assert [about(entry) for entry in told(service, "calendar:set")] == [
        ("calendar", "nl", None, {"days": {"2027-01-01": "day 1"}}),
        ("calendar", "nl", None, {"days": {"2027-01-02": "day 2"}}),
        ("calendar", "nl", {"days": {"2027-01-01": "day 1", "2027-01-02": "day 2"}}, None),
    ]


def test_templates(service: FakeService) -> None:
    digest = service.catalogue.template("web").digest
    service.catalogue.delete(service.admin, "web")
    (pushed,) = told(service, "template:push")
    assert pushed.after is not None
    assert (pushed.object_name, pushed.template, pushed.after["digest"]) == ("web", "web", digest)
    (deleted,) = told(service, "template:delete")
    assert about(deleted) == ("template", "web", {"digests": [digest]}, None)


def test_images(service: FakeService) -> None:
    reference = f"registry.example.net/web@sha256:{'0' * 64}"
    service.images.publish(service.admin, "web", reference, "stable", key="", build="")
    service.images.withdraw(service.admin, "web")
    (published,) = told(service, "image:publish")
    assert published.after is not None
    assert (published.object_name, published.after["reference"]) == ("web", reference)
    assert about(told(service, "image:withdraw")[0]) == ("image", "web", {"reference": reference}, None)


def test_the_clock_says_by_which_rule_it_destroys(service: FakeService) -> None:
    accepted = service.requests.create(service.admin, CreateEnvironment(name="demo", template="web", ttl="1h"))
    service.finish("demo", State.READY)
    assert accepted.environment.deadline is not None
    with service.database.write() as tx:
        past = accepted.environment.created_at - timedelta(minutes=1)
        tx.environments.change(accepted.environment.id, deadline=past, warned=True, warned_at=past, warn_at=None)
    service.expiry.destroy_due((), timedelta())
    found = [*told(service, "environment:destroy"), *told(service, "hold:open")]
    assert found
    assert {(entry.actor, entry.actor_kind, entry.role) for entry in found} == {("clock", "clock", "admin")}
    assert all(entry.rule for entry in found)
