"""What people wait for when they look: list and show, over HTTP, with many environments in the database."""

import gc
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from environments.client import read_bundle
from environments.context import ADDRESS_VARIABLE, CA_FILE_VARIABLE, TOKEN_FILE_VARIABLE
from environments.domain.access import EnvironmentRole, Group, PersonKind, Share
from environments.domain.environment import Deployment, Environment, Resource
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State, StepState
from environments.domain.references import SecretReference
from environments.domain.template_parts import Template
from environments.service.storage.transaction import Transaction
from environments.stores.database import Database, open_database
from tests.support.service_process import ServiceProcess

_RESOURCES = (
    "consul.kv",
    "vault.secret",
    "vault.certificates",
    "vault.pki-role",
    "nomad.namespace",
    "consul.policy",
    "consul.tokens",
    "vault.identity",
    "consul.services",
    "nomad.job",
)
LINES = 25
"""Log lines that one create of `web` leaves, about."""


def fill(service: ServiceProcess, template: Path, count: int) -> list[str]:
    """Writes environments that look like ready ones of `web` into the database of a service that doesn't run; names."""
    now = datetime.now(UTC)
    bundle = read_bundle(template)
    parsed = bundle.template()
    database = open_database(service.state / "service")
    names = [f"bench-{number:04}" for number in range(count)]
    with database.write() as tx:
        tx.templates.push("web", bundle, "bench", now)
        for number, name in enumerate(names):
            add_ready(tx, bundle.digest, parsed, name, number, now)
        _share(tx, names, now)
    database.close()
    return names


def add_ready(tx: Transaction, bundle: str, template: Template, name: str, number: int, now: datetime) -> None:
    """Writes one of them; `bundle` is the digest of its template, `number` decides its owner and its age."""
    owner, made = f"owner-{number % 20}", now - timedelta(seconds=number)
    environment = Environment(
        id=f"env-{name}",
        name=name,
        owner=owner,
        template="web",
        template_version="1",
        bundle=bundle,
        parameters={"replicas": 1, "message": "Hello from the bench", "branch": "main"},
        state=State.READY,
        state_since=made,
        created_at=made,
        deadline=now + timedelta(hours=8),
        maximum_deadline=now + timedelta(days=14),
        outputs={
            "url": {"value": f"https://127.0.0.1:{20000 + number}", "description": "", "secret": False},
            "message_key": {"value": f"environments/{name}/message", "description": "", "secret": False},
            "password": {
                "value": SecretReference(f"env-{name}", "password", f"environments/{name}/password", "password"),
                "description": "",
                "secret": True,
            },
        },
    )
    deployment = Deployment(
        id=f"dep-{name}",
        environment_id=environment.id,
        kind=DeploymentKind.CREATE,
        state=DeploymentState.SUCCEEDED,
        reason="created",
        requested_by=owner,
        requested_at=made,
        bundle=bundle,
        started_at=made,
        ended_at=made,
        epoch=1,
        worker="bench",
    )
    tx.environments.add(environment)
    tx.deployments.add(deployment)
    tx.journal.lay_out(deployment.id, [(step.name, step.uses, step.needs) for step in template.steps])
    for step in template.steps:
        tx.journal.set(deployment.id, step.name, StepState.RUNNING, made)
        tx.journal.set(deployment.id, step.name, StepState.DONE, made, outputs={"made": f"{name}/{step.name}"})
    tx.inventory.intend(
        [
            Resource(
                environment_id=environment.id,
                kind=kind,
                address=f"{kind}/{name}",
                status=ResourceStatus.PRESENT,
                created_at=made,
                updated_at=made,
            )
            for kind in _RESOURCES
        ],
        {},
    )
    tx.events.add_logs([(environment.id, deployment.id, "app", made, f"line {i}") for i in range(LINES)])


PEOPLE, GROUPS, SHARES = 200, 50, 2000
"""Who there is, and what is shared with them, besides the owners."""

READER = f"person-{PEOPLE - 1}"
"""Somebody who owns nothing, and sees every environment by shares of their own and of their groups."""


def _share(tx: Transaction, names: list[str], now: datetime) -> None:
    """People in four groups each, and shares: with the reader's group each environment, the others at random."""
    dice = random.Random(2)
    people = [f"person-{number}" for number in range(PEOPLE)]
    for person in people:
        tx.people.keep(person, PersonKind.PERSON, now, "bench")
    for number in range(GROUPS):
        tx.groups.add(Group(name=f"group-{number}", created_at=now))
    for person in people:
        for number in {0} if person == READER else dice.sample(range(1, GROUPS), 4):
            tx.groups.join(f"group-{number}", person, now)
    subjects = [*people[:-1], *(f"group:group-{number}" for number in range(1, GROUPS))]
    wanted = {(name, "group:group-0") for name in names}
    while len(wanted) < max(SHARES, len(names)):
        wanted.add((dice.choice(names), dice.choice(subjects)))
    for number, (name, subject) in enumerate(sorted(wanted)):
        tx.shares.put(
            Share(
                id=f"share-{number}",
                environment_id=f"env-{name}",
                subject=subject,
                role=dice.choice(list(EnvironmentRole)),
                until=now + timedelta(days=1) if number % 2 else None,
                by="bench",
                at=now,
            )
        )


def open_filled(service: ServiceProcess) -> Database:
    """The database of a service that doesn't run."""
    return open_database(service.state / "service")


def measure(
    service: ServiceProcess, names: list[str], count: int, page: int | None = None
) -> tuple[list[float], list[float]]:
    """Seconds of `count` lists and `count` shows in turns, through the client, on one kept connection.

    With `page` a list is one page of so many, beginning at a random place; else it is whole.
    """
    client, dice = service.client, random.Random(1)
    # A front end of its own has none of what the bench has loaded: the collector shan't walk through it here.
    gc.collect()
    gc.freeze()
    lists: list[float] = []
    shows: list[float] = []
    for number in range(-5, count):  # the first few warm up
        before = f"env-{dice.choice(names[: -page or None])}" if page else None
        began = time.perf_counter()
        found = client.environments(limit=page, before=before)
        listed = time.perf_counter()
        shown = client.environment(dice.choice(names))
        ended = time.perf_counter()
        assert len(found) == (page or len(names)), f"{len(found)} environments were listed"
        assert shown.deployment is not None
        assert shown.deployment.steps
        if number >= 0:
            lists.append(listed - began)
            shows.append(ended - listed)
    return lists, shows


def measure_command(service: ServiceProcess, count: int) -> list[float]:
    """Seconds of `calvinverse env list`, from the start of the process to its end."""
    where = {ADDRESS_VARIABLE: service.address, TOKEN_FILE_VARIABLE: str(service.token_file)}
    if service.ca_file is not None:
        where[CA_FILE_VARIABLE] = str(service.ca_file)
    environment = {**os.environ, **where}
    command = [sys.executable, "-m", "environments", "env", "list"]
    times = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=60, check=True)
        times.append(time.perf_counter() - began)
    return times
