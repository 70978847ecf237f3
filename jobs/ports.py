"""The block of ports of a deployment, so that several deployments can run on one machine."""

from dataclasses import dataclass

from environments.domain.errors import InvalidInput

SIZE = 100
"""Ports in a block; the upper 80 are for services of environments."""

SERVICE_PORT = 8400
"""The service's port where no block was chosen."""

USUAL_DATABASE = 8432
"""PostgreSQL's port there."""

LOOPBACK = "127.0.0.1"

USUAL: dict[str, int | str] = {
    "consul_http": 8500,
    "consul_dns": 53,
    "consul_serf": 8301,
    "consul_server": 8300,
    "openbao_http": 8200,
    "openbao_cluster": 8201,
    "nomad_http": 4646,
    "nomad_rpc": 4647,
    "nomad_serf": 4648,
    "dns_address": "127.0.0.10",
}
"""The agents' ports there: those of their makers."""

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
    """Ports on loopback: of the agents as `agent.local` uses them, and of the parts of `meta`."""

    agents: dict[str, int | str]
    service: int
    database: int
    edge: int
    ui: int


def block(first: int) -> Block:
    """The block that begins at a port. Consul's DNS is at loopback's usual address there. Raises `InvalidInput`."""
    if not 1024 <= first <= 65536 - SIZE:
        raise InvalidInput(
            f"A block of {SIZE} ports can't begin at {first}.", hint=f"Choose one from 1024 to {65536 - SIZE}."
        )
    agents: dict[str, int | str] = {name: first + number for number, name in enumerate(_AGENTS)}
    services = {"first_dynamic": first + SIZE - 80, "last_dynamic": first + SIZE - 1}
    own = first + len(_AGENTS)
    return Block({**agents, **services, "dns_address": LOOPBACK}, own, own + 1, edge_port(own), ui_port(own))


def edge_port(service: int) -> int:
    """The port of the edge in the block in which the service has that one."""
    return service + 2


def ui_port(service: int) -> int:
    """The port of the web page in that block."""
    return service + 3
