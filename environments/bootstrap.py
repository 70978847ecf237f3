"""The one place where parts are put together: database, adapters, executors, use cases, engine, API."""

import gc
import getpass
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version as installed_version
from ipaddress import ip_address
from types import FrameType

import structlog

from environments.adapters.agents import LocalCluster
from environments.adapters.connections import CONNECTIONS_FILE, Connections
from environments.adapters.consul import Consul
from environments.adapters.git import GitRepositories
from environments.adapters.module_states import SealedKits, ServedStates
from environments.adapters.nomad import Nomad
from environments.adapters.opentofu import Installation, OpenTofu, Prepared, WorkFolders
from environments.adapters.parts import Parts
from environments.adapters.revealing import Revealing
from environments.adapters.vault import Vault
from environments.adapters.web import WebClient
from environments.api.app import create_app
from environments.api.server import make_server
from environments.api.state_server import StateServer
from environments.api.worker import create_worker_app
from environments.client.bundles import read_bundle
from environments.context import Context, stored_context, write_context, write_private
from environments.domain.admission import Lane
from environments.domain.errors import InvalidTemplate, MachineError, PortTaken, UnsafeAddress
from environments.domain.template import TEMPLATE_FILE
from environments.engine.afterlook import AfterLook
from environments.engine.clock import Alarm, Retention
from environments.engine.feed import Feed
from environments.engine.observe import WorldObserver
from environments.engine.plan import WorldPlanner
from environments.engine.watch import Watch
from environments.engine.worker import Worker
from environments.executors.agent_local import AGENT_KIND, AgentHandler, AgentLocal
from environments.executors.base import Executor, Lookout, ResourceHandler, Toolbox, toolbox
from environments.executors.check_http import CheckHttp
from environments.executors.cluster_trust import ClusterTrust
from environments.executors.consul_access import PolicyHandler, ServicesHandler, TokensHandler
from environments.executors.consul_kv import ConsulKv, PrefixHandler
from environments.executors.lookouts import ConsulLookout, NomadLookout, OpenBaoLookout
from environments.executors.nomad_job import JobHandler, NomadJob
from environments.executors.nomad_namespace import NamespaceHandler
from environments.executors.opentofu_module import ModuleResourceHandler, ModuleStateHandler, OpenTofuModule
from environments.executors.vault_certificate import CertificatesHandler, RoleHandler, VaultCertificate
from environments.executors.vault_identity import IdentityHandler
from environments.executors.vault_module_key import ModuleKeyHandler, VaultModuleKeys
from environments.executors.vault_secret import SecretHandler, VaultSecret
from environments.logging import configure_logging
from environments.service.access import Access, Principal
from environments.service.catalogue import Catalogue
from environments.service.drift import Drifting
from environments.service.images import Images
from environments.service.mending import Mending
from environments.service.module_access import SECRET_LABEL
from environments.service.module_states import ModuleStates
from environments.service.planning import Planning
from environments.service.queueing import Queueing
from environments.service.reading import Reading
from environments.service.requests import Requests
from environments.service.sources import Sources
from environments.settings import Settings
from environments.stores.database import Database, open_database
from environments.stores.sealing import KeyFileSealer

log = structlog.get_logger()

_SHIPPER = Principal("calvinverse", "admin", "shipped")
_TOKEN_FILE = "token"


