"""What a client says when the edge fails and the service behind it is on this machine."""

import httpx2

from environments.client.trust import trusted
from environments.context import ADDRESS_VARIABLE, ServiceAddress
from environments.domain.errors import ServiceUnavailable

_SECONDS = 2.0
"""Time limit for the service to show that it is there."""


def answers(service: ServiceAddress) -> bool:
    """Whether a service with the right certificate is there. No token is sent."""
    try:
        trust = trusted(service.address, service.ca_file, None)
        with httpx2.Client(timeout=_SECONDS, verify=trust, trust_env=False) as http:
            return http.get(f"{service.address.rstrip('/')}/self/liveness").is_success
    except (ServiceUnavailable, httpx2.HTTPError, httpx2.InvalidURL):
        return False


def way_without_edge(service: ServiceAddress) -> str:
    """How people on this machine reach the service meanwhile."""
    return f"Until then, use its own address on this machine: `export {ADDRESS_VARIABLE}={service.address}`."
