"""The client of Consul, with py-consul: keys, access control, catalogue and health."""

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any

import consul
import requests
from consul.callback import CB
from consul.exceptions import ACLDisabled, ACLPermissionDenied, ClientError, ConsulException, NotFound

from environments.addresses import port_of
from environments.domain.errors import BackendError
from environments.providers.backend.connections import Connections, Endpoint
from environments.providers.backend.link import CALL_LIMIT, Fault, Link, Missing
from environments.providers.consul.catalogue import expire, registration, remove_entry, take_out, with_health
from environments.providers.consul.ports import (
    CONFIG_KINDS,
    ConfigEntry,
    Create,
    Entry,
    Instance,
    Operation,
    Policy,
    Put,
    Remove,
    RemoveTree,
    Rules,
    Unchanged,
)
from environments.steps.base import Issued

_STATUS = re.compile(r"(\d{3})\b")


class ConsulClient:
    """Implements `KeyValueStore`, `AccessControl` and `Catalogue`."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[consul.Consul] = Link("consul", connections, _build, _explain)

    # --- KeyValueStore ---

    def tree(self, prefix: str) -> dict[str, Entry]:
        """Every key that begins with the prefix, read from Consul's leader."""
        found = self._link.call(
            "read keys", lambda client: client.kv.get(prefix, recurse=True, consistency="consistent")[1]
        )
        return {
            item["Key"]: Entry(item["Value"] or b"", int(item["Flags"]), int(item["ModifyIndex"]))
            for item in found or ()
        }

    def keys(self, prefix: str) -> list[str]:
        """The names of the same keys."""
        found = self._link.call(
            "list keys", lambda client: client.kv.get(prefix, keys=True, consistency="consistent")[1]
        )
        return list(found or ())

    def entry(self, key: str) -> Entry | None:
        """One key."""
        found = self._link.call("read a key", lambda client: client.kv.get(key, consistency="consistent")[1])
        return None if not found else Entry(found["Value"] or b"", int(found["Flags"]), int(found["ModifyIndex"]))

    def commit(self, changes: Sequence[Operation]) -> bool:
        """Makes all changes in one transaction, or none."""
        operations = [{"KV": _operation(change)} for change in changes]

        def put(client: consul.Consul) -> bool:
            try:
                client.txn.put(operations)
            except ClientError as error:
                if str(error).startswith("409"):
                    return False
                raise
            return True

        return self._link.call("write keys", put)

    def replace(self, key: str, value: bytes, flags: int, index: int) -> bool:
        """Sets a key if it was last changed at `index`; else returns False."""
        return bool(self._link.call("write a key", lambda client: client.kv.put(key, value, cas=index, flags=flags)))

    # --- AccessControl ---

    def policy(self, name: str) -> Policy | None:
        """The policy of that name."""
        found = self._link.call("read an ACL policy", lambda client: client.acl.policy.read(f"name/{name}"))
        if not found:
            return None
        return Policy(found["ID"], found["Name"], found.get("Description", ""), _rules(found.get("Rules", "")))

    def create_policy(self, name: str, description: str, rules: Rules) -> bool:
        """Creates a policy; False if there is one of that name."""
        try:
            self._link.call(
                "create an ACL policy",
                lambda client: client.acl.policy.create(name, description=description, rules=rules),
            )
        except BackendError as error:
            if error.transient or self.policy(name) is None:
                raise
            return False
        return True

    def update_policy(self, policy: Policy) -> None:
        """Changes the policy of that id."""
        self._link.call(
            "change an ACL policy",
            lambda client: client.acl.policy.update(
                policy.id, policy.name, description=policy.description, rules=policy.rules
            ),
        )

    def remove_policy(self, policy_id: str) -> None:
        """Removes a policy, if it is there."""
        self._link.call("delete an ACL policy", _forgiving(lambda client: client.acl.policy.delete(policy_id)))

    def tokens(self, policy_id: str) -> list[str]:
        """Accessor ids of the tokens that have the policy."""
        found = self._link.call("list ACL tokens", lambda client: client.acl.token.list(policy=policy_id))
        return [token["AccessorID"] for token in found or ()]

    def create_token(self, policy: str, description: str, seconds: int) -> Issued:
        """Creates a token of this datacenter that expires after `seconds`."""
        made = self._link.call(
            "create an ACL token",
            lambda client: client.acl.token.create(
                policies_name=[policy], description=description, expiration_ttl=f"{seconds}s", local=True
            ),
        )
        return Issued(made["AccessorID"], made["SecretID"])

    def remove_token(self, accessor: str) -> None:
        """Removes a token, if it is there."""
        self._link.call("delete an ACL token", _forgiving(lambda client: client.acl.token.delete(accessor)))

    # --- Catalogue ---

    def services(self, prefix: str) -> list[str]:
        """Names of all services that begin with the prefix."""
        found = self._link.call("list services", lambda client: client.catalog.services()[1])
        return sorted(name for name in found if name.startswith(prefix))

    def instances(self, service: str, *, index: int = 0, wait: float = 0.0) -> tuple[int, list[Instance]]:
        """A service's instances with their health; waits for a change from `index`, `wait` seconds at most."""
        after, found = self._link.call(
            "ask for the health of a service",
            lambda client: client.health.service(service, index=index or None, wait=f"{max(1, int(wait * 1000))}ms"),
        )
        return int(after), [with_health(item) for item in found or ()]

    def registered(self, prefix: str) -> list[Instance]:
        """Every instance of such a service. Reads node by node, because unusual names can't be queried one by one."""
        if not self.services(prefix):
            return []
        nodes = self._link.call("list nodes", lambda client: client.catalog.nodes()[1])
        return [
            registration(node["Node"], item)
            for node in nodes
            for item in self._services_of(node["Node"])
            if item["Service"].startswith(prefix)
        ]

    def _services_of(self, node: str) -> list[dict[str, Any]]:
        path = f"/v1/catalog/node-services/{node}"  # the library quotes it

        def get(client: consul.Consul) -> list[dict[str, Any]]:
            found = client.http.get(CB.json(), path, params=[("consistent", "1")])
            return list((found or {}).get("Services") or ())

        return self._link.call("list the services of a node", get)

    def deregister(self, instance: Instance) -> None:
        """Removes an instance from the agent of the connection, if it is there, and from the catalogue.

        The agent accepts no id with an unprintable character in a path: such an instance is removed a minute or two
        later, and may reappear in the catalogue until then.
        """
        try:
            if instance.id.isprintable():
                self._link.call("deregister a service", lambda client: take_out(client, instance.id))
            else:
                self._link.call("deregister a service", lambda client: expire(client, instance))
        except Missing:
            pass
        self._link.call(
            "deregister a service",
            lambda client: client.catalog.deregister(instance.node, service_id=instance.id),
        )

    def configured(self, prefix: str) -> list[ConfigEntry]:
        """All entries that a token with write access to a service may write, by kind, then by name."""
        return [
            ConfigEntry(kind, name) for kind in CONFIG_KINDS for name in self._entries(kind) if name.startswith(prefix)
        ]

    def _entries(self, kind: str) -> list[str]:
        def get(client: consul.Consul) -> list[str]:
            found = client.http.get(CB.json(), f"/v1/config/{kind}", params=[("consistent", "1")])
            return sorted(entry["Name"] for entry in found or ())

        return self._link.call("list configuration entries", get)

    def unconfigure(self, entry: ConfigEntry) -> None:
        """Removes an entry, if it is there. Raises `BackendError`, also for names that no path may hold."""
        try:
            self._link.call("delete a configuration entry", lambda client: remove_entry(client, entry))
        except BackendError as error:
            if entry.name.isprintable():
                raise
            raise BackendError(
                "Consul's agent accepts no request for a name with unprintable characters.",
                hint="Restart that agent with disable_http_unprintable_char_filter = true, then retry.",
            ) from error


