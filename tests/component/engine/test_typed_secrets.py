"""Secret parameters that are no texts keep their type from the request to OpenBao, and never stand in an error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Environment
from environments.domain.lifecycle import DeploymentKind
from environments.domain.template import make_bundle
from environments.providers.vault.secret_words import secret_words
from environments.steps.base import Owner
from tests.component.engine.test_services import Cluster, shown
from tests.support.engine_harness import ADMIN

CASE = Path(__file__).parents[2] / "cases" / "templates" / "secret"
SECRETS: dict[str, Any] = json.loads((CASE / "values.json").read_text())
KEPT = {**SECRETS, "n": 5432, "f": 1, "t": True}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "data")
    bundle = make_bundle({"template.toml": (CASE / "template.toml").read_bytes()})
    cluster.catalogue.push(ADMIN, bundle)
    cluster.worker.start()
    yield cluster
    cluster.stop()


def kept(cluster: Cluster) -> str:
    """As JSON, where true isn't 1."""
    return json.dumps(cluster.cluster.secrets.read("environments/alpha/keys"), sort_keys=True)


def as_json(**changed: Any) -> str:
    return json.dumps({**KEPT, **changed}, sort_keys=True)


def create(cluster: Cluster, **secrets: Any) -> None:
    asked = CreateEnvironment(name="alpha", template="case-secret", parameters={**SECRETS, **secrets})
    cluster.ends_well(cluster.requests.create(ADMIN, asked).deployment_id)


def update(cluster: Cluster, **secrets: Any) -> None:
    accepted = cluster.requests.update(ADMIN, "alpha", UpdateEnvironment(parameters=secrets or None))
    cluster.ends_well(accepted.deployment_id)


def test_secrets_of_every_type_are_kept_as_they_are(cluster: Cluster) -> None:
    create(cluster)
    assert kept(cluster) == as_json()
    update(cluster)
    assert shown(cluster.plan(DeploymentKind.UPDATE)) == {}
    head = cluster.cluster.secrets.head("environments/alpha/keys")
    assert head is not None
    assert head.version == 1
    assert shown(cluster.plan(DeploymentKind.UPDATE, parameters=SECRETS)) == {}
    update(cluster, pin=43)
    assert kept(cluster) == as_json(pin=43)
    update(cluster, flag=False, login={"user": "x", "list": [1, 1.5, None, True]})
    assert kept(cluster) == as_json(pin=43, flag=False, login={"user": "x", "list": [1, 1.5, None, True]})


def test_a_plan_with_such_secrets_is_applied(cluster: Cluster) -> None:
    plan = cluster.plan(DeploymentKind.CREATE, template="case-secret", parameters=SECRETS)
    cluster.apply(plan)
    assert kept(cluster) == as_json()
    cluster.apply(cluster.plan(DeploymentKind.UPDATE, parameters={"login": {"a": [0]}}))
    assert kept(cluster) == as_json(login={"a": [0]})


def test_a_value_that_is_equal_only_in_python_is_a_change(cluster: Cluster) -> None:
    create(cluster, login={"n": 1})
    plan = cluster.plan(DeploymentKind.UPDATE, parameters={"login": {"n": True}})
    assert list(shown(plan)) == ["keys"]
    cluster.apply(plan)
    assert kept(cluster) == as_json(login={"n": True})


def test_the_words_of_such_a_secret_are_known(cluster: Cluster) -> None:
    create(cluster, login={"user": "lovelace", "deep": {"code": 123456789}})
    found: Environment = cluster.environment("alpha")
    words = secret_words(cluster.cluster.secrets)(Owner(found.id, "alpha"))
    assert {"lovelace", "123456789"} <= set(words)
    assert not {"True", "true", "x"} & set(words)
