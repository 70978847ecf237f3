"""A real edge before the API, its database and an instance of an environment: for tests of entry points."""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from environments.domain.commands import CreateEnvironment
from environments.steps.entry_points import Healthy
from tests.fakes.service import FakeService, listening, make_service
from tests.support.edge_harness import SECRET, Edge, Upstream, edge, handshake, read_all, request, until

DOMAIN = "apps.example.org"
WEB, BELOW = f"web--demo.{DOMAIN}", f"web.demo.{DOMAIN}"


@dataclass
class EntryPointHarness:
    """An edge before a service, and an instance of the service `web` of the environment `demo`."""

    edge: Edge
    service: FakeService
    instance: Upstream
    address: str
    folder: Path

    @property
    def id(self) -> str:
        """The environment's id."""
        return self.service.reading.environment(self.service.admin, "demo").environment.id

    def publish(self, service: str = "web", environment: str = "demo", healthy: Healthy | None = None) -> None:
        """Publishes a service, and waits until the edge serves it."""
        self.put(service, environment, healthy or Healthy((f"127.0.0.1:{self.instance.port}",)))
        found = self.service.reading.environment(self.service.admin, environment).environment.id
        self.service.entry_points.publish(found, [service])
        until(lambda: self.service.entry_points.edges(found, service) == (1, 1), "the edge serves it")

    def put(self, service: str, environment: str, healthy: Healthy) -> None:
        """Says where the instances are."""
        self.service.edge_routes.instances.places[environment, service] = healthy
        self.service.edge_routes.news.tell()

    def withdraw(self, service: str = "web") -> None:
        """Withdraws it, and waits until the edge doesn't serve it."""
        self.service.entry_points.withdraw(self.id, service)
        until(lambda: self.service.entry_points.edges(self.id, service) == (0, 1), "the edge serves it no more")

    def connect(self, host: str = WEB, *, alpn: tuple[str, ...] = ("http/1.1",), name: str = "") -> ssl.SSLSocket:
        """A TLS connection to a host, whose certificate is verified."""
        context = self.service.edge_routes.certificates.made.context()
        context.set_alpn_protocols(list(alpn))
        return handshake(context, ("127.0.0.1", self.edge.settings.port), name or host)

    def send(self, host: str = WEB, path: str = "/", *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
        """The answer to a request."""
        with self.connect(host) as connection:
            connection.sendall(request(path, *lines, method=method, host=host, body=body))
            return read_all(connection)


@contextlib.contextmanager
def entry_points_in(folder: Path) -> Iterator[EntryPointHarness]:
    """The environment `demo`, of which nothing is published yet."""
    service = make_service(folder / "service")
    service.edge_routes.start()
    (folder / "known").write_text(SECRET)
    service.requests.create(service.admin, CreateEnvironment(name="demo", template="web"))
    with contextlib.ExitStack() as stack:
        stack.callback(service.database.close)
        stack.callback(service.edge_routes.stop)
        instance = stack.enter_context(Upstream().running())
        address = stack.enter_context(listening(service, edge_secret=folder / "known"))
        port = urlsplit(address).port or 0
        running = stack.enter_context(edge(folder, port, EDGE_ENTRY_DOMAIN=DOMAIN))
        yield EntryPointHarness(running, service, instance, address, folder)
