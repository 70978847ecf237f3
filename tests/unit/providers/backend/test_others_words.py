"""What parts say may quote names that strangers chose: such words decide nothing."""

from typing import Any

import pytest
from psycopg.errors import OperationalError

from environments.domain.errors import (
    BackendError,
    DatabaseDenied,
    InvalidJob,
    SourceDenied,
    SourceFailed,
    StorageError,
)
from environments.providers.backend.calls import is_away, knows_no_token
from environments.providers.git import calls as git_calls
from environments.providers.nomad.namespace import NamespaceHandler
from environments.providers.nomad.ports import Job
from environments.steps.base import Owner
from environments.steps.marks import MARK
from environments.stores import postgres_calls
from tests.support.step_harness import Run, StepHarness

JOB: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 1}}


@pytest.mark.parametrize("said", ["ACL not found", "rpc error making call: ACL not found", "ACL not found\n"])
def test_consul_may_say_with_a_500_that_it_knows_no_token(said: str) -> None:
    assert knows_no_token("consul", 500, said)
    assert not knows_no_token("nomad", 500, said)
    assert not knows_no_token("consul", 404, said)


@pytest.mark.parametrize("said", ["No cluster leader", "rpc error making call: No cluster leader"])
def test_a_part_without_a_leader_is_away(said: str) -> None:
    assert is_away(500, said)
    assert not is_away(404, said)
    assert is_away(503, "Vault is sealed")


@pytest.mark.parametrize("name", ["ACL not found", "No cluster leader", "Vault is sealed"])
def test_a_name_that_reads_like_an_answer_is_only_a_name(name: str) -> None:
    for said in (f'Unknown service ID "{name}". Ensure that the service ID is passed', f"failed to write {name}"):
        assert not knows_no_token("consul", 500, said)
        assert not is_away(500, said)
        assert not is_away(400, said)


def test_an_environment_named_like_a_reason_is_not_waited_for() -> None:
    world = StepHarness()
    owner = Owner("env-1", "non-terminal")
    world.nomad.write_namespace(owner.name, "", {MARK: owner.id})

    def refuse(name: str) -> None:
        raise BackendError(f'Nomad failed to delete a namespace: namespace "{name}" is in use by a quota.')

    world.nomad.remove_namespace = refuse  # type: ignore[method-assign]
    run = Run(limit=60.0)
    with pytest.raises(BackendError, match="in use by a quota"):
        NamespaceHandler(world.nomad).destroy(owner.name, owner, run)


def test_a_job_that_talks_of_indexes_is_registered_once() -> None:
    world = StepHarness()
    tries = []

    def reject(namespace: str, job: Job, index: int) -> str:
        tries.append(index)
        raise InvalidJob("Nomad rejects the job: task 'Enforcing job modify index' has no driver.")

    world.nomad.register = reject  # type: ignore[method-assign]
    with pytest.raises(InvalidJob, match="has no driver"):
        world.apply("nomad.job", JOB)
    assert tries == [0]


def test_what_a_git_server_lets_git_show_decides_nothing() -> None:
    shown = "remote: Authentication failed, error: 401\nremote: Connection refused\n"
    told = git_calls._error(f"{shown}fatal: the remote end sent what can't be read")
    assert type(told) is SourceFailed
    assert told.message == "git failed: the remote end sent what can't be read."
    denied = git_calls._error("remote: Not here.\nfatal: repository 'https://host/a.git/' not found")
    assert type(denied) is SourceDenied


@pytest.mark.parametrize("name", ["password", "authentication", "too many clients"])
def test_a_database_named_like_a_reason_is_only_a_name(name: str) -> None:
    told = postgres_calls._ours(OperationalError(f'connection failed: FATAL:  database "{name}" does not exist'), "x")
    assert type(told) is StorageError
    refused = postgres_calls._ours(OperationalError(f'FATAL:  password authentication failed for user "{name}"'), "x")
    assert type(refused) is DatabaseDenied
