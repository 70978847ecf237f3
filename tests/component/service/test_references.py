"""References to secrets: values of a type of their own, which no text and no JSON of people or modules becomes."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import NotAllowedNow
from environments.domain.lifecycle import State, StepState
from environments.domain.references import MASK, SecretReference, to_json
from environments.service.authorization import Principal
from tests.fakes.service import FakeService, make_service

ADA = Principal("ada", "user", "tok-ada")


# --- followed ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> FakeService:
    return make_service(tmp_path)


def _make(service: FakeService, name: str) -> None:
    service.requests.create(ADA, CreateEnvironment(name=name, template="web"))


def _output(value: Any) -> dict[str, Any]:
    return {"password": {"value": value, "description": "", "secret": True}}


def _refused(service: FakeService, name: str) -> bool:
    with pytest.raises(NotAllowedNow) as caught:
        service.reading.outputs(ADA, name, reveal=True)
    assert "victim" not in caught.value.message
    return True


def test_a_reference_is_followed_in_the_environment_whose_step_made_it(service: FakeService) -> None:
    _make(service, "one")
    made = service.keep_secret("one", "password", "password", "hunter2")
    service.outputs("one", _output(made))
    assert service.reading.outputs(ADA, "one")["password"].value == MASK
    assert service.reading.outputs(ADA, "one", reveal=True)["password"].value == "hunter2"


def test_a_reference_of_another_environment_is_not_followed(service: FakeService) -> None:
    for name in ("one", "victim"):
        _make(service, name)
    made = service.keep_secret("victim", "password", "password", "hunter2")
    for value in (made, made.before, str(made), to_json(made), to_json(made)["$secret"]):
        service.outputs("one", _output(value))
        assert _refused(service, "one")
    # Neither one that looks like its own, nor one whose step of that name keeps something else.
    own = service.keep_secret("one", "password", "password", "mine")
    service.outputs("one", _output(SecretReference(own.environment, "password", made.path, "password")))
    assert _refused(service, "one")


def test_a_secret_outside_of_the_environments_folder_is_not_followed(service: FakeService) -> None:
    """Also if the journal says so: it is the name's folder, and the name that counts is the one it has."""
    _make(service, "one")
    with service.database.read() as tx:
        environment = tx.environments.named("one")
    assert environment is not None
    for path in ("environments/victim/password", "environments/one/../victim/password", "modules/one"):
        forged = SecretReference(environment.id, "password", path, "password")
        with service.database.write() as tx:
            deployment = tx.deployments.of(environment.id)[0]
            tx.journal.lay_out(deployment.id, [("password", "vault.secret", ())])
            values = {"outputs": {"references": {"password": forged}}}
            tx.journal.set(deployment.id, "password", StepState.DONE, deployment.requested_at, **values)
        service.outputs("one", _output(forged))
        assert _refused(service, "one")


def test_only_a_step_that_keeps_secrets_makes_references(service: FakeService) -> None:
    """Outputs of a module are what its author and what it reads say."""
    _make(service, "one")
    with service.database.write() as tx:
        environment = tx.environments.named("one")
        assert environment is not None
        deployment = tx.deployments.of(environment.id)[0]
        made = SecretReference(environment.id, "module", "environments/one/module", "password")
        tx.journal.lay_out(deployment.id, [("module", "opentofu.module", ())])
        tx.journal.set(deployment.id, "module", StepState.DONE, deployment.requested_at, outputs={"a": made})
    service.outputs("one", _output(made))
    assert _refused(service, "one")


@pytest.mark.parametrize("end", [State.DESTROYED, State.ABANDONED])
def test_an_environment_that_has_ended_reveals_nothing_of_the_next_one_of_its_name(
    service: FakeService, end: State
) -> None:
    _make(service, "one")
    with service.database.read() as tx:
        old = tx.environments.named("one")
    assert old is not None
    service.outputs("one", _output(service.keep_secret("one", "password", "password", "old")))
    with service.database.write() as tx:
        tx.environments.set_state(old.id, end, old.created_at, destroyed_at=old.created_at)
    _make(service, "one")
    service.outputs("one", _output(service.keep_secret("one", "password", "password", "victim's")))
    assert _refused(service, old.id)
    assert service.reading.outputs(ADA, old.id)["password"].value == MASK
    assert service.reading.outputs(ADA, "one", reveal=True)["password"].value == "victim's"


# --- rows of the version before ---------------------------------------------------------------------------------------


def _as_before(service: FakeService, name: str, outputs: dict[str, Any], journal: dict[str, Any]) -> None:
    """Writes into the database what version 1 wrote."""
    with service.database.write() as tx:
        connection = tx._connection
        connection.execute(
            text("update environments set outputs = :outputs where name = :name"),
            {"outputs": json.dumps(outputs), "name": name},
        )
        connection.execute(
            text(
                "update steps set outputs = :outputs where name = 'password' and deployment_id in (select d.id "
                "from deployments d join environments e on e.id = d.environment_id where e.name = :name)"
            ),
            {"outputs": json.dumps(journal), "name": name},
        )


def test_references_that_the_version_before_wrote_are_read_and_checked_alike(service: FakeService) -> None:
    for name in ("one", "victim", "mallory"):
        _make(service, name)
        service.keep_secret(name, "password", "password", f"of {name}")
        before = f"secret:environments/{name}/password#password"
        journal = {"path": f"secret/data/environments/{name}/password", "references": {"password": before}}
        _as_before(service, name, _output(before), journal)
    with service.database.read() as tx:
        environment = tx.environments.named("one")
        assert environment is not None
        made = SecretReference(environment.id, "password", "environments/one/password", "password")
        assert tx.journal.latest(environment.id)["password"].outputs["references"] == {"password": made}
        assert tx.journal.references(environment.id) == [made]
    assert service.reading.outputs(ADA, "one")["password"].value == MASK
    assert service.reading.outputs(ADA, "one", reveal=True)["password"].value == "of one"
    # A text that a parameter gave; and one that some step says which keeps no secrets.
    victim = "secret:environments/victim/password#password"
    _as_before(service, "mallory", _output(victim), {"references": {}})
    assert _refused(service, "mallory")
    with service.database.write() as tx:
        tx._connection.execute(
            text("update steps set uses = 'opentofu.module', outputs = :outputs where name = 'password'"),
            {"outputs": json.dumps({"references": {"password": victim}})},
        )
    assert _refused(service, "mallory")
