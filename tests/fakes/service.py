"""The service without its engine: the real use cases and database, with the world around them replaced.

Nothing runs: a test moves environments on itself (`move`, `finish`). `served` puts the real API before it, on loopback.
"""

import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from environments.api.app import create_app
from environments.bootstrap.sign_in import pages, signing_in
from environments.bootstrap.webhooks import Incoming, webhooks_of
from environments.client import Client
from environments.domain.containers import Container
from environments.domain.environment import Drift, Environment, EventType, Failure, Resource
from environments.domain.errors import CalvinverseError, NotAllowedNow, NotFound
from environments.domain.lifecycle import DeploymentKind, DeploymentState, ResourceStatus, State, StepState
from environments.domain.names import ID_LENGTH
from environments.domain.plan import StepPlan
from environments.domain.references import SECRET_STEPS, SecretReference
from environments.domain.template import make_bundle
from environments.providers.backend.outgoing import AddressRule, outgoing_session
from environments.providers.forges.kinds import KINDS
from environments.providers.git.source import GitRepositories
from environments.providers.oidc.fetching import BackChannel
from environments.providers.openbao_people.provide import assemble
from environments.providers.vault.webhook_secrets import OpenBaoWebhookSecrets
from environments.service.access_reasons import AccessReasons
from environments.service.audit_collecting import AuditCollector
from environments.service.audit_reading import AuditReading
from environments.service.audit_verifying import AuditVerifier
from environments.service.authorization import Principal
from environments.service.built_in_provider import AuthorizationPage
from environments.service.calendars import Calendars
from environments.service.catalogue import Catalogue
from environments.service.channels import Channels
from environments.service.checking import Checks, DirectChecks
from environments.service.ci_exchange import CiExchange
from environments.service.container_logs import ContainerLogs, JobKinds
from environments.service.creators import Creators
from environments.service.deliveries import Deliveries
from environments.service.device_grant import DeviceGrants
from environments.service.drift import Drifting
from environments.service.entry_points import EntryPoints
from environments.service.event_reading import EventReading
from environments.service.expiry import Expiry
from environments.service.extend_links import ExtendLinks
from environments.service.feed import Feed
from environments.service.groups import Groups
from environments.service.heartbeats import Heartbeats
from environments.service.holding import Holding
from environments.service.images import Images
from environments.service.issuers import Issuers
from environments.service.local_people import ManageLocalPeople
from environments.service.module_states import ModuleStates
from environments.service.old_owners import OldOwners
from environments.service.overview import Overview
from environments.service.ownership import Ownership
from environments.service.people import People
from environments.service.planner import Target
from environments.service.planning import Planning
from environments.service.policies import Policies
from environments.service.preview_reading import PreviewReading
from environments.service.queueing import Queueing
from environments.service.reading import Reading
from environments.service.receiving import Receiving
from environments.service.recovery import Recovery
from environments.service.requests import Requests
from environments.service.retiming import Retiming
from environments.service.service_accounts import ServiceAccounts
from environments.service.service_roles import ServiceRoles
from environments.service.sessions import Sessions
from environments.service.sharing import Sharing
from environments.service.sign_in import SignIn
from environments.service.sources import Sources
from environments.service.storage.transaction import Transaction
from environments.service.switching import Switching
from environments.service.time_edits import TimeEdits
from environments.service.tokens import Tokens
from environments.service.trigger_testing import TriggerTesting
from environments.service.triggers import Triggers
from environments.service.warnings import GRACE, Warnings
from environments.service.webhooks import Webhooks
from environments.serving.certificate import ServedCertificate
from environments.serving.server import make_server
from environments.stores.database import Database
from tests.fakes.backends.nomad_logs import MemoryContainers
from tests.fakes.backends.openbao_people import MemoryPeopleCalls
from tests.fakes.backends.vault import MemorySecrets
from tests.fakes.channels import MemoryChannels
from tests.fakes.entry_points import FakeEdgeRoutes
from tests.fakes.identity import MemoryProvider, MemoryProviders
from tests.fakes.kinds import AnyKind
from tests.support.migrated import open_migrated

