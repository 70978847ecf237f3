"""Environments as the API shows them, all of the template `web`; for tests of every kind."""

import hashlib
from datetime import timedelta
from typing import Any

from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.domain.names import ID_ALPHABET, ID_LENGTH
from environments.domain.template import make_bundle
from environments.wire.deployments import DeploymentView
from environments.wire.environments import EnvironmentView
from tests.fakes.plans import NOW

WEB = """
[template]
name = "web"
version = "1"
description = "A small HTTPS service"

[lifetime]
default = "8h"
maximum = "14d"

[parameters.replicas]
type = "integer"
default = 1
minimum = 1
maximum = 20
description = "How many"

[parameters.message]
type = "string"
default = "Hello"
maxLength = 200
description = "What it says"

[parameters.branch]
type = "string"
description = "Which branch"

[parameters.verbose]
type = "boolean"
default = false

[[steps]]
name = "settings"
uses = "consul.kv"

[[steps]]
name = "app"
uses = "nomad.job"
needs = ["settings"]

[outputs]
url = { value = "https://localhost/", description = "Where it answers" }
"""

BUNDLE = make_bundle({"template.toml": WEB.encode()})


def environment_id(name: str) -> str:
    """The id that `environment_view` gives to an environment of this name."""
    digest = hashlib.sha256(name.encode()).digest()
    return "env-" + "".join(ID_ALPHABET[byte % len(ID_ALPHABET)] for byte in digest[:ID_LENGTH])


def environment_view(name: str = "demo", state: State = State.READY, **changes: Any) -> EnvironmentView:
    """An environment of the template `web`; anything can be changed."""
    values: dict[str, Any] = {
        "id": environment_id(name),
        "name": name,
        "owner": "ada",
        "template": "web",
        "template_version": "1",
        "bundle": BUNDLE.digest,
        "parameters": {"replicas": 1, "message": "Hello", "branch": "main"},
        "state": state,
        "state_since": NOW,
        "created_at": NOW,
        "deadline": NOW + timedelta(hours=8),
        "maximum_deadline": NOW + timedelta(days=14),
    }
    return EnvironmentView(**{**values, **changes})


def past_deployment(id: str) -> DeploymentView:
    """A create that has succeeded an hour ago."""
    hour = timedelta(hours=1)
    return DeploymentView(
        id=id,
        kind=DeploymentKind.CREATE,
        state=DeploymentState.SUCCEEDED,
        reason="created",
        requested_by="ada",
        requested_at=NOW - hour,
        started_at=NOW - hour,
        ended_at=NOW - hour,
    )
