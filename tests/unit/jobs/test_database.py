"""Which database a deployment gets, and that a later one doesn't change it by itself; what its jobs are made of."""

import base64
import runpy
from pathlib import Path
from typing import Any

import pytest
from doit.cmdparse import CmdParseError
from doit.loader import load_tasks

from environments.domain.errors import CalvinverseError, InvalidInput, NotAllowedNow
from environments.domain.template_parts import Template
from environments.providers.vault.secret import VaultSecretOptions
from environments.service.parameters import check_parameters
from environments.service.rendering import render
from environments.stores.sealing import KeyFileSealer
from images.errors import ImageNotBuilt
from images.places import CHECKOUT
from jobs.database import Choice, database_parameters
from jobs.meta_template import meta_bundle

IMAGE = "sha256:" + "a" * 64
AUTHORITY = "-----BEGIN CERTIFICATE-----"
REQUIRED = {"image": IMAGE, "deployer": "ada", "deployer_token": "a:b"}


@pytest.fixture
def template() -> Template:
    return meta_bundle().template()


def variables(template: Template, step: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """What a step gives to its job file."""
    known: dict[str, dict[str, Any]] = {
        part: {"address": "http://127.0.0.1:1", "ca": "", "server_name": "", "ours": True}
        for part in ("consul", "openbao", "nomad")
    }
    known["trust"] = {"authority": AUTHORITY}
    names = {"parameters": check_parameters(template, {**REQUIRED, **parameters}), "steps": known}
    found: dict[str, Any] = render(template.step(step).options["variables"], names, step)
    return found


def test_the_first_deployment_takes_sqlite_unless_it_is_told() -> None:
    assert database_parameters(Choice(), IMAGE, None) == {"database": "sqlite"}
    assert database_parameters(Choice("postgresql", 3, 9001), IMAGE, None) == {
        "database": "postgresql",
        "postgres_image": IMAGE,
        "workers": 3,
        "database_port": 9001,
    }


@pytest.mark.parametrize("before", [{}, {"database": "sqlite", "workers": 0}])
def test_a_deployment_without_a_choice_keeps_sqlite(before: dict[str, Any]) -> None:
    assert database_parameters(Choice(), None, before) == {"database": "sqlite"}


def test_a_deployment_without_a_choice_keeps_postgresql_its_workers_and_its_port() -> None:
    before = {"database": "postgresql", "workers": 3, "database_port": 9001, "postgres_image": "sha256:old"}
    update = database_parameters(Choice(), IMAGE, before)
    assert before | update == {**before, "postgres_image": IMAGE}


def test_the_number_of_workers_can_be_changed() -> None:
    before = {"database": "postgresql", "workers": 3}
    assert database_parameters(Choice(workers=0), IMAGE, before)["workers"] == 0


@pytest.mark.parametrize(
    ("before", "kind", "says"),
    [
        ({}, "postgresql", "keeps its data in SQLite, and an update doesn't move it to PostgreSQL"),
        ({"database": "postgresql"}, "sqlite", "keeps its data in PostgreSQL, and an update doesn't move it to SQLite"),
    ],
)
def test_another_kind_of_database_is_refused_with_a_way_out(before: dict[str, Any], kind: str, says: str) -> None:
    with pytest.raises(NotAllowedNow, match=says) as refused:
        database_parameters(Choice(kind), IMAGE, before)
    assert "doit undeploy" in refused.value.hint


@pytest.mark.parametrize("before", [None, {"database": "sqlite"}])
def test_several_workers_on_sqlite_are_refused(before: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidInput, match="SQLite") as refused:
        database_parameters(Choice(workers=2), IMAGE, before)
    assert "--database postgresql" in refused.value.hint


@pytest.mark.parametrize(("choice", "before"), [(Choice("postgresql"), None), (Choice(), {"database": "postgresql"})])
def test_postgresql_without_its_image_is_refused(choice: Choice, before: dict[str, Any] | None) -> None:
    with pytest.raises(ImageNotBuilt) as refused:
        database_parameters(choice, None, before)
    assert "doit build:postgres" in refused.value.hint


@pytest.mark.parametrize("workers", [-1, 11])
def test_too_many_or_too_few_workers_are_refused(template: Template, workers: int) -> None:
    with pytest.raises(CalvinverseError, match="workers"):
        variables(template, "provisioning", {"database": "postgresql", "workers": workers})


def test_with_sqlite_no_database_runs_and_the_service_hears_of_none(template: Template) -> None:
    assert variables(template, "postgres", {})["instances"] == 0
    found = variables(template, "provisioning", {})
    assert (found["database"], found["workers"]) == ("", 0)


def test_with_postgresql_the_service_is_told_where_but_not_the_password(template: Template) -> None:
    parameters = {"database": "postgresql", "workers": 2, "database_port": 9001, "postgres_image": IMAGE}
    assert variables(template, "postgres", parameters) == {
        "image": IMAGE,
        "instances": 1,
        "port": 9001,
        "parts_ca": AUTHORITY,
    }
    found = variables(template, "provisioning", parameters)
    assert found["database"] == (
        "postgresql://calvinverse@postgres.calvinverse.internal:9001/calvinverse?hostaddr=127.0.0.1&sslmode=verify-full"
    )
    assert (found["parts_ca"], found["verified_checks"]) == (AUTHORITY, True)
    assert found["workers"] == 2
    needed = template.step("provisioning").needs
    assert {"postgres", "sealing-key"} <= set(needed)


def test_the_key_that_is_generated_is_one_that_the_service_takes(template: Template, tmp_path: Path) -> None:
    rule = VaultSecretOptions.model_validate(template.step("sealing-key").options).generate["key"]
    assert len(set(rule.alphabet)) == 64
    for letter in (rule.alphabet[0], rule.alphabet[-1], rule.alphabet[31]):
        key = letter * rule.length + "="  # as the job file writes it
        assert len(base64.urlsafe_b64decode(key)) == 32
        file = tmp_path / f"{ord(letter)}.key"
        file.write_text(key)
        sealer = KeyFileSealer(file)
        assert sealer.unseal(sealer.seal({"a": "b"})) == {"a": "b"}
        assert file.read_text() == key


def options_of_deploy(*arguments: str) -> dict[str, Any]:
    """How `doit deploy` reads its command line."""
    (task,) = [task for task in load_tasks(runpy.run_path(str(CHECKOUT / "dodo.py"))) if task.name == "deploy"]
    task.init_options(list(arguments))
    return dict(task.options)


def test_doit_takes_the_choice_and_says_nothing_of_what_is_left_out() -> None:
    given = options_of_deploy("--database", "postgresql", "--workers", "3")
    assert (given["database"], given["workers"]) == ("postgresql", 3)
    left_out = options_of_deploy()
    assert (left_out["database"], left_out["workers"]) == ("", None)
    for wrong in (("--database", "mysql"), ("--workers", "many")):
        with pytest.raises(CmdParseError):
            options_of_deploy(*wrong)
