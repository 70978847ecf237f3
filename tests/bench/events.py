"""What a storm of deliveries costs: how soon each is answered, and how soon all are matched and carried out.

Real processes on PostgreSQL, which speak TLS as the deployed ones do, and a forge in a process of its own.
The secrets of webhooks are in memory, and reading them takes as long as reading OpenBao.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path

from environments.domain.access import PersonKind
from environments.domain.environment import Environment
from environments.domain.lifecycle import State
from environments.domain.template import make_bundle
from environments.domain.trigger import PlacedTrigger, Trigger
from environments.service.storage.transaction import Transaction
from environments.stores.postgres import open_postgres
from environments.wire.webhooks import WebhookRequest
from tests.bench.engine_queue import used
from tests.bench.figures import Figure, Sample
from tests.bench.forge_load import Answer, Load
from tests.support.authorities import make_authority
from tests.support.multiprocess import Member, until
from tests.support.postgres import Postgres

MODULE = "tests.bench.webhook_service"
WEBHOOK = "forge"

REPOSITORIES = 10
ENVIRONMENTS = 20
"""For each repository, all made from its template, in which a trigger stands."""

OWNERS = 20
BRANCHES = 200

RATE, SECONDS, TRIGGERS = 150.0, 60.0, 1000
"""What must be accepted, and matched with how many triggers."""

LONGEST_ANSWER = 50
"""Milliseconds: p95."""

LONGEST_MATCHING = 10_000
"""Milliseconds after the last delivery."""

PATIENCE = 300.0
"""Seconds after the last delivery until all must have been matched and carried out."""

_TEMPLATE = """
[template]
name = "shop-{number}"
[parameters.branch]
type = "string"
[[steps]]
name = "key"
uses = "consul.kv"
with = {{ path = "x", value = "y" }}
[[triggers]]
name = "pushed"
on = "git.pull_request"
kinds = ["pushed"]
webhook = "forge"
repository = "acme/shop-{number}"
when = {{ head_branch = "{{{{ parameters.branch }}}}" }}
action = "notify"
message = "{{{{ event.head_sha }}}} was pushed to {{{{ event.head_branch }}}}"
"""


@dataclass(frozen=True)
class Storm:
    """What was measured, in seconds. `matched` and `carried_out`: after the last delivery was due.

    `processor`: what the processes of the service used of their cores meanwhile, first the one that answers.
    """

    answers: list[Answer]
    matched: float
    carried_out: float
    events: int
    firings: int
    processor: list[float]


def figures(storm: Storm, alone: Storm) -> tuple[list[Figure], list[Sample]]:
    """For the page of the docs; `alone`: what one process did, which has no bar.

    Fails if a delivery was refused, or became two events or none.
    """
    found, sample = _figures(storm, "service and a worker", bars=True)
    more, other = _figures(alone, "one process", bars=False)
    return found + more, [sample, other]


def _figures(storm: Storm, of: str, *, bars: bool) -> tuple[list[Figure], Sample]:
    refused = [answer.status for answer in storm.answers if answer.status != HTTPStatus.ACCEPTED]
    assert not refused, f"{len(refused)} deliveries weren't accepted: {sorted(set(refused))}"
    events = {answer.event for answer in storm.answers}
    assert len(events) == len(storm.answers) == storm.events, f"they became {storm.events} events"
    count = len(storm.answers)
    name = f"{of}: a delivery, from the moment that it is due to its answer"
    answers = Sample(name, [one.seconds for one in storm.answers])
    longest, matching = (LONGEST_ANSWER, LONGEST_MATCHING) if bars else (None, None)
    used = " and ".join(f"{part / count * 1000:.1f}" for part in storm.processor)
    return [
        Figure.of(f"{of}: a delivery's answer, p95", answers, bar=longest),
        Figure(f"{of}: until all {count} are matched, after the last one", storm.matched * 1000, matching),
        Figure(
            f"{of}: until all firings are carried out, likewise", storm.carried_out * 1000, detail=str(storm.firings)
        ),
        Figure(f"{of}: processor time for a delivery", sum(storm.processor) / count * 1000, detail=used),
    ], answers


def measure(folder: Path, postgres: Postgres, *, rate: float, seconds: float, triggers: int, workers: int) -> Storm:
    """Delivers to one process, beside which there are so many workers, and waits until nothing is left to do."""
    address = postgres.new_database()
    _fill(address, postgres.password_file, triggers)
    service, *others = members = [
        Member(folder / name, name.partition("-")[0], address, postgres.password_file, folder)
        for name in ("all", *(f"worker-{number}" for number in range(workers)))
    ]
    service.secured(make_authority())
    try:
        for member in members:
            member.start(module=MODULE)
        until(lambda: any(member.leads for member in others or members), otherwise="nobody leads who should")
        secret = service.client.create_webhook(WebhookRequest(name=WEBHOOK, kind="gitea", users=("everyone",))).secret
        assert service.ca_file is not None
        load = Load(
            port=service.port,
            ca_file=str(service.ca_file),
            path=f"/v1/webhooks/{WEBHOOK}/deliveries",
            secret=secret,
            rate=rate,
            seconds=seconds,
            repositories=REPOSITORIES,
            branches=BRANCHES,
        )
        before = [used(member.pid) for member in members]
        answers = _deliver(load)
        ended = time.monotonic() - max(0.0, answers[-1].seconds)
        name = address.rpartition("/")[2]
        matched = _until_none(postgres, name, "SELECT 1 FROM received_events WHERE state = 'waiting' LIMIT 1", ended)
        carried_out = _until_none(postgres, name, "SELECT 1 FROM firings WHERE state = 'pending' LIMIT 1", ended)
        with postgres.connect(name) as connection:
            (events,) = connection.execute("SELECT count(*) FROM received_events").fetchone() or (0,)
            (firings,) = connection.execute("SELECT count(*) FROM firings WHERE state = 'done'").fetchone() or (0,)
        processor = [used(member.pid) - earlier for member, earlier in zip(members, before, strict=True)]
        return Storm(answers, matched, carried_out, int(str(events)), int(str(firings)), processor)
    finally:
        for member in reversed(members):
            member.stop()


def _deliver(load: Load) -> list[Answer]:
    command = [sys.executable, "-m", "tests.bench.forge_load"]
    found = subprocess.run(
        command,
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        timeout=load.seconds + PATIENCE,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return [Answer(**one) for one in json.loads(found.stdout)]


def _until_none(postgres: Postgres, database: str, query: str, since: float) -> float:
    """Seconds since that moment when the query finds nothing."""
    with postgres.connect(database) as connection:
        while connection.execute(query.encode()).fetchone() is not None:
            assert time.monotonic() - since < PATIENCE, f"{query}: it doesn't end"
            time.sleep(0.02)
    return max(0.0, time.monotonic() - since)


def _fill(address: str, password_file: Path, triggers: int) -> None:
    """Writes owners, environments, and so many triggers: one in each template, the others alone and on environments."""
    database = open_postgres(address, password_file)
    now, numbers = datetime.now(UTC), count()
    try:
        with database.write() as tx:
            for number in range(OWNERS):
                tx.people.keep(f"owner-{number}", PersonKind.PERSON, now, "bench")
        for repository in range(REPOSITORIES):
            share = triggers // REPOSITORIES - 1
            with database.write() as tx:
                environments = _environments(tx, repository, now)
                for definition, environment in _triggers(repository, share, environments):
                    number = next(numbers)
                    placed = PlacedTrigger(
                        id=f"trg-{number:012}",
                        name=definition.name,
                        owner=f"owner-{number % OWNERS}" if environment is None else environment.owner,
                        definition=definition,
                        environment_id=None if environment is None else environment.id,
                        created_by="bench",
                        created_at=now,
                    )
                    tx.triggers.add(placed)
    finally:
        database.close()


def _environments(tx: Transaction, repository: int, now: datetime) -> list[Environment]:
    bundle = make_bundle({"template.toml": _TEMPLATE.format(number=repository).encode()})
    tx.templates.push(f"shop-{repository}", bundle, "bench", now)
    made = []
    for number in range(ENVIRONMENTS):
        environment = Environment(
            id=f"env-{repository:04}{number:08}",
            name=f"shop-{repository}-{number}",
            owner=f"owner-{number % OWNERS}",
            template=f"shop-{repository}",
            template_version="1",
            bundle=bundle.digest,
            parameters={"branch": f"branch-{number}"},
            state=State.READY,
            state_since=now,
            created_at=now,
            deadline=now + timedelta(days=1),
        )
        tx.environments.add(environment)
        made.append(environment)
    return made


def _triggers(
    repository: int, share: int, environments: list[Environment]
) -> Iterator[tuple[Trigger, Environment | None]]:
    """Triggers for one repository, of which an event hits few: on environments, alone for those of a template, and
    such that create."""
    template, shop = f"shop-{repository}", {"webhook": WEBHOOK, "repository": f"acme/shop-{repository}"}
    for number in range(share):
        given = {"name": f"shop-{repository}-{number}", "on": "git.pull_request", **shop}
        environment: Environment | None = environments[number % len(environments)]
        branch = f"branch-{number}"
        more: dict[str, object]
        match number % 5:
            case 0:
                told = {"action": "notify", "message": "{{ event.title }} was closed"}
                more = {"kinds": ["closed"], "when": {"head_branch": branch}, **told}
            case 1:
                more = {"kinds": ["labelled"], "when": {"labels": f"deploy-{number}"}, "action": "update"}
            case 2:
                environment = None
                told = {"action": "notify", "message": "{{ event.number }}", "template": template}
                more = {"kinds": ["opened"], "when": {"number": number, "title": {"matches": "*basket*"}}, **told}
            case 3:
                environment = None
                when = {"base_branch": {"starts_with": f"release-{number}"}, "fork": False}
                more = {"when": when, "action": "destroy", "template": template}
            case _:
                environment = None
                when = {"title": {"matches": f"*[preview {number}]*"}, "draft": False}
                making = {"action": "create", "template": template, "environment": "pr-{{ event.number }}"}
                more = {"kinds": ["opened", "reopened"], "when": when, **making}
        yield Trigger.model_validate({**given, **more}), environment
