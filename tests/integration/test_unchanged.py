"""Jobs of every type on a real Nomad: an update that changes nothing leaves them alone, and what has run is done."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import null, update

from environments.domain.commands import CreateEnvironment, MakePlan, UpdateEnvironment
from environments.domain.environment import EventType
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.template import make_bundle
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.providers.nomad.done import RUN
from environments.stores.schema import resources
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.engine_harness import ADMIN
from tests.support.real_engine_harness import RealEngineHarness
from tests.support.web_harness import new_owner

JOB = """
variable "command" {}
variable "hook" { default = "poststart" }
job "//name" {
  type = "//type"
  //later
  group "group" {
    //group
    task "main" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image        = "//image"
        force_pull   = false
        init         = true
        network_mode = "host"
        entrypoint   = ["/usr/bin/bash", "-c"]
        args         = [var.command]
      }
      resources {
        cpu    = 20
        memory = 32
      }
      //task
    }
  }
}
"""

KINDS = {
    "seed": ("batch", "", "true"),
    "each": ("sysbatch", "", "true"),
    "app": ("service", "", "sleep 3600"),
    "every": ("system", "", "sleep 3600"),
    "nightly": ("batch", 'periodic {\n crons = ["0 0 1 1 *"]\n}', "true"),
    "call": ("batch", "parameterized {}", "true"),
}
"""Job → type, block that makes it start later, command."""

ENDED = ("each", "seed")

TEMPLATE = """
[template]
network = "host"
name = "kinds"
[parameters.word]
type = "string"
default = "hello"
"""

STEP = """
[[steps]]
name = "{name}"
uses = "nomad.job"
with = {{ file = "{name}.hcl", variables = {{ command = "{command}" }} }}
"""


@pytest.fixture
def setting(cluster: Cluster, tmp_path: Path) -> Iterator[RealEngineHarness]:
    setting = RealEngineHarness(tmp_path, cluster)
    setting.worker.start()
    yield setting
    setting.close()


def push(setting: RealEngineHarness, jobs: Iterable[str] = KINDS, **files: str) -> None:
    """The template with these jobs, some with other files than the usual ones."""
    texts = {"template.toml": TEMPLATE + "".join(_step(name) for name in jobs)}
    texts |= {f"{name}.hcl": files.get(name) or file(name) for name in jobs}
    setting.catalogue.push(ADMIN, make_bundle({path: text.encode() for path, text in texts.items()}))


def file(name: str, *edits: tuple[str, str]) -> str:
    kind, later, _ = KINDS[name]
    text = JOB.replace("//name", name).replace("//type", kind).replace("//later", later)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text.replace("//image", images_here.reference("base"))


def _step(name: str) -> str:
    command = KINDS[name][2]
    if name == "seed":
        command = ": {{ parameters.word }}"
    return STEP.format(name=name, command=command)


def registered(setting: RealEngineHarness, name: str) -> dict[str, Any]:
    """For each job its version, the ids of its allocations, and its index."""
    found = {}
    for job in KINDS:
        present = setting.nomad.job(name, job)
        if present is not None:
            allocations = {one.id for one in setting.nomad.allocations(name, job)[1]}
            found[job] = (present["Version"], allocations, present["JobModifyIndex"])
    return found


def lines(setting: RealEngineHarness) -> list[str]:
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=10_000)
    return [f"{event.step}: {event.message}" for event in events if event.type is EventType.LOG]


def updated(setting: RealEngineHarness, name: str, **request: Any) -> None:
    accepted = setting.requests.update(ADMIN, name, UpdateEnvironment(**request))
    assert setting.ended(accepted.deployment_id) is DeploymentState.SUCCEEDED, setting.environment(name).failure


def differences(setting: RealEngineHarness, name: str) -> list[str]:
    """What an observation of the backends finds."""
    planner = BackendPlanner(setting.database, setting.tools)
    drift = BackendObserver(setting.database, setting.tools, planner, setting.clock).observe(setting.environment(name))
    assert not drift.troubles
    assert not drift.unexpected
    return [f"{step.step}: {change.details}" for step in drift.steps for change in step.changes]


def collect_garbage(setting: RealEngineHarness, name: str) -> None:
    """Makes Nomad forget what has ended, as it does by itself after some hours."""
    end = time.monotonic() + 60
    while any(setting.nomad.job(name, job) is not None for job in ENDED):
        assert time.monotonic() < end
        setting.admin.call("PUT", "/v1/system/gc")
        time.sleep(0.2)


def test_nothing_that_is_there_is_registered_and_nothing_that_has_run_runs_again(setting: RealEngineHarness) -> None:
    push(setting)
    name = new_owner("u").name
    setting.requests.create(ADMIN, CreateEnvironment(name=name, template="kinds"))
    assert setting.wait_for(State.READY, State.FAILED, name=name, seconds=120).state is State.READY
    before, told = registered(setting, name), lines(setting)
    assert set(before) == set(KINDS)
    assert {job: version for job, (version, _, _) in before.items()} == dict.fromkeys(KINDS, 0)

    # The same again, with another token.
    setting.reopen()
    assert differences(setting, name) == []
    updated(setting, name)
    assert (registered(setting, name), lines(setting)) == (before, told)

    # Somebody registers the very same jobs with a token of their own: instances get a new version, a batch job runs.
    for job in ("seed", "app"):
        present = setting.nomad.job(name, job)
        assert present is not None
        setting.nomad.register(name, present, present["JobModifyIndex"])
    setting.until(lambda: _settled(setting, name))
    moved = registered(setting, name)
    assert (moved["seed"][0], moved["app"][0]) == (1, 1)
    setting.change_token()
    setting.reopen()
    assert differences(setting, name) == []
    updated(setting, name)
    assert (registered(setting, name), lines(setting)) == (moved, told)

    # Nomad forgets: what it doesn't know any more is done all the same.
    collect_garbage(setting, name)
    left = {job: there for job, there in moved.items() if job not in ENDED}
    assert differences(setting, name) == []
    planned = setting.planning.plan(ADMIN, name, MakePlan(kind=DeploymentKind.UPDATE))
    assert not any(step.changes for step in planned.steps)
    assert setting.ended(setting.planning.apply(ADMIN, planned.id).deployment_id) is DeploymentState.SUCCEEDED
    assert setting.ended(setting.recovery.repair(ADMIN, name).deployment_id) is DeploymentState.SUCCEEDED
    assert (registered(setting, name), lines(setting)) == (left, told)

    # So is what was made by a version that wrote down nothing of it.
    with setting.database.write() as tx:
        tx.inventory._connection.execute(update(resources).values(finished=null()))
    assert differences(setting, name) == []
    updated(setting, name)
    assert (registered(setting, name), lines(setting)) == (left, told)

    # Other inputs, and the wish of a person, run what they are about and nothing else.
    updated(setting, name, parameters={"word": "bye"})
    now = registered(setting, name)
    assert now.pop("seed")[0] == 0
    assert now == left
    assert any(line.startswith("seed: job seed registered") for line in lines(setting)[len(told) :])
    assert not any(line.startswith(("app", "every", "each")) for line in lines(setting)[len(told) :])
    updated(setting, name, run_again=("seed",))
    version, allocations, _ = registered(setting, name)["seed"]
    assert (version, len(allocations)) == (1, 2)
    seed = setting.nomad.job(name, "seed")
    assert seed is not None
    assert seed["Meta"][RUN]
    assert differences(setting, name) == []
    told = lines(setting)
    updated(setting, name)
    assert lines(setting) == told

    setting.requests.destroy(ADMIN, name)
    setting.wait_for(State.DESTROYED, State.DESTROY_FAILED, name=name)
    assert setting.nomad.namespace(name) is None


def _settled(setting: RealEngineHarness, name: str) -> bool:
    """Whether what was registered last runs or has run."""
    for job, ended in (("seed", True), ("app", False)):
        present = setting.nomad.job(name, job)
        assert present is not None
        mine = [one for one in setting.nomad.allocations(name, job)[1] if one.job_version == present["Version"]]
        if not any(one.client == ("complete" if ended else "running") for one in mine):
            return False
    return True


def test_what_nomad_tells_nobody_is_changed_all_the_same(setting: RealEngineHarness) -> None:
    """Nomad's own plan leaves some parts of a job out."""
    name = new_owner("u").name
    group, task = (
        ("//" + where, f'restart {{\n attempts = {number}\n delay = "1s"\n}}')
        for where, number in (("group", 1), ("task", 2))
    )
    push(setting, ["app"], app=file("app", group, task))
    setting.requests.create(ADMIN, CreateEnvironment(name=name, template="kinds"))
    assert setting.wait_for(State.READY, State.FAILED, name=name, seconds=120).state is State.READY
    updated(setting, name)
    before = registered(setting, name)
    assert before["app"][0] == 0
    push(setting, ["app"], app=file("app", group, ("//task", task[1].replace("2", "3"))))
    planned = setting.planning.plan(ADMIN, name, MakePlan(kind=DeploymentKind.UPDATE))
    assert [change.address for step in planned.steps for change in step.changes] == [f"{name}/app"]
    updated(setting, name)
    assert registered(setting, name)["app"][0] == 1
    updated(setting, name)
    assert registered(setting, name)["app"][0] == 1
    setting.requests.destroy(ADMIN, name)
    setting.wait_for(State.DESTROYED, State.DESTROY_FAILED, name=name)


