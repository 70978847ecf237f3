"""Triggers that fire: the rights of their owner on the webhook count at that moment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.lifecycle import State
from environments.domain.received_event import Source
from environments.domain.trigger import FiringState
from tests.support.engine_harness import DATABASES
from tests.support.trigger_harness import TEMPLATE, TriggerHarness, open_triggers

GONE: dict[str, Any] = {"on": "git.pull_request", "kinds": ["closed"], "action": "destroy", "repository": "acme/shop"}
IN_TEMPLATE = """
[[triggers]]
name = "closed"
on = "git.branch"
kinds = ["deleted"]
webhook = "forge"
repository = "acme/shop"
action = "destroy"
"""


@pytest.fixture(params=DATABASES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TriggerHarness]:
    harness = open_triggers(request, tmp_path)
    harness.push(TEMPLATE)
    yield harness
    harness.database.close()


def allow(service: TriggerHarness, *users: str, repositories: tuple[str, ...] = ()) -> None:
    with service.database.write() as tx:
        tx.webhooks.set_users("forge", users)
        tx.webhooks.change("forge", repositories=repositories)


def told(service: TriggerHarness, event: str) -> tuple[FiringState, str]:
    (firing,) = service.firings(event)
    return firing.state, firing.reason


def test_a_firing_is_refused_when_its_owner_may_not_use_the_webhook_any_more(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **GONE)
    allow(service, "grace")
    (event,) = service.receive(service.event(Source.PULL_REQUEST, "closed"))
    service.process()
    assert told(service, event) == (
        FiringState.REFUSED,
        "ada may not use the webhook 'forge', and an admin says who may.",
    )
    allow(service, "ada", repositories=("acme/other",))
    (event,) = service.receive(service.event(Source.PULL_REQUEST, "closed"))
    service.process()
    state, reason = told(service, event)
    assert state is FiringState.REFUSED
    assert "isn't for acme/shop" in reason
    assert service.state("one") is State.READY
    allow(service, "ada", repositories=("acme/*",))
    (event,) = service.receive(service.event(Source.PULL_REQUEST, "closed"))
    service.process()
    assert told(service, event)[0] is FiringState.DONE
    assert service.state("one") is State.DESTROYING


def test_a_refused_firing_tells_nothing_of_the_event(service: TriggerHarness) -> None:
    named = {"template": "things", "environment": "pr-{{ event.number }}", "repository": "acme/shop"}
    service.trigger(on="git.pull_request", kinds=["opened"], action="create", **named)
    allow(service)
    (event,) = service.receive(service.event(Source.PULL_REQUEST, "opened", fields={"number": 1}))
    service.process()
    (firing,) = service.firings(event)
    assert (firing.state, firing.environment) == (FiringState.REFUSED, "")


def test_what_waits_when_its_webhook_is_deleted_is_refused(service: TriggerHarness) -> None:
    service.make("one")
    service.trigger(on_environment="one", **GONE)
    (event,) = service.receive(service.event(Source.PULL_REQUEST, "closed"))
    with service.database.write() as tx:
        tx.webhooks.remove("forge")
    service.process()
    assert told(service, event) == (FiringState.REFUSED, "There is no webhook 'forge' any more.")


def test_a_trigger_of_a_template_uses_what_the_owner_of_the_environment_may(service: TriggerHarness) -> None:
    service.push(TEMPLATE.replace("[[steps]]", f"{IN_TEMPLATE}\n[[steps]]", 1))
    service.make("hers", "grace")
    allow(service, "ada")
    deleted = {"branch": "fix", "deleted": True}
    (event,) = service.receive(service.event(Source.BRANCH, "deleted", "acme/shop@fix", fields=deleted))
    service.process()
    state, reason = told(service, event)
    assert state is FiringState.REFUSED
    assert reason.startswith("grace may not use the webhook 'forge'")
    assert service.state("hers") is State.READY


def test_triggers_of_other_sources_need_no_webhook(service: TriggerHarness) -> None:
    allow(service)
    environment = service.make("one")
    service.trigger(on_environment="one", on="nomad.job", kinds=["complete"], action="destroy", webhook="")
    (event,) = service.receive(
        service.event(Source.JOB, "complete", origin="nomad", environment_id=environment.id, fields={})
    )
    service.process()
    assert told(service, event)[0] is FiringState.DONE