@dataclass(frozen=True)
class Service:
    """A provisioning service: use cases for the API, and what runs in the background."""

    settings: Settings
    version: str
    database: Database
    access: Access
    catalogue: Catalogue
    sources: Sources
    images: Images
    requests: Requests
    reading: Reading
    planning: Planning
    mending: Mending
    drifting: Drifting
    queueing: Queueing
    module_states: ModuleStates
    state_server: StateServer
    feed: Feed
    worker: Worker
    clock: Alarm
    watch: Watch

    @property
    def works(self) -> bool:
        """Whether this process carries out deployments and takes its turn as the clock."""
        return self.settings.role != "api"

    def start(self) -> None:
        """Begins to carry out deployments and to watch the clock."""
        self.state_server.start()  # also where nothing is carried out: plans and looks read states
        if self.works:
            self.worker.start()
            self.clock.start()
            self.watch.start()

    def stop(self) -> None:
        """Ends in an orderly way: what runs goes on at the next start."""
        if self.works:
            self.watch.stop()
            self.clock.stop()
            self.worker.stop()
        self.state_server.stop()  # last: an OpenTofu that is told to stop still hands in its state
        self.database.close()


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def new_id(kind: str) -> str:
    """`env-` or the like, and 60 random bits that a person can read out."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return f"{kind}-{''.join(secrets.choice(alphabet) for _ in range(12))}"


def connections_of(settings: Settings) -> Callable[[], Connections]:
    """The connections as they are now: the file is read again when it has changed, for we may make the cluster."""
    path = settings.connections or settings.state / CONNECTIONS_FILE
    guard = threading.Lock()
    seen: tuple[tuple[int, int, int], Connections] | None = None

    def read() -> Connections:
        nonlocal seen
        try:
            stat = path.stat()
        except FileNotFoundError:
            if settings.connections is not None:
                raise MachineError(f"There is no file {path} with the connections to the cluster.") from None
            return Connections()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        with guard:
            if seen is None or seen[0] != stamp:
                seen = (stamp, Connections.load(path))
            return seen[1]

    return read


def make_toolbox(settings: Settings, connections: Callable[[], Connections]) -> tuple[Toolbox, Vault]:
    """Every step kind on the real parts."""
    consul, nomad, vault = Consul(connections), Nomad(connections), Vault(connections)
    machine = LocalCluster(settings.state)
    executors: list[Executor] = [
        ConsulKv(consul),
        VaultSecret(vault.secrets),
        VaultCertificate(vault.pki),
        NomadJob(nomad, consul, consul),
        CheckHttp(consul, WebClient(), vault.pki),
        AgentLocal(machine),
        ClusterTrust(machine),
    ]
    handlers: list[ResourceHandler] = [
        PrefixHandler(consul),
        PolicyHandler(consul),
        TokensHandler(consul),
        ServicesHandler(consul),
        SecretHandler(vault.secrets),
        RoleHandler(vault.pki),
        CertificatesHandler(vault.pki, now),
        IdentityHandler(vault.logins, nomad),
        ModuleKeyHandler(vault.secrets),
        NamespaceHandler(nomad),
        JobHandler(nomad),
        AgentHandler(machine),
    ]
    agents = {"consul": "consul", "vault": "openbao", "nomad": "nomad"}
    houses = {
        handler.kind: (AGENT_KIND, agents[part])
        for handler in handlers
        if (part := handler.kind.partition(".")[0]) in agents
    }
    lookouts: list[Lookout] = [
        NomadLookout(nomad),
        ConsulLookout(consul, consul, consul),
        OpenBaoLookout(vault.secrets, vault.pki),
    ]
    return toolbox(executors, handlers, houses, lookouts), vault


def with_modules(tools: Toolbox, settings: Settings, vault: Vault, door: ServedStates, states: ModuleStates) -> Toolbox:
    """The toolbox with OpenTofu's modules, which need the service for their states."""
    folder = settings.data_folder / "opentofu"
    installation = Installation(settings.tofu, settings.providers, folder / "providers")
    folders, prepared = WorkFolders(folder / "work"), Prepared(folder / "prepared")
    tofu = OpenTofu(installation, folders, prepared, settings.modules_at_once)
    keys = VaultModuleKeys(vault.secrets)
    kits = SealedKits(states, keys)
    executor = OpenTofuModule(tofu, door, keys, kits)
    handlers: list[ResourceHandler] = [
        ModuleStateHandler(executor.modules),
        ModuleResourceHandler(executor.modules),
    ]
    return replace(
        tools,
        executors={**tools.executors, executor.kind: executor},
        handlers={**tools.handlers, **{handler.kind: handler for handler in handlers}},
    )


