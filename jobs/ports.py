"""The block of ports of a deployment, so that several deployments can run on one machine."""

from dataclasses import dataclass

from environments.domain.errors import InvalidInput

SIZE = 100
"""Ports in a block; the upper 80 are for services of environments."""

_AGENTS = (
    "consul_http",
    "consul_dns",
    "consul_serf",
    "consul_server",
    "openbao_http",
    "openbao_cluster",
    "nomad_http",
    "nomad_rpc",
    "nomad_serf",
)


@dataclass(frozen=True)
class Block:
    """Ports on loopback: of the agents as `agent.local` uses them, of the service, and of PostgreSQL."""

    agents: dict[str, int | str]
    service: int
    database: int


def block(first: int) -> Block:
    """The block that begins at a port. Consul's DNS is at loopback's usual address there. Raises `InvalidInput`."""
    if not 1024 <= first <= 65536 - SIZE:
        raise InvalidInput(
            f"A block of {SIZE} ports can't begin at {first}.", hint=f"Choose one from 1024 to {65536 - SIZE}."
        )
    agents: dict[str, int | str] = {name: first + number for number, name in enumerate(_AGENTS)}
    services = {"first_dynamic": first + SIZE - 80, "last_dynamic": first + SIZE - 1}
    return Block({**agents, **services, "dns_address": "127.0.0.1"}, first + len(_AGENTS), first + len(_AGENTS) + 1)
