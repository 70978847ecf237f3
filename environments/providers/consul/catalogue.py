"""Calls of Consul's catalogue that py-consul doesn't have, and conversions of its answers."""

import json
from collections.abc import Mapping
from typing import Any

import consul
import requests
from consul.callback import CB
from consul.exceptions import ConsulException

from environments.providers.backend.link import CALL_LIMIT
from environments.providers.consul.ports import ConfigEntry, Instance

_REMOVED = "removed by Calvinverse"
"""Name of the check that removes a service."""


def take_out(client: consul.Consul, service: str) -> None:
    """Removes a service from the agent. Jobs choose ids, so each byte is quoted: `../../leave` is an id, not a path."""
    answer = _named(client, "PUT", "/v1/agent/service/deregister/", service)
    if answer.status_code == 404:
        return
    _must_be_good(client, answer)


def remove_entry(client: consul.Consul, entry: ConfigEntry) -> None:
    """Removes a configuration entry; its name may be anything that isn't empty."""
    _must_be_good(client, _named(client, "DELETE", f"/v1/config/{entry.kind}/", entry.name))


def _named(client: consul.Consul, method: str, path: str, name: str) -> requests.Response:
    http = client.http
    request = http.session.prepare_request(requests.Request(method, f"{http.base_uri}{path}"))
    assert request.url is not None
    # Set after the library has built the address, because the library would decode the quoted bytes and remove dots.
    request.url += "".join(f"%{byte:02X}" for byte in name.encode())
    answer: requests.Response = http.session.send(
        request, verify=http.verify, timeout=CALL_LIMIT, allow_redirects=False
    )
    return answer


def _must_be_good(client: consul.Consul, answer: requests.Response) -> None:
    CB.boolean()(client.http.response(answer))
    if answer.status_code != 200:
        raise ConsulException(f"{answer.status_code} {answer.text}")


def expire(client: consul.Consul, instance: Instance) -> None:
    """Gives a service a failed check, because of which the agent deregisters it."""
    checks = client.http.get(CB.json(), "/v1/agent/checks") or {}
    if any(found["ServiceID"] == instance.id and found["Name"] == _REMOVED for found in checks.values()):
        return  # the check exists already; adding it again would restart its time
    check = {"Name": _REMOVED, "TTL": "1s", "Status": "critical", "DeregisterCriticalServiceAfter": "1m"}
    service = {"ID": instance.id, "Name": instance.service, "Check": check}
    client.http.put(CB.boolean(), "/v1/agent/service/register", data=json.dumps(service))


def registration(node: str, item: Mapping[str, Any]) -> Instance:
    """An instance from a node's list of services, which has no health."""
    return Instance(
        id=item["ID"],
        service=item["Service"],
        node=node,
        address=item.get("Address") or "",
        port=item.get("Port") or 0,
        tags=tuple(item.get("Tags") or ()),
        metadata=item.get("Meta") or {},
    )


def with_health(item: Mapping[str, Any]) -> Instance:
    """An instance from the health of a service."""
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
