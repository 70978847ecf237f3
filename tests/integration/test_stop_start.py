"""Stop and start on a real cluster: jobs of every type, and PostgreSQL's data over a night by the calendar."""

import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from environments.domain.commands import CreateEnvironment
from environments.domain.environment import Deployment
from environments.domain.errors import BackendError
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.template import make_bundle
from environments.domain.timing import Because, Source
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.providers.nomad.ports import Allocation
from tests.support import images_here
from tests.support.authorities import make_authority
from tests.support.cluster import Cluster
from tests.support.engine_harness import ADMIN
from tests.support.real_engine_harness import RealEngineHarness
from tests.support.web_harness import new_owner

ZONE = ZoneInfo("Europe/Amsterdam")
PASSWORD = "of-this-test"

TEMPLATE = """
[template]
name = "office"
version = "1"
network = "host"
host_volumes = ["builds"]
[lifetime]
stop = ["0 19 * * * Europe/Amsterdam"]
start = ["0 8 * * * Europe/Amsterdam"]
[[steps]]
name = "database"
uses = "nomad.job"
with = { file = "database.hcl" }
[[steps]]
name = "seed"
uses = "nomad.job"
needs = ["database"]
with = { file = "seed.hcl", variables = { port = "{{ steps.database.services.db.port }}" } }
[[steps]]
name = "app"
uses = "nomad.job"
needs = ["seed"]
with = { file = "app.hcl" }
[[steps]]
name = "every"
uses = "nomad.job"
with = { file = "every.hcl" }
[[steps]]
name = "nightly"
uses = "nomad.job"
with = { file = "nightly.hcl" }
[[steps]]
name = "call"
uses = "nomad.job"
with = { file = "call.hcl" }
[outputs]
port = "{{ steps.database.services.db.port }}"
"""

DATABASE = """
variable "environment" {}
job "database" {
  group "db" {
    update {
      min_healthy_time = "0s"
    }
    network {
      port "db" {}
    }
    volume "builds" {
      type   = "host"
      source = "builds"
    }
    service {
      name         = "${var.environment}--db"
      port         = "db"
      address_mode = "host"
      check {
        type     = "tcp"
        interval = "1s"
        timeout  = "1s"
      }
    }
    task "db" {
      driver       = "docker"
      user         = "10001"
      kill_signal  = "SIGINT"
      kill_timeout = "30s"
      config {
        image        = "//postgres"
        force_pull   = false
        init         = true
        network_mode = "host"
        entrypoint   = ["/usr/bin/sh", "-c"]
        args         = ["mkdir -p $DATABASE_FOLDER && exec postgres-start"]
        healthchecks {
          disable = true
        }
      }
      volume_mount {
        volume      = "builds"
        destination = "${meta.calvinverse_builds}"
      }
      env {
        DATABASE_FOLDER           = "${meta.calvinverse_builds}/${NOMAD_NAMESPACE}"
        DATABASE_PASSWORD_FILE    = "${NOMAD_SECRETS_DIR}/password"
        DATABASE_CERTIFICATE_FILE = "${NOMAD_SECRETS_DIR}/certificate.pem"
        DATABASE_TLS_FOLDER       = "${NOMAD_SECRETS_DIR}/tls"
      }
      template {
        destination = "${NOMAD_SECRETS_DIR}/password"
        data        = "//password"
      }
      template {
        destination = "${NOMAD_SECRETS_DIR}/certificate.pem"
        data        = <<-EOT
//certificate
        EOT
      }
      resources {
        cpu    = 50
        memory = 256
      }
    }
  }
}
"""

JOB = """
variable "port" { default = 0 }
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
        entrypoint   = ["/usr/bin/sh", "-c"]
        args         = ["//command"]
      }
      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
"""