def _build(endpoint: Endpoint, token: str, session: requests.Session) -> consul.Consul:
    address = urllib.parse.urlsplit(endpoint.address)
    client = consul.Consul(
        host=address.hostname,
        port=port_of(endpoint.address),
        scheme=address.scheme,
        verify=str(endpoint.ca_file) if endpoint.ca_file else True,
        connections_timeout=CALL_LIMIT,
    )
    # As a header of the session the token is also sent with calls for which py-consul omits it (transactions), and no
    # variable of the environment can replace it.
    session.headers["X-Consul-Token"] = token
    client.token = None
    client.http.session = session
    return client


def _explain(error: Exception) -> Fault | None:
    said = str(error)
    if isinstance(error, ACLPermissionDenied):
        return Fault(403, said)
    if isinstance(error, ACLDisabled):
        return Fault(501, said)
    if isinstance(error, NotFound):
        return Fault(404, said)
    if isinstance(error, ConsulException):
        status = _STATUS.match(said)
        return Fault(int(status[1]) if status else 500, said[3:].strip() if status else said)
    return None


def _forgiving(use: Callable[[consul.Consul], Any]) -> Callable[[consul.Consul], None]:
    def called(client: consul.Consul) -> None:
        try:
            use(client)
        except ConsulException as error:
            # Consul's answers for unknown ids
            if not re.search(r"(policy|token) (not found|does not exist)|Cannot find \w+ to delete", str(error), re.I):
                raise

    return called


def _operation(change: Operation) -> dict[str, Any]:
    if isinstance(change, Put):
        return {"Verb": "set", "Key": change.key, "Value": _base64(change.value), "Flags": change.flags}
    if isinstance(change, Create):
        return {"Verb": "cas", "Key": change.key, "Value": _base64(change.value), "Index": 0}
    if isinstance(change, Remove):
        return {"Verb": "delete", "Key": change.key}
    if isinstance(change, RemoveTree):
        return {"Verb": "delete-tree", "Key": change.prefix}
    assert isinstance(change, Unchanged)
    return {"Verb": "check-index", "Key": change.key, "Index": change.index}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _rules(text: str) -> Rules:
    try:
        rules = json.loads(text)
    except ValueError:
        return {}
    return rules if isinstance(rules, dict) else {}
