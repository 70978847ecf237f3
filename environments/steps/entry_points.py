"""What the edges are told, and the ports that this takes: healthy instances, and the signing of certificates."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from environments.steps.base import Owner


@dataclass(frozen=True)
class Route:
    """What leads to one service: `hosts` are its host names, `upstreams` the addresses (`host:port`) of its instances.

    `upstreams` None: nobody knows at this moment; the edge goes on with those that it has. Instances speak TLS, with
    a certificate for `server_name` of the environments' authority; plain HTTP if that is empty.
    """

    id: str
    hosts: tuple[str, ...]
    upstreams: tuple[str, ...] | None
    server_name: str = ""


@dataclass(frozen=True)
class EnvironmentRoutes:
    """All routes of an environment, and the names in the certificate for them."""

    id: str
    names: tuple[str, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class RouteTable:
    """All routes. Two tables with the same `version` are the same.

    `authority` are the certificates (PEM) of the environments' authority; empty if no route needs them.
    """

    version: str
    authority: str
    environments: tuple[EnvironmentRoutes, ...]


@dataclass(frozen=True)
class SignedCertificate:
    """A certificate with the chain of its authority (PEM), and for how many seconds it is valid from now."""

    chain: str
    seconds: float


@dataclass(frozen=True)
class Healthy:
    """The addresses (`host:port`) of a service's healthy instances, and whether they speak TLS."""

    addresses: tuple[str, ...] = ()
    tls: bool = False


class Instances(Protocol):
    """Finds where the services of an environment listen."""

    def healthy(self, owner: Owner, services: Collection[str]) -> Mapping[str, Healthy]:
        """Service → its healthy instances, as far as they are allocations of the environment. Raises `BackendError`."""
        ...


class EntryCertificates(Protocol):
    """Signs the certificates of entry points."""

    def authority(self) -> str:
        """The certificates (PEM) of the authority that signs for environments. Raises `BackendError`."""
        ...

    def sign(self, owner: Owner, names: Collection[str], request: str) -> SignedCertificate:
        """A certificate for these names and the key of the request (PKCS #10, PEM), whatever else that says.

        Raises `InvalidInput` if it is no such request, and `BackendError`.
        """
        ...


class RouteSource(Protocol):
    """Answers the edges."""

    def next(self, edge: str, serves: Collection[str], version: str, seconds: float) -> RouteTable | None:
        """The table, as soon as it differs from that of `version`; None if it doesn't within `seconds`.

        Keeps that the edge of that id `serves` these routes. Raises `NotAllowedNow` without a domain, `StorageError`.
        """
        ...

    def close(self) -> None:
        """Answers all open questions, and the next ones at once. Safe to call from any thread."""
        ...

    def certificate(self, environment_id: str, request: str) -> SignedCertificate:
        """A certificate for all entry points of an environment. Raises `NotFound`, `InvalidInput`, `BackendError`."""
        ...
