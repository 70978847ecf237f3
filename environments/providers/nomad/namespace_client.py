"""The client's calls for namespaces and their content, with python-nomad."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import nomad

from environments.domain.errors import BackendError
from environments.providers.backend.connections import Connections
from environments.providers.backend.link import CALL_LIMIT, Link, Missing
from environments.providers.nomad.answers import given_ports
from environments.providers.nomad.connection import build, explain
from environments.providers.nomad.ports import GivenPort
from environments.providers.nomad.volumes import remove_volume, volumes
from environments.steps.cluster_events import ENDED


class NamespaceCalls:
    """Implements the methods of `NomadApi` for namespaces, volumes and variables."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[nomad.Nomad] = Link("nomad", connections, build, explain)

    def namespace(self, name: str) -> dict[str, str] | None:
        """The namespace's metadata."""
        found = self._maybe("read a namespace", lambda client: client.namespace.get_namespace(name))
        return None if found is None else dict(found.get("Meta") or {})

    def write_namespace(self, name: str, description: str, metadata: Mapping[str, str]) -> None:
        """Makes or changes a namespace."""
        body = {"Name": name, "Description": description, "Meta": dict(metadata)}
        self._link.call("write a namespace", lambda client: client.namespace.create_namespace(body))

    def remove_namespace(self, name: str) -> None:
        """Removes a namespace without jobs."""
        try:
            self._maybe("delete a namespace", lambda client: client.namespace.delete_namespace(name))
        except BackendError as error:
            if error.details.get("said") != "namespace not found":
                raise

    def running(self, namespace: str) -> dict[str, int]:
        """How many allocations of each job haven't ended."""
        found = self._allocations(namespace)
        return dict(Counter(item["JobID"] for item in found if item["ClientStatus"] not in ENDED))

    def given_ports(self, namespace: str) -> list[GivenPort]:
        """The ports of running allocations (Nomad API, `AllocatedSharedResources`)."""
        found = self._allocations(namespace, resources="true")
        return [port for item in found if item["ClientStatus"] == "running" for port in given_ports(item)]

    def _allocations(self, namespace: str, **more: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] | None = self._maybe(
            "list allocations",
            lambda client: client.allocations.request(
                method="get", params={"namespace": namespace, **more}, timeout=CALL_LIMIT
            ).json(),
        )
        return found or ()

    def volumes(self, namespace: str) -> list[str]:
        """Ids of the namespace's volumes."""
        return [*self._volumes(namespace, "host"), *self._volumes(namespace, "csi")]

    def remove_volume(self, namespace: str, volume: str) -> None:
        """Deletes a volume, of a host or of a storage plugin."""
        name = quote(volume, safe="")
        # Nomad only deregisters the volume of a plugin, because its content may be needed elsewhere.
        for kind, path in {"host": ("host", name, "delete"), "csi": ("csi", name)}.items():
            if volume in self._volumes(namespace, kind):
                self._maybe("delete a volume", partial(remove_volume, path=path, params={"namespace": namespace}))

    def _volumes(self, namespace: str, kind: str) -> list[str]:
        params = {"namespace": namespace, "type": kind}
        return [found["ID"] for found in self._link.call("list volumes", partial(volumes, params=params))]

    def variables(self, namespace: str) -> list[str]:
        """Paths of Nomad's own variables in a namespace."""
        found = self._maybe("list variables", lambda client: client.variables.get_variables(namespace=namespace))
        return [variable["Path"] for variable in found or ()]

    def remove_variable(self, namespace: str, path: str) -> None:
        """Removes a variable."""
        params = {"namespace": namespace}
        self._maybe(
            "delete a variable",
            lambda client: (
                client.variable.request(path, method="delete", params=dict(params), timeout=CALL_LIMIT).status_code
            ),
        )

    def _maybe(self, doing: str, use: Callable[[nomad.Nomad], Any]) -> Any:
        try:
            return self._link.call(doing, use)
        except Missing:
            return None
