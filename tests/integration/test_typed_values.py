"""Values keep type and bytes on the way into a job: secrets, keys of every size, variables. One environment for all."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from environments.domain.environment import Environment
from environments.domain.json_values import same
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.providers.vault.client import VaultClient
from environments.providers.vault.revealing import Revealing
from tests.fakes.plans import NOW
from tests.support.cluster import Cluster
from tests.support.web_harness import Made, new_owner, tools
from tests.support.workloads import Backends, await_done

TEXT = "line1\n\ttab\u00a0nbsp é 👩‍👩‍👧 \"'<&>${x}{{ y }}"
SECRETS: dict[str, Any] = {"token": TEXT, "flag": True, "login": {"user": "x", "pw": "it's", "n": None}, "pin": 42}

TEMPLATE = """
[template]
network = "host"
name = "typed"
[parameters.token]
type = "string"
writeOnly = true
[parameters.flag]
type = "boolean"
writeOnly = true
[parameters.login]
type = "object"
writeOnly = true
[parameters.pin]
type = "integer"
writeOnly = true
[parameters.text]
type = "string"
[parameters.large]
type = "string"

[[steps]]
name = "settings"
uses = "consul.kv"
[steps.with.keys]
text = "{{ parameters.text }}"
large = "{{ parameters.large }}"
number = 12345678901234567890
version = "1.10"
none = "{{ none }}"

[[steps]]
name = "keys"
uses = "vault.secret"
[steps.with]
from_parameters = { token = "token", flag = "flag", login = "login", pin = "pin" }
values = { n = 5432, f = 1.5 }

[[steps]]
name = "app"
uses = "nomad.job"
needs = ["settings", "keys"]
[steps.with]
file = "app.nomad.hcl"
[steps.with.variables]
image = "{{ images.base }}"
whole = 9007199254740992
part = 0.1
text = "{{ parameters.text }}"
version = "1.10"
flag = true
"""

JOB = r"""
variable "environment" { type = string }
variable "image" { type = string }
variable "whole" { type = number }
variable "part" { type = number }
variable "text" { type = string }
variable "version" { type = string }
variable "flag" { type = bool }
job "app" {
  type = "service"
  group "app" {
    task "app" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image        = var.image
        force_pull   = false
        init         = true
        network_mode = "host"
        command      = "/usr/bin/bash"
        args         = ["-c", "touch $NOMAD_TASK_DIR/done; while :; do sleep 1; done"]
      }
      consul {}
      vault {}
      template {
        destination = "local/seen"
        data        = <<-EOT
          {{ with secret (printf "secret/data/environments/%s/keys" (env "NOMAD_NAMESPACE")) }}
          {"secrets": {{ .Data.data | toJSON }},
          "flag": {{ .Data.data.flag }}, "pin": {{ .Data.data.pin }}, "n": {{ .Data.data.n }}, "f": {{ .Data.data.f }},
          "password": {{ .Data.data.login.pw | toJSON }}{{ end }},
          "text": {{ key (printf "environments/%s/text" (env "NOMAD_NAMESPACE")) | toJSON }},
          "size": {{ key (printf "environments/%s/large" (env "NOMAD_NAMESPACE")) | len }},
          "number": {{ key (printf "environments/%s/number" (env "NOMAD_NAMESPACE")) }},
          "version": {{ key (printf "environments/%s/version" (env "NOMAD_NAMESPACE")) | toJSON }},
          "none": {{ key (printf "environments/%s/none" (env "NOMAD_NAMESPACE")) }},
          "env": {{ env "VALUES" }}}
        EOT
      }
      env {
        VALUES = jsonencode({
          whole = var.whole, part = var.part, text = var.text, version = var.version, flag = var.flag
        })
      }
      resources {
        cpu    = 20
        memory = 64
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def made(cluster: Cluster) -> Iterator[Made]:
    files = {"template.toml": TEMPLATE.encode(), "app.nomad.hcl": JOB.encode()}
    made = Made(tools(cluster.connections), new_owner(), make_bundle(files), secrets=SECRETS)
    yield made
    made.destroy()


def test_values_reach_a_job_as_they_were_given(cluster: Cluster, made: Made) -> None:
    given: dict[str, Any] = {"text": TEXT, "large": "ä" * 225_000}
    made.apply(**given)
    assert made.plan(**given) == {}

    vault, name = VaultClient(lambda: cluster.connections), made.owner.name
    kept = {**SECRETS, "n": 5432, "f": 1.5}
    assert same(vault.secrets.read(f"environments/{name}/keys"), kept)
    shown = Revealing(vault).read_secrets(_environment(made), made.outputs["keys"]["references"])
    assert same(shown, kept)

    backends = Backends(cluster.connections)
    allocation = await_done(backends.nomad, name, "app")
    seen = backends.nomad.get(f"/v1/client/fs/cat/{allocation}?namespace={name}&path=app/local/seen")
    seen = seen if isinstance(seen, dict) else json.loads(seen)
    assert same(seen.pop("secrets"), kept)
    assert same(seen.pop("env"), {"whole": 2**53, "part": 0.1, "text": TEXT, "version": "1.10", "flag": True})
    assert same(
        seen,
        {
            **{"flag": True, "pin": 42, "n": 5432, "f": 1.5, "password": "it's"},
            **{"text": TEXT, "size": 450_000, "number": 12345678901234567890, "version": "1.10", "none": None},
        },
    )

    made.secrets = {"pin": 43}
    assert [change.details for change in made.plan(**given)["keys"]] == [("pin: will be changed from parameter 'pin'",)]
    made.apply(["keys"], **given)
    made.secrets = {}
    made.apply(["settings"], text=TEXT, large="z" * 524_288)
    assert made.plan(text=TEXT, large="z" * 524_288) == {}
    assert same(vault.secrets.read(f"environments/{name}/keys"), {**kept, "pin": 43})


def _environment(made: Made) -> Environment:
    return Environment(
        id=made.owner.id,
        name=made.owner.name,
        owner="ada",
        template="typed",
        template_version="1",
        bundle=made.bundle.digest,
        state=State.READY,
        state_since=NOW,
        created_at=NOW,
    )
