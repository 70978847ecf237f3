"""What stands in for instances, certificates and news of checks, for the routes that edges ask for."""

import threading
from collections.abc import Collection, Mapping, Sequence

from environments.engine.edge_routes import EdgeRoutes
from environments.service.entry_points import EntryPoints
from environments.steps.base import Owner
from environments.steps.cluster_events import Check
from environments.steps.entry_points import Healthy, SignedCertificate
from tests.support.authorities import MadeAuthority, make_authority


class FakeInstances:
    """Implements `Instances`: `places` has the addresses by environment and service; `failure` is raised, if any."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], Healthy] = {}
        self.failure: Exception | None = None
        self.asked = 0

    def healthy(self, owner: Owner, services: Collection[str]) -> Mapping[str, Healthy]:
        """The addresses as they are set."""
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return {service: self.places.get((owner.name, service), Healthy()) for service in services}


class FakeNews:
    """Implements `CheckFeed`: `tell` lets whoever waits know that something has changed."""

    def __init__(self) -> None:
        self._index = 1
        self._changed = threading.Condition()

    def critical(self, index: int, wait: float) -> tuple[int, Sequence[Check]]:
        """Waits for `tell`."""
        with self._changed:
            self._changed.wait_for(lambda: self._index != index, timeout=wait if index else 0)
            return self._index, ()

    def tell(self) -> None:
        """Something has changed."""
        with self._changed:
            self._index += 1
            self._changed.notify_all()


class FakeCertificates:
    """Implements `EntryCertificates` with an authority of its own; `seconds` is how long certificates are valid."""

    def __init__(self, seconds: float = 3600) -> None:
        self._made: MadeAuthority | None = None
        self.seconds = seconds
        self.signed: list[tuple[str, ...]] = []

    @property
    def made(self) -> MadeAuthority:
        """Made when it is needed first."""
        if self._made is None:
            self._made = make_authority()
        return self._made

    def authority(self) -> str:
        """The same authority."""
        return self.made.pem

    def sign(self, owner: Owner, names: Collection[str], request: str) -> SignedCertificate:
        """Signs for these names."""
        self.signed.append(tuple(names))
        return SignedCertificate(self.made.sign_request(request, tuple(names)), self.seconds)


class FakeEdgeRoutes(EdgeRoutes):
    """The real routes over fakes."""

    def __init__(self, entry_points: EntryPoints) -> None:
        self.instances = FakeInstances()
        self.news = FakeNews()
        self.certificates = FakeCertificates()
        super().__init__(entry_points, self.instances, self.news, self.certificates)
