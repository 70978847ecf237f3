"""The command line over the real API, the real use cases and the real engine; the cluster is a twin in memory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from environments.cli.failures import DEPLOYMENT_FAILED
from environments.cli.program import run
from environments.domain.errors import BackendDenied
from environments.domain.template import make_bundle
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.engine.worker import Worker
from environments.providers.consul.ports import Put
from environments.providers.http.check import Answer
from environments.service.catalogue import Catalogue
from environments.service.checking import DirectChecks
from environments.service.drift import Drifting
from environments.service.planning import Planning
from tests.fakes.service import FakeService, listening, make_service
from tests.support.step_harness import StepHarness

JOB = """
variable "environment" {}
variable "replicas" {}
job "web" {
  group "group" {
    network {
      mode = "bridge"
    }
    count = var.replicas
    service {
      name = "${var.environment}--web"
    }
    task "task" {
      driver = "docker"
      config {
        image = "web"
      }
    }
  }
}
"""

TEMPLATE = """
[template]
name = "web"
[lifetime]
default = "8h"
[parameters.replicas]
type = "integer"
default = 1
[parameters.message]
type = "string"
default = "Hello"
[[steps]]
name = "settings"
uses = "consul.kv"
with = { keys = { message = "{{ parameters.message }}" } }
[[steps]]
name = "app"
uses = "nomad.job"
needs = ["settings"]
with = { file = "web.nomad.hcl", variables = { replicas = "{{ parameters.replicas }}" } }
[[steps]]
name = "answers"
uses = "check.http"
needs = ["app"]
with = { service = "web", path = "/health", timeout = "1s" }
"""


@dataclass
class CommandLineHarness:
    """The twin, and commands over the service that works on it."""

    world: StepHarness
    service: FakeService
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Standard output and standard error of a command that ends with `status`."""
        self.capture.readouterr()
        ended = run(arguments)
        out, err = self.capture.readouterr()
        assert ended == status, err
        return out, err

    def plan(self, *arguments: str) -> str:
        """The id of the plan that a command makes."""
        return str(json.loads(self(*arguments, "--plan", "-o", "json")[0])["id"])


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLineHarness]:
    world = StepHarness()
    service = make_service(tmp_path / "service")
    put_on(service, world)
    worker = Worker(
        "worker-1", service.database, world.registry, service.world, service.feed, lambda: datetime.now(UTC)
    )
    try:
        with listening(service) as address:
            token = tmp_path / "token"
            token.write_text(service.tokens.first_token("ada", "test"))
            monkeypatch.setenv("CALVINVERSE_STATE", str(tmp_path))
            monkeypatch.setenv("CALVINVERSE_ADDRESS", address)
            monkeypatch.setenv("CALVINVERSE_TOKEN_FILE", str(token))
            worker.start()
            yield CommandLineHarness(world, service, capsys)
    finally:
        worker.stop()
        service.database.close()


def put_on(service: FakeService, world: StepHarness) -> None:
    """Gives a service the engine's own eyes, on the twin."""

    def now() -> datetime:
        return datetime.now(UTC)

    numbers = iter(range(1, 1000))
    new_id: Callable[[str], str] = lambda kind: f"{kind}-n{next(numbers)}"  # noqa: E731 - one line of test setting
    planner = BackendPlanner(service.database, world.registry)
    checks = DirectChecks(world.registry.executors)
    service.planning = Planning(service.database, planner, service.world, now, new_id, checks)
    service.drifting = Drifting(service.database, BackendObserver(service.database, world.registry, planner, now), now)
    service.catalogue = Catalogue(service.database, checks, now)
    push(service, TEMPLATE)


def push(service: FakeService, template: str) -> None:
    """A new version of the template."""
    files = {"template.toml": template.encode(), "web.nomad.hcl": JOB.encode()}
    service.catalogue.push(service.admin, make_bundle(files))


def change_by_hand(cli: CommandLineHarness) -> None:
    """What somebody does beside the service."""
    cli.world.consul.commit([Put("environments/demo/message", b"Hacked", 0)])
    cli.world.nomad.scale("demo", "web", 5)


def answers(status: int) -> Callable[..., Answer]:
    """A web in which everything answers with this status."""

    def get(url: str, *, ca: str | None, limit: float) -> Answer:
        return Answer(status, "")

    return get


def message(cli: CommandLineHarness) -> Any:
    """What stands in Consul."""
    return cli.world.consul.tree("environments/demo/")["environments/demo/message"].value


def test_what_is_planned_is_what_is_done(cli: CommandLineHarness) -> None:
    shown = cli("env", "create", "demo", "-t", "web", "--plan")[0]
    assert "+ create   nomad.job  demo/web" in shown
    assert cli.world.nomad.namespace("demo") is None
    cli("env", "create", "demo", "-t", "web")
    assert cli("env", "repair", "demo", "--plan")[0].endswith("\nNothing to do.\n")
    shown = cli("env", "update", "demo", "-p", "message=Hi", "--plan")[0]
    assert "~ change   consul.kv  environments/demo/message\n      value: Hello → Hi\n" in shown
    assert "unchanged: app\nwill be checked: answers\n" in shown
    plan = cli.plan("env", "update", "demo", "-p", "message=Hi")
    cli("plan", "apply", plan)
    assert message(cli) == b"Hi"
    job = cli.world.nomad.job("demo", "web")
    assert job is not None
    assert job["Version"] == 0, "the job was not to be touched"
    _, err = cli("plan", "apply", plan, status=4)
    assert "has applied it already" in err
    assert plan in cli("env", "history", "demo")[0]


