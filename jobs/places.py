"""The paths of a deployment, all in the state folder."""

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from environments.belongings import LEFT_CONTAINERS, MARK_FILE
from environments.context import AUTHORITY_FILE
from environments.state_place import usable_state_folder


@dataclass(frozen=True)
class Places:
    """Files and folders of one deployment of the meta environment."""

    state: Path

    @property
    def local(self) -> Path:
        """The local service's database: it owns the meta environment, before and after the hand-over."""
        return self.state / "local"

    @property
    def local_log(self) -> Path:
        """The log of the local service."""
        return self.state / "local.log"

    @property
    def local_token(self) -> Path:
        """The local service's token."""
        return self.state / "local-token"

    @property
    def local_certificate(self) -> Path:
        """The local service's certificate with its key."""
        return self.state / "local.pem"

    @property
    def local_process(self) -> Path:
        """The record of the local service's process, while it runs."""
        return self.state / "local-process"

    @property
    def token(self) -> Path:
        """The token of the person who deployed, for the deployed service."""
        return self.state / "token"

    @property
    def authority(self) -> Path:
        """The authority that signed the deployed service's certificate."""
        return self.state / AUTHORITY_FILE

    @property
    def edge_authority(self) -> Path:
        """The authority of the edge's certificate; absent where those that this machine trusts count."""
        return self.state / "edge-ca.pem"

    @property
    def lock(self) -> Path:
        """The lock of deploy and undeploy."""
        return self.state / MARK_FILE

    @property
    def agents(self) -> Path:
        """The folder of Consul, OpenBao and Nomad, as far as deploy has started them."""
        return self.state / "agents"

    @property
    def left_containers(self) -> Path:
        """Exists while containers of a deployment that was removed may be there."""
        return self.state / LEFT_CONTAINERS

    @property
    def connections(self) -> Path:
        """The addresses of the cluster's parts, and the files with the admin's credentials."""
        return self.state / "connections.json"


def places() -> Places:
    """The paths in the state folder of this checkout or user. Raises `MachineError`."""
    return Places(usable_state_folder())


def person() -> str:
    """The user who deploys: the owner of the first token."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user of a container may have no name
        return f"uid-{os.getuid()}"


def manager() -> str:
    """How the deployed service names the owner of the meta environment."""
    return f"`doit deploy` of {person()} on {socket.gethostname()}"
