"""Where the parts of the cluster are, for the providers of modules."""

from collections.abc import Callable

from environments.domain.errors import MachineError
from environments.providers.backend.calls import Part
from environments.providers.backend.connections import Connections
from environments.providers.opentofu.credentials import Where
from environments.providers.opentofu.ports import CredentialPart

_PARTS: dict[CredentialPart, Part] = {"consul": "consul", "nomad": "nomad", "openbao": "vault"}


class ConnectedPlaces:
    """Reads it from the current connections."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._connections = connections

    def where(self, part: CredentialPart) -> Where:
        """Address, CA and name. Raises `MachineError` when there is no such part, or its CA can't be read."""
        endpoint = self._connections().endpoint(_PARTS[part])
        if endpoint.ca_file is None:
            return Where(endpoint.address, server_name=endpoint.server_name)
        try:
            return Where(endpoint.address, endpoint.ca_file.read_text(), endpoint.server_name)
        except OSError as error:
            raise MachineError(f"The CA in {endpoint.ca_file} can't be read: {error.strerror}.") from error
