"""What the agents of one local cluster share: folders, ports, binaries, and secrets chosen before anything starts."""

import json
import os
import secrets
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.domain.errors import InvalidInput, MachineError
from environments.kept_files import NotKept, read_kept
from environments.private_files import discard, locked, write_private
from environments.providers.backend.connections import CONNECTIONS_FILE
from environments.providers.local_cluster.agents.ports import Ports
from environments.providers.local_cluster.authority import CERTIFICATE_LIFE, authority_file

DATACENTER = "dc1"
NODE = "calvinverse"
CERTIFICATES = "certificates"
"""The program that renews the certificates of the agents, as supervisor knows it."""
VOLUME_OWNER = 10001
"""User and group id of the service inside its container."""
EDGE_OWNER = 10002
"""Those of the edge: no other part has them."""


def _uuid() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


class Chosen(BaseModel):
    """Values that are written to disk before a backend gets them, so that a crash loses nothing.

    `gossip_key` is 32 bytes in base64; accessors and tokens of Consul and Nomad are UUIDs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ports: Ports
    cluster: str = Field(default_factory=lambda: secrets.token_hex(4))
    gossip_key: str = Field(default_factory=lambda: b64encode(secrets.token_bytes(32)).decode())
    consul_bootstrap: str = Field(default_factory=_uuid)
    consul_admin: str = Field(default_factory=_uuid)
    consul_agent: str = Field(default_factory=_uuid)
    consul_dns: str = Field(default_factory=_uuid)
    consul_nomad: str = Field(default_factory=_uuid)
    nomad_bootstrap: str = Field(default_factory=_uuid)
    openbao_admin: str = Field(default_factory=lambda: f"calvinverse-{secrets.token_urlsafe(32)}")


@dataclass(frozen=True)
class Site:
    """One local cluster below `state`."""

    state: Path
    binaries: Mapping[str, Path]
    chosen: Chosen
    infra_image: str = ""
    """By its content: what Nomad runs to hold the network of a group. Empty: no group has a network of its own."""
    certificate_life: timedelta = CERTIFICATE_LIFE
    reserved_ports: frozenset[int] = frozenset()
    """Ports of the node that no job with a network of its own gets, besides those of the agents."""
    limited_port: int = 0
    """At which one client may hold and open so many connections only: that of the edge. 0: there is none."""

    @property
    def ports(self) -> Ports:
        return self.chosen.ports

    @property
    def folder(self) -> Path:
        """Configuration, data and logs of the agents."""
        return self.state / "agents"

    @property
    def credentials(self) -> Path:
        """Admin tokens, keys, the authority of the parts, and the certificate of the CA of environments."""
        return self.state / "credentials"

    @property
    def volumes(self) -> Path:
        """Folders that jobs may mount; they hold the service's database."""
        return self.state / "volumes"

    @property
    def connections_file(self) -> Path:
        return self.state / CONNECTIONS_FILE

    @property
    def ca_file(self) -> Path:
        """The certificate of the CA of environments; exists after OpenBao's first start."""
        return self.credentials / "ca.pem"

    @property
    def authority_file(self) -> Path:
        """The certificate of the authority that signs those of the agents; exists after the first start of one."""
        return authority_file(self.credentials)

    @property
    def keeper_file(self) -> Path:
        """What the program that renews the certificates of the agents is told."""
        return self.folder / CERTIFICATES / "config.json"

    def keeper_configuration(self) -> str:
        """Its content. With another version of the program it is another one, so that the program starts again."""
        told = {
            "state": str(self.state),
            "life": self.certificate_life.total_seconds(),
            "version": version("calvinverse"),
        }
        return json.dumps(told, indent=2) + "\n"

    def token_file(self, agent: str) -> Path:
        """The admin token for that agent."""
        return self.credentials / f"{agent}-admin.token"


def chosen_file(state: Path) -> Path:
    """The file that marks a state folder as one with a local cluster."""
    return state / "credentials" / "cluster.json"


def choose(state: Path, ports: Ports | None) -> Chosen:
    """The values of this state folder; chosen now if it is new.

    Raises `InvalidInput` for other ports than then, and `MachineError` for a damaged file.
    """
    path = chosen_file(state)
    with locked(state / "credentials" / "lock"):
        if not os.path.lexists(path):
            if _has_data(state):
                raise _unusable(path, "missing")
            chosen = Chosen(ports=ports or Ports())
            write_private(path, chosen.model_dump_json(indent=2) + "\n")
            return chosen
        try:
            chosen = Chosen.model_validate_json(read_kept(path))
        except (ValidationError, NotKept) as error:
            raise _unusable(path, "damaged") from error
    if ports is not None and ports != chosen.ports:
        raise InvalidInput(
            f"The cluster in {state} was made with other ports.",
            hint="Leave the ports as they are, or undeploy first.",
        )
    return chosen


def choose_again(state: Path) -> None:
    """Puts new values in the place of lost or damaged ones: what remains of the cluster can only be removed."""
    path = chosen_file(state)
    with locked(state / "credentials" / "lock"):
        discard(path)
        write_private(path, Chosen(ports=Ports()).model_dump_json(indent=2) + "\n")


def _has_data(state: Path) -> bool:
    """Whether an agent of this state folder was started before."""
    return any(any(folder.iterdir()) for folder in state.glob("agents/*/data") if folder.is_dir())


def _unusable(path: Path, fault: str) -> MachineError:
    return MachineError(
        f"The file {path} is {fault}; without it the cluster's data can't be used.",
        hint="Restore it from a copy, or run `doit undeploy --force` and deploy again.",
    )
