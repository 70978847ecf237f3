"""HTTP clients of Consul, OpenBao and Nomad that are none of ours: for looks from outside, by the vendors' own APIs."""

import ssl

import httpx2

from environments.providers.backend.calls import TOKEN_HEADERS, Part
from environments.providers.backend.connections import Connections, Endpoint, TokenFile


def part_client(connections: Connections, part: Part, timeout: float = 20.0) -> httpx2.Client:
    """A client with the admin's token."""
    endpoint = connections.endpoint(part)
    assert isinstance(endpoint.authentication, TokenFile)
    token = endpoint.authentication.token_file.read_text().strip()
    return httpx2.Client(
        base_url=endpoint.address,
        headers={TOKEN_HEADERS[part]: token},
        timeout=timeout,
        trust_env=False,
        verify=trusting_part(endpoint),
    )


def trusting_part(endpoint: Endpoint) -> ssl.SSLContext:
    """A context that trusts the authority of the part alone."""
    return ssl.create_default_context(cafile=endpoint.ca_file)