WEB = """
[template]
name = "web"
version = "3"
description = "A small service"

[lifetime]
default = "8h"
maximum = "14d"

[parameters.replicas]
type = "integer"
default = 1
minimum = 1
maximum = 20
description = "How many instances"

[parameters.message]
type = "string"
default = "Hello"

[parameters.verbose]
type = "boolean"
default = false

[[steps]]
name = "settings"
uses = "fake"
with = { keys = { message = "{{ parameters.message }}" } }

[[steps]]
name = "app"
uses = "fake"
needs = ["settings"]

[outputs]
url = "{{ steps.app.url }}"
"""

AUDIT_KEY = b"\2" * 32

CA = "-----BEGIN CERTIFICATE-----\nZmFrZQ==\n-----END CERTIFICATE-----\n"


class FakeBackends:
    """Secrets, the CA, parts, sealing, plans and observations, as far as the use cases ask for them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.secrets: dict[tuple[str, str], str] = {}
        self.drifts: dict[str, Drift] = {}
        """Environment (name) → what every observation finds there, in place of `steps`."""
        self.words: dict[str, list[str] | None] = {}
        """Environment (name) → the values of its secrets, which are removed from output; None: too many."""
        self.troubled: dict[str, str] = {}
        self.steps: tuple[StepPlan, ...] = ()
        """The steps that every plan and every observation finds from now on."""
        self.fault: CalvinverseError | None = None
        """Raised by every plan and every observation from now on."""

    def plan(self, target: Target, troubles: MutableMapping[str, str] | None = None) -> tuple[StepPlan, ...]:
        if self.fault is not None:
            raise self.fault
        return self.steps

    def observe(self, environment: Environment) -> Drift:
        if self.fault is not None:
            raise self.fault
        if (drift := self.drifts.get(environment.name)) is not None:
            return drift.model_copy(update={"observed_at": self._clock()})
        return Drift(observed_at=self._clock(), steps=self.steps)

    def read_secrets(self, environment: Environment, references: Mapping[str, SecretReference]) -> dict[str, str]:
        try:
            return {name: self.secrets[found.path, found.key] for name, found in references.items()}
        except KeyError as error:
            raise NotFound(f"There is no secret {error}.") from None

    def words_of(self, environment: Environment) -> Sequence[str]:
        words = self.words.get(environment.name, ())
        if words is None:
            raise NotAllowedNow(f"{environment.name!r} has more secrets than are removed from output.")
        return words

    def ca_chain(self) -> str:
        return CA

    def addresses(self) -> dict[str, str]:
        return {"consul": "http://127.0.0.1:8500", "database": "sqlite"}

    def troubles(self) -> dict[str, str]:
        return dict(self.troubled)

    def seal(self, secrets: dict[str, str]) -> bytes:
        return json.dumps(secrets).encode()[::-1]

    def unseal(self, sealed: bytes) -> dict[str, str]:
        opened: dict[str, str] = json.loads(sealed[::-1])
        return opened

    def derive(self, label: str) -> bytes:
        return sha256(label.encode()).digest()


@dataclass
class FakeService:
    """What `environments.api.ports.Service` asks for, and handles for tests."""

    database: Database
    world: FakeBackends
    tokens: Tokens
    service_accounts: ServiceAccounts
    ci_exchange: CiExchange
    catalogue: Catalogue
    sources: Sources
    images: Images
    time_edits: TimeEdits
    policies: Policies
    calendars: Calendars
    retiming: Retiming
    requests: Requests
    expiry: Expiry
    holding: Holding
    triggers: Triggers
    trigger_testing: TriggerTesting
    event_reading: EventReading
    people: People
    old_owners: OldOwners
    ownership: Ownership
    groups: Groups
    sharing: Sharing
    service_roles: ServiceRoles
    creators: Creators
    access_reasons: AccessReasons
    overview: Overview
    reading: Reading
    planning: Planning
    recovery: Recovery
    drifting: Drifting
    containers: MemoryContainers
    container_logs: ContainerLogs
    queueing: Queueing
    preview_reading: PreviewReading
    warnings: Warnings
    extend_links: ExtendLinks
    switching: Switching
    heartbeats: Heartbeats
    sign_in: SignIn
    sessions: Sessions
    device_grants: DeviceGrants
    authorization_page: AuthorizationPage | None
    identity: MemoryProviders
    local_people: ManageLocalPeople
    issuers: Issuers
    provider_endpoints: MemoryPeopleCalls
    module_states: ModuleStates
    feed: Feed
    entry_points: EntryPoints
    edge_routes: FakeEdgeRoutes
    clock: Callable[[], datetime]
    audit: AuditReading
    audit_collector: AuditCollector
    webhooks: Webhooks
    deliveries: Deliveries
    incoming: Incoming
    own_address: str = "https://calvinverse.example.net"
    version: str = "0.1.0"
    admin: Principal = field(default_factory=lambda: Principal("root", "admin", "tok-root"))

    def move(self, name: str, *states: State, message: str = "", failure: Failure | None = None) -> None:
        """Moves an environment through states, telling of each."""
        for state in states:
            with self.database.write() as tx:
                _move(tx, name, state, message, failure)

    def step(self, name: str, step: str, state: StepState, *, failure: Failure | None = None) -> None:
        """Moves a step of the newest deployment, telling of it."""
        now = datetime.now(UTC)
        with self.database.write() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            deployment = tx.deployments.of(environment.id)[0]
            template = self.catalogue.bundle(environment.template).template()
            tx.journal.lay_out(deployment.id, [(part.name, part.uses, part.needs) for part in template.steps])
            tx.journal.set(deployment.id, step, state, now, **({"failure": failure} if failure else {}))
            tx.events.add(
                EventType.STEP_STATE,
                environment.id,
                now,
                deployment_id=deployment.id,
                step=step,
                data={"state": state.value, "failure": failure.model_dump(mode="json") if failure else None},
            )

    def finish(self, name: str, state: State, failure: Failure | None = None) -> None:
        """Ends the environment's newest deployment, in `state` of the environment."""
        now = datetime.now(UTC)
        with self.database.write() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            newest = tx.deployments.of(environment.id)[0]
            claim = tx.deployments.claim("test", 60, list(DeploymentKind), now)
            while claim is not None and claim.deployment.id != newest.id:
                claim = tx.deployments.claim("test", 60, list(DeploymentKind), now)
            assert claim is not None
            outcome = DeploymentState.FAILED if failure else DeploymentState.SUCCEEDED
            tx.deployments.end(newest.id, "test", claim.deployment.epoch, outcome, failure, now)
            tx.events.add(
                EventType.DEPLOYMENT_STATE,
                environment.id,
                now,
                deployment_id=newest.id,
                data={"state": outcome.value},
            )
            _move(tx, name, state, "", failure)

    def log(self, name: str, *lines: str, step: str = "app") -> None:
        """Writes lines of log."""
        with self.database.write() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            deployment = tx.deployments.of(environment.id)[0]
            now = datetime.now(UTC)
            tx.events.add_logs([(environment.id, deployment.id, step, now, line) for line in lines])

    def register(self, name: str, job: str = "web", *, made: bool = True) -> None:
        """What a step does that registers a job: it is in the inventory with its namespace; not `made`: only wanted."""
        now = datetime.now(UTC)
        with self.database.write() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            both = [("nomad.namespace", name), ("nomad.job", f"{name}/{job}")]
            wanted = [
                Resource(
                    environment_id=environment.id,
                    kind=kind,
                    address=address,
                    status=ResourceStatus.INTENDED,
                    created_at=now,
                    updated_at=now,
                )
                for kind, address in both
            ]
            tx.inventory.intend(wanted, {})
            if made:
                tx.inventory.settle(environment.id, both, now)

    def run(self, name: str, job: str = "web", task: str = "app", **more: Any) -> Container:
        """Registers a job, whose container runs."""
        self.register(name, job)
        return self.containers.add(name, job, task, **more)

    def outputs(self, name: str, outputs: dict[str, Any]) -> None:
        """Sets an environment's outputs: name → {value, description, secret}."""
        with self.database.write() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            tx.environments.change(environment.id, outputs=outputs)

    def keep_secret(self, name: str, step: str, key: str, value: str) -> SecretReference:
        """What a step that keeps secrets does: it keeps one, and gives the reference that its line of journal has."""
        with self.database.write() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            deployment = tx.deployments.of(environment.id)[0]
            reference = SecretReference(environment.id, step, f"environments/{environment.name}/{step}", key)
            tx.journal.lay_out(deployment.id, [(step, SECRET_STEPS, ())])
            given = {"references": {key: reference}}
            tx.journal.set(deployment.id, step, StepState.RUNNING, datetime.now(UTC))
            tx.journal.set(deployment.id, step, StepState.DONE, datetime.now(UTC), outputs=given)
        self.world.secrets[reference.path, key] = value
        return reference