def build(settings: Settings) -> Service:
    """A service that doesn't run yet. Raises `StorageError` and its kin."""
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings.data_folder, settings.database, settings.database_password_file)
    with database.write() as tx:
        if not database.shared:
            # Nobody else has this database open, so whoever held a lease is dead.
            tx.deployments.release_all()
            tx.workers.forget(now())
        feed = Feed(tx.events.newest())
    database.follow(feed.publish)
    connections = connections_of(settings)
    tools, vault = make_toolbox(settings, connections)
    sealer = KeyFileSealer(settings.key_file)
    version = installed_version("calvinverse")
    revealing = Revealing(vault)
    access = Access(database, now, new_id)
    module_states = ModuleStates(database, partial(sealer.derive, SECRET_LABEL), now)
    state_server = StateServer(access, module_states)
    tools = with_modules(
        tools, settings, vault, ServedStates(module_states, lambda: state_server.address), module_states
    )
    planner = WorldPlanner(database, tools)
    drifting = Drifting(database, WorldObserver(database, tools, planner, now), now)
    requests = Requests(database, sealer, now, new_id)
    catalogue = Catalogue(database, tools.executors, now)
    retention = Retention(settings.keep_logs, settings.keep_events, settings.keep_ended)
    service = Service(
        settings=settings,
        version=version,
        database=database,
        access=access,
        catalogue=catalogue,
        sources=Sources(catalogue, GitRepositories(settings.git_protocols.split(","), settings.git_credentials)),
        images=Images(database, now),
        requests=requests,
        reading=Reading(
            database,
            revealing,
            revealing,
            Parts(connections, settings.database or str(settings.data_folder)),
            tools.executors,
            now,
            version,
        ),
        planning=Planning(database, planner, sealer, now, new_id),
        mending=Mending(database, now, new_id),
        drifting=drifting,
        queueing=Queueing(database, now),
        module_states=module_states,
        state_server=state_server,
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
        clock=Alarm(database, requests, now, retention, database.turn()),
        watch=Watch([drifting.observe_due, AfterLook(database, tools, now).look_due]),
    )
    if settings.role == "worker":
        return service
    if settings.deployer_token:
        prefix, _, hashed = settings.deployer_token.partition(":")
        access.keep_known(hashed, prefix, settings.deployer or "deployer")
    _push_shipped(service)
    return service


def run(settings: Settings, announce: Callable[[str], None] = lambda line: None) -> None:
    """Serves until SIGTERM or SIGINT. `announce` is told, in lines for people, where and how to go on.

    Raises `UnsafeAddress`, `PortTaken`, `StorageError`.
    """
    configure_logging(settings.log_format)
    _check_address(settings)
    listener = _listen(settings)
    try:
        service = build(settings)
    except BaseException:
        listener.close()
        raise
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.tls_certificate else "http"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    app = create_worker_app(service) if settings.role == "worker" else create_app(service)
    server = make_server(app, host, port, tls_certificate=settings.tls_certificate, tls_key=settings.tls_key)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    service.start()
    try:
        for line in _welcome(service, address):
            announce(line)
        log.info(
            "service.started",
            address=address,
            version=service.version,
            role=settings.role,
            database=service.database.where,
        )
        signal.signal(signal.SIGTERM, stop)
        gc.freeze()  # what was loaded until here stays: the collector needn't walk through it in the middle of requests
        server.run(sockets=[listener])
    finally:
        service.stop()
        log.info("service.stopped")


def _check_address(settings: Settings) -> None:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise UnsafeAddress("TLS needs both a certificate and a key.")
    try:
        local = ip_address(settings.host).is_loopback
    except ValueError:
        local = settings.host == "localhost"
    if not local and settings.tls_certificate is None:
        raise UnsafeAddress(
            f"Without TLS the service doesn't listen on {settings.host}: tokens could be read on the way."
        )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; else each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"The service can't listen on {settings.host} port {settings.port}: {error.strerror}.",
            hint="Another service may run there; stop it, or give another --port.",
        ) from error
    return listener


def _welcome(service: Service, address: str) -> list[str]:
    """Gives whoever starts a service on a bare machine a token and a context; deploy makes those itself."""
    settings = service.settings
    lines = [f"Calvinverse {service.version} listens on {address}; its database is {service.database.where}."]
    if settings.role == "worker":
        return [f"A worker of Calvinverse {service.version} on {service.database.where}; ask {address} how it is."]
    if settings.deployer_token:
        return lines
    token_file = settings.data_folder / _TOKEN_FILE
    if not token_file.exists():
        if service.database.shared and service.access.tokens(_SHIPPER):
            return [*lines, "Others use this database already: an admin makes tokens with `calvinverse token create`."]
        owner = getpass.getuser()
        write_private(token_file, service.access.first_token(owner, "made by the first start") + "\n")
        lines.append(f"A token for {owner} is in {token_file}.")
    known = stored_context(settings.state)
    if known is None or known.token_file == token_file:
        write_context(settings.state, Context(address=address, token_file=token_file, name="local"))
        lines.append("Try `calvinverse template list` in another terminal.")
    return lines


def _push_shipped(service: Service) -> None:
    folder = service.settings.templates
    if folder is None or not folder.is_dir():
        return
    for template in sorted(folder.glob(f"*/{TEMPLATE_FILE}")):
        try:
            service.catalogue.push(_SHIPPER, read_bundle(template.parent))
        except InvalidTemplate as error:
            log.error("template.refused", template=template.parent.name, reason=error.message)
