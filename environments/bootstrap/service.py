"""A provisioning service from its settings: everything that it is made of, and what runs in the background."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version as installed_version

import structlog

from environments.api.state_server import StateServer
from environments.bootstrap import parts
from environments.bootstrap.clocks import clock_check
from environments.bootstrap.events import EventHandling, events_of
from environments.bootstrap.parts import connections_of, new_id, now
from environments.bootstrap.sign_in import signing_in
from environments.checking.pool import CheckPool
from environments.client.bundles import read_bundle
from environments.domain.admission import Lane
from environments.domain.errors import InvalidTemplate
from environments.domain.holds import HoldLimits
from environments.domain.template import TEMPLATE_FILE
from environments.engine.abandoned import AbandonedObserver
from environments.engine.audit_chainer import AuditChainer
from environments.engine.audit_writer import AuditWriter
from environments.engine.cluster_follower import ClusterFollower
from environments.engine.degradation import DegradationDetector
from environments.engine.edge_routes import EdgeRoutes
from environments.engine.observe import BackendObserver
from environments.engine.periodic_observation import PeriodicObservation
from environments.engine.plan import BackendPlanner
from environments.engine.refused_writer import RefusedWriter
from environments.engine.scheduler import Retention, Scheduler
from environments.engine.warning_sender import WarningSender
from environments.engine.worker import Worker
from environments.providers.backend.health import BackendHealth
from environments.providers.channels.configured import ConfiguredChannels
from environments.providers.consul.feed import ConsulFeed
from environments.providers.edge.instances import HealthyInstances
from environments.providers.edge.signing import EdgeCertificates
from environments.providers.forges.kinds import KINDS
from environments.providers.git.source import GitRepositories
from environments.providers.nomad.container_logs import NomadContainers
from environments.providers.nomad.feed import NomadFeed
from environments.providers.nomad.namespace import NAMESPACE_KIND
from environments.providers.nomad.ports import JOB_KIND
from environments.providers.nomad.validation import NomadJudge
from environments.providers.oidc.configured import ConfiguredProviders
from environments.providers.openbao_people import provide as openbao_people
from environments.providers.vault.certificate import VaultCertificate
from environments.providers.vault.edge_names import EdgeNames, EdgeNamesJudge
from environments.providers.vault.revealing import Revealing
from environments.service.access_reasons import AccessReasons
from environments.service.audit_chain import AuditChain
from environments.service.audit_collecting import AuditCollector
from environments.service.audit_reading import AuditReading
from environments.service.audit_sealing import KEY_LABEL as AUDIT_KEY
from environments.service.audit_verifying import AuditVerifier
from environments.service.authorization import Principal
from environments.service.built_in_provider import AuthorizationPage, ProviderEndpoints
from environments.service.calendars import Calendars
from environments.service.catalogue import Catalogue
from environments.service.channels import NoChannels
from environments.service.checking import judged_by
from environments.service.ci_exchange import CiExchange
from environments.service.container_logs import ContainerLogs, JobKinds
from environments.service.creators import Creators
from environments.service.deliveries import Deliveries
from environments.service.device_grant import DeviceGrants
from environments.service.drift import Drifting
from environments.service.entry_points import EntryPoints
from environments.service.event_reading import EventReading
from environments.service.expiry import Expiry
from environments.service.extend_links import KEY_LABEL, ExtendLinks
from environments.service.feed import Feed
from environments.service.groups import Groups
from environments.service.heartbeats import Heartbeats
from environments.service.holding import Holding
from environments.service.images import Images
from environments.service.issuers import Issuers
from environments.service.local_people import ManageLocalPeople
from environments.service.module_access import SECRET_LABEL
from environments.service.module_states import ModuleStates
from environments.service.old_owners import OldOwners
from environments.service.overview import Overview
from environments.service.ownership import Ownership
from environments.service.people import People
from environments.service.planning import Planning
from environments.service.policies import Policies
from environments.service.preview_reading import PreviewReading
from environments.service.queueing import Queueing
from environments.service.reading import Reading
from environments.service.recovery import Recovery
from environments.service.requests import Requests
from environments.service.retiming import Retiming
from environments.service.service_accounts import ServiceAccounts
from environments.service.service_roles import ServiceRoles
from environments.service.sessions import Sessions
from environments.service.sharing import Sharing
from environments.service.sign_in import SignIn
from environments.service.sources import Sources
from environments.service.switching import Switching
from environments.service.time_edits import TimeEdits
from environments.service.tokens import Tokens
from environments.service.trigger_testing import TriggerTesting
from environments.service.triggers import Triggers
from environments.service.warnings import Warnings
from environments.service.webhooks import Webhooks
from environments.service.zone_database import zone_database
from environments.settings import Settings
from environments.steps.base import Owner
from environments.steps.registry import why_not_again
from environments.stores.database import Database, open_database
from environments.stores.sealing import KeyFileSealer

log = structlog.get_logger()

SHIPPER = Principal("calvinverse", "admin", "shipped")
"""Pushes the templates that come with the program."""


@dataclass(frozen=True)
class Service:
    """A provisioning service: use cases for the API, and what runs in the background."""

    settings: Settings
    version: str
    database: Database
    tokens: Tokens
    service_accounts: ServiceAccounts
    ci_exchange: CiExchange
    catalogue: Catalogue
    sources: Sources
    images: Images
    time_edits: TimeEdits
    policies: Policies
    calendars: Calendars
    requests: Requests
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
    derive: Callable[[str], bytes]
    local_people: ManageLocalPeople
    issuers: Issuers
    provider_endpoints: ProviderEndpoints
    module_states: ModuleStates
    state_server: StateServer
    checks: CheckPool
    feed: Feed
    worker: Worker
    scheduler: Scheduler
    warning_sender: WarningSender
    event_handling: EventHandling
    observation: PeriodicObservation
    cluster_follower: ClusterFollower
    degradation: DegradationDetector
    edge_routes: EdgeRoutes
    audit: AuditReading
    audit_collector: AuditCollector
    audit_writer: AuditWriter
    audit_chainer: AuditChainer
    webhooks: Webhooks
    deliveries: Deliveries
    refused_writer: RefusedWriter

    @property
    def own_address(self) -> str:
        """Where people and forges reach the service."""
        return own_address(self.settings)

    @property
    def works(self) -> bool:
        """Whether this process carries out deployments and may be the leader."""
        return self.settings.role != "api"

    def start(self) -> None:
        """Starts the worker, the scheduler and what observes the cluster."""
        self.checks.start()
        self.audit_writer.start()
        self.refused_writer.start()
        self.state_server.start()  # also where nothing is carried out: plans and observations read states
        self.edge_routes.start()
        if self.works:
            self.worker.start()
            self.scheduler.start()
            self.audit_chainer.start()
            self.warning_sender.start()
            self.event_handling.start()
            self.observation.start()
            self.degradation.start()
            self.cluster_follower.start()

    def stop(self) -> None:
        """Stops everything; deployments that run are resumed at the next start."""
        self.edge_routes.stop()
        if self.works:
            self.cluster_follower.stop()
            self.degradation.stop()
            self.observation.stop()
            self.event_handling.stop()
            self.warning_sender.stop()
            self.scheduler.stop()
            self.worker.stop()
        self.checks.stop()
        self.state_server.stop()  # last: an OpenTofu that is told to stop still saves its state
        self.audit_writer.stop()
        self.refused_writer.stop()
        if self.works:
            self.audit_chainer.stop()  # after all that writes entries
        self.database.close()


def build(settings: Settings) -> Service:
    """A service that doesn't run yet. Raises `StorageError` and its kin."""
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.data_folder, settings.database, settings.database_password_file)
    sealer = KeyFileSealer(settings.key_file)
    database.audit_key = sealer.derive(AUDIT_KEY)
    with database.write() as tx:
        if not database.shared:
            # No other process has this database open, so every lease is that of a process that ended.
            tx.deployments.release_all()
            tx.workers.forget(now())
        feed = Feed(tx.events.newest())
    database.follow(feed.publish)
    connections = connections_of(settings)
    version = installed_version("calvinverse")
    tokens = Tokens(database, now, new_id)
    module_states = ModuleStates(database, partial(sealer.derive, SECRET_LABEL), now)
    state_server = StateServer(tokens, module_states)
    checks = CheckPool()
    built_in = openbao_people.connect(connections, own_address(settings), now)
    entry_points = EntryPoints(database, now, settings.entry_domain, settings.entry_port)
    shared = parts.make_parts(settings, connections, module_states, lambda: state_server.address, entry_points)
    tools = replace(parts.make_registry(shared), expressions=checks.expression)
    revealing = Revealing(shared.vault)
    planner = BackendPlanner(database, tools)
    container_logs = ContainerLogs(
        database,
        NomadContainers(connections),
        lambda environment: shared.words(Owner(environment.id, environment.name)),
        JobKinds(JOB_KIND, NAMESPACE_KIND),
    )
    drifting = Drifting(database, BackendObserver(database, tools, planner, now), now)
    again = partial(why_not_again, tools.executors)
    requests = Requests(database, sealer, now, new_id, checks, again)
    judge = judged_by(EdgeNamesJudge(EdgeNames.of(settings), VaultCertificate.kind), NomadJudge(shared.nomad))
    catalogue = Catalogue(database, checks, now, judge)
    retention = Retention(settings.keep_logs, settings.keep_events, settings.keep_ended)
    channels = NoChannels() if settings.warning_channels is None else ConfiguredChannels(settings.warning_channels)
    link_key = partial(sealer.derive, KEY_LABEL)
    extend_links = ExtendLinks(database, link_key, now, settings.external_address, settings.warning_grace)
    warnings = Warnings(database, now, new_id, channels, extend_links.make, settings.warning_grace)
    health = BackendHealth(connections, (settings.database or str(settings.data_folder)).partition("?")[0])
    limits = HoldLimits(settings.hold_above, settings.hold_share, at_once=settings.expired_at_once)
    expiry = Expiry(database, now, new_id, limits)
    switching = Switching(database, now, new_id)
    retiming = Retiming(database, now, zone_database)
    sharing = Sharing(database, now, new_id)
    check = clock_check(settings, database, health)
    # What leads takes the processor for seconds at a time; who also answers requests leaves that to others.
    leadership = database.leadership(comes_first=settings.role == "worker")
    collector = AuditCollector(now)
    scheduler = Scheduler(database, expiry, warnings, now, retention, leadership, switching, retiming, check, sharing)
    chain = AuditChain(database, database.audit_key, now, settings.keep_audit)
    audit_chainer = AuditChainer(chain, scheduler.leads, shared=database.shared)
    database.on_audit.append(audit_chainer.committed)
    cluster_follower = ClusterFollower(NomadFeed(connections), ConsulFeed(connections), scheduler.leads)
    degradation = DegradationDetector(database, JOB_KIND, shared.words, now, cluster_follower.want)
    cluster_follower.subscribe(degradation)
    database.follow(degradation.published)
    events = events_of(database, shared, sealer, checks, warnings, again, scheduler.leads, cluster_follower)
    instances = HealthyInstances(shared.consul, shared.nomad, lambda: {settings.port, *connections().ports()})
    certificates = EdgeCertificates(shared.vault.pki, now)
    edge_routes = EdgeRoutes(entry_points, instances, ConsulFeed(connections), certificates)
    database.follow(edge_routes.committed)
    identity = ConfiguredProviders(settings.identity_providers, now, built_in.identity.current)
    signing = signing_in(database, tokens, identity, now, new_id, settings.external_address)
    sign_in, sessions, device_grants = signing
    people = People(database, now, tokens, retiming, settings.departed_owners, built_in.people)
    service = Service(
        settings=settings,
        version=version,
        database=database,
        tokens=tokens,
        ci_exchange=CiExchange(database, identity, now, new_id),
        service_accounts=ServiceAccounts(database, now, new_id, tokens.tell_revoked, settings.account_token_lifetime),
        catalogue=catalogue,
        sources=Sources(catalogue, GitRepositories(settings.git_protocols.split(","), settings.git_credentials)),
        images=Images(database, now),
        time_edits=TimeEdits(database, now),
        policies=Policies(database, now, retiming),
        calendars=Calendars(database, now, retiming),
        requests=requests,
        holding=Holding(database, now),
        triggers=Triggers(database, now, new_id),
        trigger_testing=TriggerTesting(database, now, KINDS),
        event_reading=EventReading(database, now, new_id, events.processor.wake),
        people=people,
        old_owners=OldOwners(database, now, retiming),
        ownership=Ownership(database, now, retiming),
        groups=Groups(database, now),
        sharing=sharing,
        service_roles=ServiceRoles(database, now),
        creators=Creators(database, now),
        access_reasons=AccessReasons(database, now),
        overview=Overview(database),
        reading=Reading(
            database,
            revealing,
            revealing,
            health,
            tools.executors,
            now,
            version,
            entry_points,
        ),
        planning=Planning(database, planner, sealer, now, new_id, checks, again),
        recovery=Recovery(database, now, new_id),
        drifting=drifting,
        container_logs=container_logs,
        queueing=Queueing(database, now),
        preview_reading=PreviewReading(database),
        warnings=warnings,
        extend_links=extend_links,
        switching=switching,
        heartbeats=Heartbeats(database, now),
        event_handling=events,
        sign_in=sign_in,
        sessions=sessions,
        device_grants=device_grants,
        authorization_page=built_in.page,
        derive=sealer.derive,
        local_people=ManageLocalPeople(database, built_in.people, now, people.depart, people.come_back),
        issuers=Issuers(database, lambda: built_in.people.issuer),
        provider_endpoints=built_in.calls,
        module_states=module_states,
        state_server=state_server,
        checks=checks,
        feed=feed,
        worker=Worker(
            new_id("worker"),
            database,
            tools,
            sealer,
            feed,
            now,
            slots={Lane.DEPLOY: settings.slots_deploy, Lane.DESTROY: settings.slots_destroy},
            host=settings.worker_host,
            version=version,
        ),
        scheduler=scheduler,
        warning_sender=WarningSender(warnings, scheduler.leads),
        observation=PeriodicObservation([drifting.observe_due, AbandonedObserver(database, tools, now).observe_due]),
        cluster_follower=cluster_follower,
        degradation=degradation,
        edge_routes=edge_routes,
        audit=AuditReading(database, AuditVerifier(database, database.audit_key), now),
        audit_collector=collector,
        audit_writer=AuditWriter(database, collector),
        audit_chainer=audit_chainer,
        webhooks=events.incoming.webhooks,
        deliveries=events.incoming.deliveries,
        refused_writer=events.incoming.writer,
    )
    if settings.role == "worker":
        return service
    if settings.deployer_token:
        tokens.keep_known(settings.deployer_token, settings.deployer or "deployer")
    _push_shipped(service)
    return service


def own_address(settings: Settings) -> str:
    """Where people reach the service: the issuer of the built-in provider begins with it, as the template `meta` says.

    Without an edge that is the service on loopback.
    """
    return settings.external_address.rstrip("/") or f"https://127.0.0.1:{settings.port}"


def _push_shipped(service: Service) -> None:
    folder = service.settings.templates
    if folder is None or not folder.is_dir():
        return
    for template in sorted(folder.glob(f"*/{TEMPLATE_FILE}")):
        try:
            service.catalogue.push_shipped(SHIPPER, read_bundle(template.parent))
        except InvalidTemplate as error:
            log.error("template.refused", template=template.parent.name, reason=error.message)
