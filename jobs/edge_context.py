"""The context of the machine that deployed: by the edge, where there is one that this machine reaches."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from environments.authorities import read_authority_file
from environments.client import Client, connect
from environments.context import Context, ServiceAddress
from environments.domain.errors import CalvinverseError, CertificateRefused
from environments.private_files import discard, write_private
from environments.wire.environments import EnvironmentView
from jobs.edge import AcmeChoice, CertificateFiles, EdgeChoice, Source
from jobs.places import Places

REACHED_SECONDS = 20.0
"""Time limit in seconds for the edge to answer this machine. It has been healthy already."""

EXTERNAL = "external"
"""The output of `meta` with the edge's URL; absent without an edge."""


def context_by_edge(
    where: Places, service: Context, meta: EnvironmentView, choice: EdgeChoice, tell: Callable[[str], object]
) -> Context:
    """The context that leads through the edge, with the authority of its certificate pinned.

    `service` leads to the service itself, and is the context without an edge, or if this machine doesn't reach the edge
    by its name; that is told. Raises `CalvinverseError`.
    """
    external = meta.outputs.get(EXTERNAL)
    if external is None:
        discard(where.edge_authority)
        return service
    with connect(service) as client:
        _keep_authority(where, client, meta, choice)
    context = service.model_copy(
        update={
            "address": str(external.value),
            "ca_file": where.edge_authority if where.edge_authority.exists() else None,
            "behind_edge": ServiceAddress(address=service.address, ca_file=service.ca_file),
        }
    )
    failure = _failure(context)
    if failure is None:
        return context
    tell(f"This machine doesn't reach the edge, and goes on using {service.address}. {failure.message}")
    return service


def _keep_authority(where: Places, client: Client, meta: EnvironmentView, choice: EdgeChoice) -> None:
    """Keeps the authority to pin in a file; none where the CAs that this machine trusts count."""
    if meta.parameters.get("edge_source") == Source.AUTHORITY:
        write_private(where.edge_authority, client.ca())
    elif isinstance(choice.certificate, CertificateFiles) and choice.certificate.authority is not None:
        authority = read_authority_file(choice.certificate.authority, datetime.now(UTC))
        write_private(where.edge_authority, authority)
    elif isinstance(choice.certificate, CertificateFiles | AcmeChoice):
        discard(where.edge_authority)


def _failure(context: Context) -> CalvinverseError | None:
    """Why this machine doesn't reach the service through the edge; None: it does."""
    end = time.monotonic() + REACHED_SECONDS
    with connect(context) as client:
        while True:
            try:
                client.info()
                return None
            except CertificateRefused as error:
                return error
            except CalvinverseError as error:
                if time.monotonic() > end:
                    return error
            time.sleep(0.2)