def test_what_nomad_gave_up_is_started_again_and_what_it_tries_again_is_awaited(setting: RealEngineHarness) -> None:
    once = 'restart {\n attempts = 0\n mode = "fail"\n}\n'
    keeps = once + "ephemeral_disk {\n sticky = true\n migrate = true\n size = 110\n}\n"
    never = once + "reschedule {\n attempts = 0\n unlimited = false\n}\n"
    second = "test -e /alloc/data/tried || { touch /alloc/data/tried; exit 1; }"
    name = new_owner("u").name
    seed = file("seed", ("//group", keeps), ("[var.command]", f'["{second}"]'))
    push(setting, ["app", "seed"], app=file("app", ("//group", never)), seed=seed)
    setting.requests.create(ADMIN, CreateEnvironment(name=name, template="kinds"))
    made = setting.wait_for(State.READY, State.FAILED, name=name, seconds=120)
    assert made.state is State.READY, made.failure
    assert len(registered(setting, name)["seed"][1]) == 2

    def is_rolled_out() -> bool:
        rollout = setting.nomad.rollout(name, "app")
        return rollout is not None and rollout.status == "successful"

    setting.until(is_rolled_out)
    (before,) = registered(setting, name)["app"][1]
    setting.nomad.signal(name, before, "main", "SIGKILL")
    setting.until(lambda: all(one.terminal for one in setting.nomad.allocations(name, "app")[1]))
    line = "version 0 has failed and will be started again"
    assert line in str(differences(setting, name))
    end = time.monotonic() + 60
    while setting.nomad.allocations(name, "app")[1] and time.monotonic() < end:
        setting.admin.call("PUT", "/v1/system/gc")
        time.sleep(0.2)
    assert line in str(differences(setting, name))
    assert setting.ended(setting.recovery.repair(ADMIN, name).deployment_id) is DeploymentState.SUCCEEDED
    version, allocations, _ = registered(setting, name)["app"]
    assert version == 1
    assert allocations - {before}
    assert differences(setting, name) == []
    setting.requests.destroy(ADMIN, name)
    setting.wait_for(State.DESTROYED, State.DESTROY_FAILED, name=name)