YEARLY = 'periodic {\n crons = ["0 0 1 1 *"]\n}'
SEED = "CREATE TABLE IF NOT EXISTS told (word text); INSERT INTO told VALUES ('kept')"
PSQL = f"PGPASSWORD={PASSWORD} psql -h 127.0.0.1 -U calvinverse -d calvinverse -v ON_ERROR_STOP=1 -At"


@pytest.fixture
def setting(cluster: Cluster, tmp_path: Path) -> Iterator[RealEngineHarness]:
    setting = RealEngineHarness(tmp_path, cluster)
    setting.worker.start()
    yield setting
    setting.close()


@pytest.fixture
def name(setting: RealEngineHarness, tmp_path: Path) -> Iterator[str]:
    """An environment of the template, ready; its folder on the node is removed at the end."""
    name = new_owner("s").name
    certificate = make_authority().sign(tmp_path / "database.pem", "127.0.0.1").read_text()
    setting.catalogue.push(ADMIN, make_bundle({path: text.encode() for path, text in _files(certificate).items()}))
    setting.requests.create(ADMIN, CreateEnvironment(name=name, template="office"))
    (node,) = setting.admin.call("GET", "/v1/nodes")
    builds = Path(setting.admin.call("GET", f"/v1/node/{node['ID']}")["Meta"]["calvinverse_builds"])
    try:
        assert setting.wait_for(State.READY, State.FAILED, name=name, seconds=240).state is State.READY, (
            setting.environment(name).failure
        )
        yield name
    finally:
        setting.requests.destroy(ADMIN, name)
        setting.wait_for(State.DESTROYED, State.DESTROY_FAILED, name=name, seconds=240)
        subprocess.run(["rm", "-rf", str(builds / name)], check=True, timeout=60)


def _files(certificate: str) -> dict[str, str]:
    base, postgres = images_here.reference("base"), images_here.reference("postgres")
    database = DATABASE.replace("//postgres", postgres).replace("//password", PASSWORD)
    database = database.replace("//certificate", certificate)
    seed = f'{PSQL} -p ${{var.port}} -c \\"{SEED}\\"'
    return {
        "template.toml": TEMPLATE,
        "database.hcl": database,
        "seed.hcl": _job("seed", "batch", seed, image=postgres),
        "app.hcl": _job("app", "service", "sleep 3600", group="count = 2", image=base),
        "every.hcl": _job("every", "system", "sleep 3600", image=base),
        "nightly.hcl": _job(
            "nightly", "batch", "sleep 3600", later='periodic {\n crons = ["0 0 1 1 *"]\n}', image=base
        ),
        "call.hcl": _job("call", "batch", "sleep 3600", later="parameterized {}", image=base),
    }


def _job(name: str, kind: str, command: str, *, image: str, later: str = "", group: str = "") -> str:
    text = JOB.replace("//name", name).replace("//type", kind).replace("//later", later)
    return text.replace("//group", group).replace("//command", command).replace("//image", image)


def live(setting: RealEngineHarness, name: str, job: str) -> list[Allocation]:
    return [found for found in setting.nomad.allocations(name, job)[1] if not found.terminal]


def rows(setting: RealEngineHarness, name: str) -> list[str]:
    """What PostgreSQL has, asked inside of its container."""
    (allocation,) = live(setting, name, "database")
    port = setting.environment(name).outputs["port"]["value"]
    asked = ["docker", "exec", f"db-{allocation.id}", "sh", "-c", f"{PSQL} -p {port} -c 'TABLE told'"]
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.split()


def runs(setting: RealEngineHarness, name: str) -> set[str]:
    """Jobs of which a run is going on that a schedule or a dispatch started."""
    return {job.split("/")[0] for job in setting.nomad.running(name) if "/" in job}


def begin_runs(setting: RealEngineHarness, name: str) -> None:
    """A run of the job with a schedule, and one of the job that is dispatched."""
    setting.admin.call("PUT", f"/v1/job/nightly/periodic/force?namespace={name}")
    setting.admin.call("PUT", f"/v1/job/call/dispatch?namespace={name}", {})
    setting.until(
        lambda: {job.split("/")[0] for job in setting.nomad.running(name) if "/" in job} == {"nightly", "call"}
    )


