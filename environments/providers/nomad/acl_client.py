"""Nomad's policies and tokens, through python-nomad."""

from collections.abc import Callable
from contextlib import suppress

import nomad

from environments.domain.errors import BackendError
from environments.providers.backend.connections import Connections
from environments.providers.backend.link import Link, Missing
from environments.providers.nomad.access_ports import NomadPolicy
from environments.providers.nomad.connection import build, explain
from environments.steps.base import Issued


class NomadAcl:
    """Implements `NomadAccess`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[nomad.Nomad] = Link("nomad", connections, build, explain)

    def policy(self, name: str) -> NomadPolicy | None:
        """The policy of that name."""
        try:
            found = self._link.call("read an ACL policy", lambda client: client.acl.get_policy(name))
        except Missing:
            return None
        return NomadPolicy(found["Name"], found.get("Description") or "", found["Rules"])

    def write_policy(self, policy: NomadPolicy) -> None:
        """Creates or changes a policy."""
        body = {"Name": policy.name, "Description": policy.description, "Rules": policy.rules}
        self._link.call("write an ACL policy", lambda client: client.acl.create_policy(policy.name, body))

    def remove_policy(self, name: str) -> None:
        """Removes a policy, if it is there."""
        with suppress(Missing):
            self._link.call("delete an ACL policy", lambda client: client.acl.delete_policy(name))

    def tokens(self, policy: str) -> list[str]:
        """Accessor ids of the tokens that have the policy of that name."""
        found = self._link.call("list ACL tokens", lambda client: client.acl.get_tokens())
        return [token["AccessorID"] for token in found or () if policy in (token.get("Policies") or ())]

    def create_token(self, policy: str, name: str, seconds: int) -> Issued:
        """Creates a token of this region that expires after `seconds`."""
        body = {"Name": name, "Type": "client", "Policies": [policy], "ExpirationTTL": f"{seconds}s"}
        made = self._link.call("create an ACL token", lambda client: client.acl.create_token(body))
        return Issued(made["AccessorID"], made["SecretID"])

    def remove_token(self, accessor: str) -> None:
        """Removes a token, if it is there."""
        try:
            self._link.call("delete an ACL token", lambda client: client.acl.delete_token(accessor))
        except Missing:
            pass
        except BackendError as error:
            if "nonexistent token" not in error.message:
                raise