def _move(tx: Transaction, name: str, state: State, message: str, failure: Failure | None) -> None:
    now = datetime.now(UTC)
    environment = tx.environments.named(name)
    assert environment is not None
    ended = {"destroyed_at": now} if state is State.DESTROYED else {}
    tx.environments.set_state(environment.id, state, now, failure=failure, **ended)
    tx.events.add(EventType.ENVIRONMENT_STATE, environment.id, now, message=message, data={"state": state.value})


def _now() -> datetime:
    return datetime.now(UTC)


EXTERNAL = "https://calvinverse.example.net"
"""Where links in warnings lead."""


def make_service(
    folder: Path,
    checks: Checks | None = None,
    opened: Callable[[Path], Database] = open_migrated,
    *,
    clock: Callable[[], datetime] = _now,
    new_id: Callable[[str], str] | None = None,
    kinds: Collection[str] = ("fake",),
    template: str = WEB,
    channels: Channels | None = None,
) -> FakeService:
    """A service with the template `web`, on a new database in `folder` unless `opened` opens another.

    `checks`: others than without limits. `kinds`: the step kinds, which find nothing wrong with any step.
    """
    database = opened(folder)
    database.audit_key = AUDIT_KEY
    feed = Feed()
    database.on_commit.append(feed.publish)
    world = FakeBackends(clock)
    numbers = itertools.count(1)

    def shaped_id(kind: str) -> str:
        """Of the shape of real ids, in the order of making."""
        return f"{kind}-{next(numbers):0{ID_LENGTH}}".replace("0", "a").replace("1", "b")

    new_id = new_id or shaped_id
    step_kinds = {kind: AnyKind() for kind in kinds}
    containers = MemoryContainers()
    checks = DirectChecks(step_kinds) if checks is None else checks
    entry_points = EntryPoints(database, clock, "apps.example.org", 443)
    catalogue = Catalogue(database, checks, clock)
    links = ExtendLinks(database, lambda: b"\2" * 32, clock, EXTERNAL, GRACE)
    channels = MemoryChannels() if channels is None else channels
    people_calls = MemoryPeopleCalls(EXTERNAL)
    built_in = assemble(people_calls, EXTERNAL, clock, lambda: BackChannel("http://127.0.0.1:1"))
    retiming = Retiming(database, clock, lambda: "2026a (test)")
    tokens = Tokens(database, clock, new_id)
    identity = MemoryProviders(MemoryProvider(clock=clock))
    sign_in, sessions, device_grants = signing_in(database, tokens, identity, clock, new_id, "")
    people = People(database, clock, tokens, retiming, local=built_in.people)
    incoming = webhooks_of(
        database,
        Receiving(database, clock, new_id),
        OpenBaoWebhookSecrets(MemorySecrets()),
        clock,
        lambda allowed: outgoing_session(AddressRule(allowed)),
    )
    service = FakeService(
        database=database,
        world=world,
        tokens=tokens,
        ci_exchange=CiExchange(database, identity, clock, new_id),
        service_accounts=ServiceAccounts(database, clock, new_id, tokens.tell_revoked),
        catalogue=catalogue,
        sources=Sources(catalogue, GitRepositories(("file", "http"))),
        images=Images(database, clock),
        time_edits=TimeEdits(database, clock),
        policies=Policies(database, clock, retiming),
        calendars=Calendars(database, clock, retiming),
        retiming=retiming,
        requests=Requests(database, world, clock, new_id, checks),
        expiry=Expiry(database, clock, new_id),
        holding=Holding(database, clock),
        triggers=Triggers(database, clock, new_id),
        trigger_testing=TriggerTesting(database, clock, KINDS),
        event_reading=EventReading(database, clock, new_id),
        people=people,
        old_owners=OldOwners(database, clock, retiming),
        ownership=Ownership(database, clock, retiming),
        groups=Groups(database, clock),
        sharing=Sharing(database, clock, new_id),
        service_roles=ServiceRoles(database, clock),
        creators=Creators(database, clock),
        access_reasons=AccessReasons(database, clock),
        overview=Overview(database),
        reading=Reading(database, world, world, world, step_kinds, clock, "0.1.0", entry_points),
        planning=Planning(database, world, world, clock, new_id, checks),
        recovery=Recovery(database, clock, new_id),
        drifting=Drifting(database, world, clock),
        containers=containers,
        container_logs=ContainerLogs(database, containers, world.words_of, JobKinds("nomad.job", "nomad.namespace")),
        queueing=Queueing(database, clock),
        preview_reading=PreviewReading(database),
        warnings=Warnings(database, clock, new_id, channels, links.make),
        extend_links=links,
        switching=Switching(database, clock, new_id),
        heartbeats=Heartbeats(database, clock),
        sign_in=sign_in,
        sessions=sessions,
        device_grants=device_grants,
        authorization_page=None,
        identity=identity,
        local_people=ManageLocalPeople(database, built_in.people, clock, people.depart, people.come_back),
        issuers=Issuers(database, lambda: built_in.people.issuer),
        provider_endpoints=people_calls,
        module_states=ModuleStates(database, lambda: b"\1" * 32, clock),
        feed=feed,
        entry_points=entry_points,
        edge_routes=FakeEdgeRoutes(entry_points),
        clock=clock,
        audit=AuditReading(database, AuditVerifier(database, AUDIT_KEY), clock),
        webhooks=incoming.webhooks,
        deliveries=incoming.deliveries,
        incoming=incoming,
        audit_collector=AuditCollector(clock, most_waiting=1_000_000),  # nothing writes them, unless a test does
    )
    database.on_commit.append(service.edge_routes.committed)
    service.catalogue.push(service.admin, make_bundle({"template.toml": template.encode()}))
    return service


