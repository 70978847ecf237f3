"""What the step `opentofu.module` costs beside plain tofu for the same module and the same providers."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.wire.environments import CreateRequest
from tests.support.service_process import ServiceProcess

LIMIT = 120.0

MODULE = """
terraform {
  required_providers {
    time = {
      source = "hashicorp/time"
    }
  }
}

resource "time_static" "one" {}

resource "time_static" "other" {}

output "made" {
  value = time_static.one.rfc3339
}
"""

TEMPLATE = """
[template]
name = "module"
[[steps]]
name = "things"
uses = "opentofu.module"
with = { folder = "things" }
"""


def push(service: ServiceProcess) -> None:
    """Pushes the template with the module."""
    files = {"template.toml": TEMPLATE.encode(), "things/main.tf": MODULE.encode()}
    service.client.push(make_bundle(files))


def ours(service: ServiceProcess, name: str) -> float:
    """Seconds of the step, from its start to its end in the journal; the environment is destroyed again."""
    service.client.create(CreateRequest(name=name, template="module"))
    environment = service.wait_for(name, State.READY, State.FAILED)
    assert environment.state is State.READY, service.story(name)
    assert environment.deployment is not None
    step = environment.deployment.steps[0]
    assert step.started_at is not None
    assert step.ended_at is not None
    service.client.destroy(name)
    service.wait_for(name, State.DESTROYED)
    return (step.ended_at - step.started_at).total_seconds()


def plain(tofu: Path, mirror: Path, folder: Path) -> float:
    """Seconds of `tofu init` and `tofu apply -auto-approve`, with the state in a file beside the module."""
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(MODULE)
    settings = folder / "tofu.rc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(settings),
    }
    began = time.perf_counter()
    for arguments in (["init"], ["apply", "-auto-approve"]):
        subprocess.run(
            [str(tofu), *arguments, "-input=false", "-no-color"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=LIMIT,
            check=True,
        )
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds
