"""Admission in the database: a claim takes what the rules say, also when many claim at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from environments.domain.admission import KINDS, Lane, starts
from environments.domain.environment import Deployment, Environment
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State
from environments.service import transitions
from environments.stores.database import Database, open_database
from environments.stores.schema import deployments, environments, owner_turns
from tests.support.admission_model import NOW, STEPS, Model, Request, request_of

DEPLOY = KINDS[Lane.DEPLOY]
LEASE = 30.0


# --- in the database --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = open_database(tmp_path)
    else:
        server = request.getfixturevalue("postgres")
        database = open_database(tmp_path, server.new_database(), server.password_file)
    yield database
    database.close()


def write_down(database: Database, one: Request, kind: DeploymentKind = DeploymentKind.CREATE) -> None:
    with database.write() as tx:
        if tx.environments.named(one.environment) is None:
            tx.environments.add(
                Environment(
                    id=one.environment,
                    name=one.environment,
                    owner=one.owner,
                    template=one.template,
                    template_version="1",
                    bundle="none",
                    state=State.REQUESTED,
                    state_since=NOW,
                    created_at=NOW,
                )
            )
        tx.deployments.add(
            Deployment(
                id=one.id,
                environment_id=one.environment,
                kind=kind,
                state=DeploymentState.QUEUED,
                reason="",
                requested_by=one.owner,
                requested_at=one.at,
                bundle="none",
                template=one.template,
                template_limit=one.limit,
                by_machine=one.by_machine,
            )
        )


def claim(database: Database, now: datetime = NOW, worker: str = "w", lease: float = LEASE) -> Deployment | None:
    with database.write() as tx:
        found = tx.deployments.claim(worker, lease, DEPLOY, now)
        return found and found.deployment


def finish(database: Database, deployment_id: str) -> None:
    with database.write() as tx:
        held = tx.deployments.get(deployment_id)
        assert held is not None
        assert held.worker is not None
        tx.deployments.end(held.id, held.worker, held.epoch, DeploymentState.SUCCEEDED, None, NOW)


def empty(database: Database) -> None:
    with database.write() as tx:
        for table in (deployments, environments, owner_turns):
            tx._connection.execute(table.delete())


@given(STEPS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_claim_takes_what_the_rules_say(database: Database, steps: list[tuple[str, object]]) -> None:
    empty(database)
    model, now, asked = Model(), NOW, 0
    for verb, value in steps:
        if verb == "ask":
            asked += 1
            one = request_of(asked, value, now)  # type: ignore[arg-type]
            model.waiting.append(one)
            write_down(database, one)
        elif verb == "wait":
            now += timedelta(seconds=value)  # type: ignore[arg-type]
        elif verb == "end" and model.running:
            finish(database, model.running.pop(value % len(model.running)).id)  # type: ignore[operator]
        elif verb == "start":
            expected = model.next(now)
            with database.read() as tx:
                assert tx.deployments.waiting(DEPLOY, now) == (expected is not None)
                queue = tx.deployments.queue(Lane.DEPLOY)
            first = next(starts(queue, now), None)
            found = claim(database, now)
            assert (found and found.id) == (first and first.id) == (expected and expected.id)
            if expected is not None:
                model.start(expected)


@pytest.mark.parametrize("round", range(3))
def test_a_limit_holds_while_many_claim_at_once(database: Database, round: int) -> None:
    for number in range(12):
        template, limit = (("web", 2), ("data", None))[number % 2]
        write_down(database, Request(f"dep-{number}", f"env-{number}", "ada", template, limit, False, NOW))
    start = threading.Barrier(8)

    def take(worker: int) -> list[str]:
        start.wait(120)
        taken = []
        while (found := claim(database, worker=f"w-{worker}")) is not None:
            taken.append(found.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [found for some in pool.map(take, range(8)) for found in some]
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 2 + 6
    with database.read() as tx:
        assert tx.deployments.queue(Lane.DEPLOY).of_template("web") == 2
        assert not tx.deployments.waiting(DEPLOY, NOW)
    for deployment_id in taken:
        finish(database, deployment_id)
    with ThreadPoolExecutor(8) as pool:
        assert sum(len(some) for some in pool.map(take, range(8))) == 2


def test_what_was_admitted_goes_on_first_and_still_counts(database: Database) -> None:
    write_down(database, Request("dep-1", "env-1", "ada", "web", 1, False, NOW + timedelta(minutes=1)))
    assert claim(database, worker="dead", lease=-1.0)
    write_down(database, Request("dep-2", "env-2", "grace", "web", 1, False, NOW))
    with database.read() as tx:
        assert tx.deployments.waiting(DEPLOY, NOW)
    again = claim(database)
    assert again is not None
    assert (again.id, again.epoch, again.worker) == ("dep-1", 2, "w")
    assert claim(database) is None  # one of web at once
    finish(database, "dep-1")
    last = claim(database)
    assert last is not None
    assert last.id == "dep-2"


def test_a_destroy_starts_that_waits_for_what_a_dead_worker_left(database: Database) -> None:
    write_down(database, Request("dep-1", "env-1", "ada", "web", None, False, NOW))
    assert claim(database)
    with database.write() as tx:
        tx.deployments.supersede("env-1", NOW)
    write_down(database, Request("dep-2", "env-1", "ada", "web", None, False, NOW), DeploymentKind.DESTROY)
    destroys = KINDS[Lane.DESTROY]
    with database.read() as tx:
        assert not tx.deployments.waiting(destroys, NOW)  # its worker may still be at it
    with database.write() as tx:
        tx.deployments.release_all()  # as a service does that starts after a crash
    with database.read() as tx:
        assert tx.deployments.waiting(destroys, NOW)
    with database.write() as tx:
        found = transitions.claim(tx, "w", LEASE, destroys, NOW)
    assert found is not None
    assert found.deployment.id == "dep-2"
    with database.read() as tx:
        assert not tx.deployments.waiting(destroys, NOW)


def test_a_deployment_without_a_template_of_its_own_counts_for_its_environments(database: Database) -> None:
    with database.write() as tx:
        tx._connection.execute(deployments.update().values(template=""))
    write_down(database, Request("dep-1", "env-1", "ada", "web", None, False, NOW))
    with database.write() as tx:
        tx._connection.execute(deployments.update().values(template=""))
    assert claim(database)
    write_down(database, Request("dep-2", "env-2", "ada", "web", 1, False, NOW))
    assert claim(database) is None


def test_lanes_dont_wait_for_each_other(database: Database) -> None:
    write_down(database, Request("dep-1", "env-1", "ada", "web", 1, False, NOW))
    write_down(database, Request("dep-2", "env-2", "ada", "web", 1, False, NOW))
    write_down(database, Request("dep-3", "env-3", "ada", "web", 1, False, NOW), DeploymentKind.DESTROY)
    assert claim(database)
    assert claim(database) is None
    with database.write() as tx:
        found = tx.deployments.claim("w", LEASE, KINDS[Lane.DESTROY], NOW)
    assert found is not None
    assert found.deployment.id == "dep-3"


def test_what_is_held_up_holds_up_nothing_behind_it(database: Database) -> None:
    write_down(database, Request("dep-1", "env-1", "ada", "web", None, False, NOW))
    assert claim(database)
    write_down(database, Request("dep-2", "env-1", "ada", "web", None, False, NOW))
    write_down(database, Request("dep-3", "env-3", "ada", "web", None, False, NOW + timedelta(seconds=1)))
    found = claim(database)
    assert found is not None
    assert found.id == "dep-3"
    with database.read() as tx:
        assert not tx.deployments.waiting(DEPLOY, NOW)
    finish(database, "dep-1")
    assert claim(database)


def test_owners_take_turns_whatever_ends_meanwhile(database: Database) -> None:
    for number in range(4):
        write_down(database, Request(f"dep-{number}", f"env-{number}", "ada", "web", None, False, NOW))
    for number in range(4, 6):
        at = NOW + timedelta(seconds=number)
        write_down(database, Request(f"dep-{number}", f"env-{number}", "grace", "web", None, False, at))
    order = []
    while (found := claim(database)) is not None:
        order.append(found.id)
        finish(database, found.id)
    assert order == ["dep-0", "dep-4", "dep-1", "dep-5", "dep-2", "dep-3"]
