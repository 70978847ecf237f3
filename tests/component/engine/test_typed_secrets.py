"""Secret parameters that are no texts keep their type from the request to OpenBao, and never stand in an error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from environments.domain.cleaning import Cleaner
from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Environment
from environments.domain.errors import InvalidParameters
from environments.domain.lifecycle import DeploymentKind
from environments.domain.template import make_bundle
from environments.domain.template_parts import Template
from environments.providers.vault.secret_words import secret_words
from environments.service.parameters import check_parameters
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


TEMPLATE = Template.model_validate(
    {
        "name": "t",
        "parameters": {
            "pin": {"type": "integer", "maximum": 9999, "writeOnly": True},
            "token": {"type": "string", "pattern": "^[a-z]+$", "writeOnly": True},
            "login": {
                "type": "object",
                "properties": {"user": {"type": "string"}, "list": {"type": "array", "items": {"type": "integer"}}},
                "additionalProperties": {"type": "string"},
                "writeOnly": True,
            },
        },
        "steps": [{"name": "a", "uses": "fake"}],
    }
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pin": "hushhush"}, 'pin: does not fit (type: "integer")'),
        ({"pin": 77123}, "pin: does not fit (maximum: 9999)"),
        ({"token": "HUSH77123"}, 'token: does not fit (pattern: "^[a-z]+$")'),
        ({"pin": 2**53 + 1}, "pin: holds a whole number that OpenBao doesn't keep exactly"),
        ({"login": {"list": [-(10**23) - 1]}}, "login: holds a whole number that OpenBao doesn't keep exactly"),
        ({"login": {"user": 77123}}, 'login.user: does not fit (type: "string")'),
        ({"login": {"list": [1, "hushhush"]}}, 'login.list.1: does not fit (type: "integer")'),
        ({"login": {"hushhush": 77123}}, 'login: does not fit (type: "string")'),
    ],
)
def test_an_error_says_what_is_wanted_and_nothing_of_the_secret(given: dict[str, Any], said: str) -> None:
    fitting = {"pin": 1, "token": "a", "login": {}}
    with pytest.raises(InvalidParameters) as raised:
        check_parameters(TEMPLATE, {**fitting, **given})
    told = f"{raised.value.message} {raised.value.hint} {raised.value.details}"
    assert said in told
    assert "hush" not in told.lower()
    assert "77123" not in told


def test_what_programs_say_of_such_a_secret_is_hidden() -> None:
    cleaner = Cleaner([{"user": "lovelace", "code": [123456789]}, 4711, True, None])
    assert cleaner.clean("lovelace 123456789 4711 true None") == "*** *** *** true None"
    assert cleaner.clean('login={"user":"lovelace","code":[123456789]}') == "login=***"
    assert Cleaner([True, False, None, 42]).clean("true false null 42") == "true false null 42"


def test_the_words_of_such_a_secret_are_known(cluster: Cluster) -> None:
    create(cluster, login={"user": "lovelace", "deep": {"code": 123456789}})
    found: Environment = cluster.environment("alpha")
    words = secret_words(cluster.cluster.secrets)(Owner(found.id, "alpha"))
    assert words is not None
    assert {"lovelace", "123456789"} <= set(words)
    assert not {"True", "true", "x"} & set(words)