def test_drift_is_found_and_repaired_through_a_plan(cli: CommandLineHarness) -> None:
    cli("env", "create", "demo", "-t", "web")
    stale = cli.plan("env", "update", "demo", "-p", "replicas=2")
    change_by_hand(cli)
    out, err = cli("env", "drift", "demo", "--observe")
    assert "value: Hacked → Hello" in out
    assert "count: 5 → 1" in out
    assert "demo has drifted: 2 to change. Next: `calvinverse env repair demo --plan`." in err
    assert "● ready, ≠ drifted" in cli("env", "list")[0]
    cli("plan", "apply", cli.plan("env", "repair", "demo"))
    assert message(cli) == b"Hello"
    assert "≠ drifted" not in cli("env", "list")[0]
    _, err = cli("plan", "apply", stale, status=4)
    assert "[plan_stale]" in err
    assert "demo is as its steps made it." in cli("env", "drift", "demo", "--observe")[1]


def test_an_environment_is_stopped_and_started_and_says_what_comes_next(cli: CommandLineHarness) -> None:
    cli("env", "create", "demo", "-t", "web", "-p", "replicas=2")
    out, err = cli("env", "stop", "demo", "--reason", "not needed this week")
    assert "◻ stopped" in out
    assert "  ✓ app" in err
    assert "demo is stopped, and its data is kept. Next: `calvinverse env start demo` starts it." in err
    assert cli.world.nomad.running("demo") == {}
    assert "not needed this week" in cli("env", "history", "demo")[0]
    _, err = cli("env", "update", "demo", "-p", "replicas=3", status=4)
    assert "Environment 'demo' is stopped and can't be updated now." in err
    assert "`calvinverse env start demo` starts it" in err
    out, err = cli("env", "start", "demo")
    assert "● ready" in out
    assert "settings  done, nothing to change" in err
    assert cli.world.nomad.running("demo") == {"web": 2}


def test_a_plan_that_the_world_has_left_behind_changes_nothing(cli: CommandLineHarness) -> None:
    cli("env", "create", "demo", "-t", "web")
    plan = cli.plan("env", "update", "demo", "-p", "replicas=2")
    change_by_hand(cli)
    _, err = cli("plan", "apply", plan, status=DEPLOYMENT_FAILED)
    assert "no longer fits at step 'settings'" in err
    assert err.count("settings'") == 2, "once as the step failed, once as the error"
    assert message(cli) == b"Hacked"
    assert "code  plan_stale" in cli("env", "show", "demo")[0]


def test_a_failed_update_goes_back_to_the_last_good_deployment(cli: CommandLineHarness) -> None:
    cli("env", "create", "demo", "-t", "web")
    cli.world.web.get = answers(500)  # type: ignore[method-assign]  # the service is ill from here on
    _, err = cli("env", "update", "demo", "-p", "message=Broken", "-p", "replicas=3", status=6)
    assert "answered 500 instead of 200" in err
    cli.world.web.get = answers(200)  # type: ignore[method-assign]
    assert "value: Broken → Hello" in cli("env", "rollback", "demo", "--plan")[0]
    cli("env", "rollback", "demo")
    assert message(cli) == b"Hello"
    newest, failed, first = cli("env", "history", "demo")[0].splitlines()[1:]
    assert "✓ succeeded, last good" in newest
    assert "✗ failed" in failed
    assert "create" in first


def test_who_follows_an_update_that_goes_back_by_itself_is_told(cli: CommandLineHarness) -> None:
    push(cli.service, TEMPLATE.replace('uses = "check.http"', 'uses = "check.http"\non_failure = "rollback"'))
    cli("env", "create", "demo", "-t", "web")
    get = answers(200)
    cli.world.web.get = lambda url, **more: get(url, **more) if message(cli) == b"Hello" else answers(500)(url, **more)  # type: ignore[method-assign]
    _, err = cli("env", "update", "demo", "-p", "message=Broken", status=6)
    assert "It goes back to dep-" in err
    assert "because step 'answers' failed, in deployment dep-" in err
    assert err.splitlines()[-2].startswith("error: Step 'answers': ")
    cli("env", "watch", "demo")
    assert message(cli) == b"Hello"


def test_what_can_not_be_destroyed_is_named_tried_again_and_given_up(
    cli: CommandLineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("env", "create", "demo", "-t", "web")

    def refuse(*_: object, **__: object) -> None:
        raise BackendDenied("Nomad refuses our token.")

    monkeypatch.setattr(cli.world.nomad, "deregister", refuse)
    destroyed = cli("plan", "apply", cli.plan("env", "destroy", "demo"), "--yes", status=6)
    assert "Nomad refuses our token." in destroyed[1]
    out = cli("env", "show", "demo", "--resources")[0]
    assert "⊗ destroy failed" in out
    assert "tried again at" in out
    stuck = next(line for line in out.splitlines() if "⊗ stuck" in line)
    assert stuck.split()[2:4] == ["nomad.job", "demo/web"]
    out, err = cli("env", "abandon", "demo", "--reason", "the cluster was scrapped", "--yes")
    assert "∅ abandoned" in out
    assert "demo/web" in err
    assert "stays reserved" in err
    # What is left could read what the next one of that name keeps.
    for plan in ((), ("--plan",)):
        refused = cli("env", "create", "demo", "-t", "web", *plan, status=4)[1]
        assert "[name_taken]" in refused
        assert "was abandoned" in refused