@dataclass
class Served:
    """A service behind the real API: where it is, and an admin's token."""

    service: FakeService
    address: str
    token: str

    def client(self, token: str | None = "") -> Client:
        """A client with the admin's token, or with another one."""
        return Client(self.address, self.token if token == "" else token)


@contextlib.contextmanager
def served(
    folder: Path,
    checks: Checks | None = None,
    opened: Callable[[Path], Database] = open_migrated,
    *,
    clock: Callable[[], datetime] = _now,
    channels: Channels | None = None,
) -> Iterator[Served]:
    """The service in `folder`, serving on a free port of loopback until the end. See `make_service`."""
    service = make_service(folder, checks, opened, clock=clock, channels=channels)
    try:
        with listening(service) as address:
            yield Served(service, address, service.tokens.first_token("root", "test"))
    finally:
        service.database.close()


@contextlib.contextmanager
def listening(
    service: FakeService, port: int = 0, edge_secret: Path | None = None, *, tls: Path | None = None, external: str = ""
) -> Iterator[str]:
    """The API and the pages before a service; its address. `tls`: a PEM file with certificate and key, for TLS."""
    certificate = None if tls is None else ServedCertificate(tls, tls)
    front = pages(service, service.world.derive, service.clock, external)
    server = make_server(create_app(service, edge_secret, front), port=port, certificate=certificate)
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        for _ in range(500):
            if server.started:
                break
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            threading.Event().wait(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(120)
        assert not thread.is_alive(), "the server did not stop"