def newest(setting: RealEngineHarness, name: str) -> Deployment:
    with setting.database.read() as tx:
        return tx.deployments.of(setting.environment(name).id)[0]


def tick_at(setting: RealEngineHarness, hour: int) -> None:
    """It is a minute past the next time that it is this hour in the rules' zone."""
    now = setting.clock().astimezone(ZONE)
    then = datetime(now.year, now.month, now.day, hour, 1, tzinfo=ZONE)
    if then <= now:
        then = (then + timedelta(days=1)).replace(tzinfo=ZONE)
    setting.clock.ahead += then - now
    setting.scheduler.tick()


def differences(setting: RealEngineHarness, name: str) -> list[str]:
    """What an observation of the backends finds."""
    planner = BackendPlanner(setting.database, setting.tools)
    drift = BackendObserver(setting.database, setting.tools, planner, setting.clock).observe(setting.environment(name))
    assert not drift.troubles
    found = [f"{step.step}: {change.details}" for step in drift.steps for change in step.changes]
    return found + [f"unexpected: {found.address}" for found in drift.unexpected]


def test_data_of_postgresql_survives_a_night_by_the_calendar(setting: RealEngineHarness, name: str) -> None:
    assert rows(setting, name) == ["kept"]
    begin_runs(setting, name)
    assert (len(live(setting, name, "app")), len(live(setting, name, "every"))) == (2, 1)

    tick_at(setting, 19)
    found = setting.wait_for(State.STOPPED, State.FAILED, name=name, seconds=240)
    assert found.state is State.STOPPED, found.failure
    assert setting.nomad.running(name) == {}
    assert {"database", "app", "every", "nightly", "call"} <= set(setting.nomad.jobs(name))
    assert differences(setting, name) == []
    stop = newest(setting, name)
    assert (stop.kind, stop.requested_by) == (DeploymentKind.STOP, "clock")
    place = "template office, version 1, lifetime.stop[0]"
    assert stop.because == Because(source=Source.TEMPLATE, rule="0 19 * * * Europe/Amsterdam", place=place)

    tick_at(setting, 8)
    setting.until(lambda: newest(setting, name).kind is DeploymentKind.START)
    found = setting.wait_for(State.READY, State.FAILED, name=name, seconds=240)
    assert found.state is State.READY, found.failure
    assert rows(setting, name) == ["kept"], "the data is there, and the job that made it did not run again"
    assert (len(live(setting, name, "app")), len(live(setting, name, "every"))) == (2, 1)
    assert runs(setting, name) == set()
    assert differences(setting, name) == []


def _scaled(setting: RealEngineHarness, name: str, body: dict[str, Any]) -> bool:
    """Nomad refuses to scale a job whose deployment hasn't ended."""
    try:
        setting.admin.call("PUT", f"/v1/job/app/scale?namespace={name}", body)
    except BackendError as error:
        if "active deployment" not in error.message:
            raise
        return False
    return True


def test_a_count_of_the_cluster_comes_back(setting: RealEngineHarness, name: str) -> None:
    """Somebody scaled the job by hand: a stop and a start leave it as it was."""
    body = {"Count": 3, "Target": {"Group": "group"}}
    end = time.monotonic() + 60
    while not _scaled(setting, name, body):
        assert time.monotonic() < end
        time.sleep(0.2)
    setting.until(lambda: len(live(setting, name, "app")) == 3)
    for ask, right in ((setting.switching.stop, State.STOPPED), (setting.switching.start, State.READY)):
        assert setting.ended(ask(ADMIN, name).deployment_id) is DeploymentState.SUCCEEDED
        assert setting.environment(name).state is right
    end = time.monotonic() + 60
    while len(live(setting, name, "app")) != 3:
        assert time.monotonic() < end
        time.sleep(0.2)
