"""Consul through py-consul: keys, access control, catalogue and health."""

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import consul
import requests
from consul.callback import CB
from consul.exceptions import ACLDisabled, ACLPermissionDenied, ClientError, ConsulException, NotFound

from environments.adapters.connections import Connections, Endpoint
from environments.adapters.link import CALL_LIMIT, Fault, Link, Missing
from environments.domain.errors import BackendError
from environments.executors.consul_access import Instance, Policy, Rules
from environments.executors.consul_kv import Create, Entry, Operation, Put, Remove, RemoveTree, Unchanged
from environments.executors.nomad_access import Issued

_REMOVED = "removed by Calvinverse"
"""Name of the check with which a service goes."""

_STATUS = re.compile(r"(\d{3})\b")


class Consul:
    """Implements `KeyValueStore`, `AccessControl` and `Catalogue` of the executors."""

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._link: Link[consul.Consul] = Link("consul", connections, _build, _explain)

    # --- KeyValueStore ---

    def tree(self, prefix: str) -> dict[str, Entry]:
        """Every key that begins with the prefix, as the leader has it."""
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

    # --- AccessControl ---

    def policy(self, name: str) -> Policy | None:
        """The policy of that name."""
        found = self._link.call("read an ACL policy", lambda client: client.acl.policy.read(f"name/{name}"))
        if not found:
            return None
        return Policy(found["ID"], found["Name"], found.get("Description", ""), _rules(found.get("Rules", "")))

    def create_policy(self, name: str, description: str, rules: Rules) -> bool:
        """Makes a policy; False when there is one of that name."""
        try:
            self._link.call(
                "create an ACL policy",
                lambda client: client.acl.policy.create(name, description=description, rules=rules),
            )
        except BackendError as error:
            if "already exists" in error.message:
                return False
            raise
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
        """A token of this datacenter that ends by itself."""
        made = self._link.call(
            "make an ACL token",
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
        return int(after), [_instance(item) for item in found or ()]

    def registered(self, prefix: str) -> list[Instance]:
        """Every instance of such a service, node by node: odd names can't be asked for one by one."""
        if not self.services(prefix):
            return []
        nodes = self._link.call("list nodes", lambda client: client.catalog.nodes()[1])
        return [
            _registration(node["Node"], item)
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
        """Takes an instance out of the agent that we talk to, if it is there, and of the catalogue.

        The agent takes no id with an unprintable character in a path: such an instance goes a minute or two later, and
        is back in the catalogue until then.
        """
        try:
            if instance.id.isprintable():
                self._link.call("deregister a service", lambda client: _take_out(client, instance.id))
            else:
                self._link.call("deregister a service", lambda client: _expire(client, instance))
        except Missing:
            pass
        except BackendError as error:
            if "Unknown service" not in error.message:
                raise
        self._link.call(
            "deregister a service",
            lambda client: client.catalog.deregister(instance.node, service_id=instance.id),
        )


def _build(endpoint: Endpoint, token: str, session: requests.Session) -> consul.Consul:
    address = urllib.parse.urlsplit(endpoint.address)
    client = consul.Consul(
        host=address.hostname,
        port=address.port or (443 if address.scheme == "https" else 80),
        scheme=address.scheme,
        verify=str(endpoint.ca_file) if endpoint.ca_file else True,
        connections_timeout=CALL_LIMIT,
    )
    # As a header of the session the token also reaches calls for which py-consul forgets it (transactions), and no
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
            # Consul answers so for ids that it doesn't know.
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


def _take_out(client: consul.Consul, service: str) -> None:
    """Takes a service out of the agent. Jobs choose ids, so each byte is quoted: `../../leave` is an id and no path."""
    path = "".join(f"%{byte:02X}" for byte in service.encode())
    http = client.http
    request = http.session.prepare_request(requests.Request("PUT", f"{http.base_uri}/v1/agent/service/deregister/"))
    assert request.url is not None
    request.url += path  # after the library has made the address: it would take the quotes off, and the dots away
    answer = http.session.send(request, verify=http.verify, timeout=CALL_LIMIT, allow_redirects=False)
    if answer.status_code == 404 and "Unknown service" in answer.text:
        return
    CB.boolean()(http.response(answer))
    if answer.status_code != 200:
        raise ConsulException(f"{answer.status_code} {answer.text}")


def _expire(client: consul.Consul, instance: Instance) -> None:
    """Gives a service a check that has failed for good, with which the agent takes it out by itself."""
    checks = client.http.get(CB.json(), "/v1/agent/checks") or {}
    if any(found["ServiceID"] == instance.id and found["Name"] == _REMOVED for found in checks.values()):
        return  # said already: saying it again would make its time begin anew
    check = {"Name": _REMOVED, "TTL": "1s", "Status": "critical", "DeregisterCriticalServiceAfter": "1m"}
    service = {"ID": instance.id, "Name": instance.service, "Check": check}
    client.http.put(CB.boolean(), "/v1/agent/service/register", data=json.dumps(service))


def _registration(node: str, item: Mapping[str, Any]) -> Instance:
    return Instance(
        id=item["ID"],
        service=item["Service"],
        node=node,
        address=item.get("Address") or "",
        port=item.get("Port") or 0,
        tags=tuple(item.get("Tags") or ()),
        metadata=item.get("Meta") or {},
    )


def _instance(item: Mapping[str, Any]) -> Instance:
    service, checks = item["Service"], item["Checks"]
    return Instance(
        id=service["ID"],
        service=service["Service"],
        node=item["Node"]["Node"],
        address=service["Address"] or item["Node"]["Address"],
        port=service.get("Port") or 0,
        tags=tuple(service.get("Tags") or ()),
        metadata=service.get("Meta") or {},
        passing=all(check["Status"] == "passing" for check in checks),
    )
