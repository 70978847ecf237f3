"""What somebody would write without Calvinverse: a script that makes and removes one environment of `web`.

It makes the calls of Consul, OpenBao and Nomad that the result needs, in the order in which the template's steps need
each other, side by side where our engine works side by side, over kept connections, and waits by blocking queries. It
gives what the service gives (an environment with marks, a page that answered over verified TLS, and a last look that
finds nothing), but writes nothing down, checks nothing beforehand, and can't go on after a crash.

Nothing of Calvinverse is used here but the addresses and tokens of the cluster.
"""

import base64
import json
import secrets
import ssl
import string
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

from environments.providers.backend.calls import TITLES
from environments.providers.backend.connections import Connections
from tests.support import images_here
from tests.support.part_client import part_client

_MARK = "calvinverse-environment"
_LETTERS = string.ascii_letters + string.digits
_LIMIT = 60.0
"""Seconds that each wait may take."""


class Plain:
    """One environment after the other. `template`: the folder of `web`; its job file is registered as it is."""

    def __init__(self, connections: Connections, template: Path) -> None:
        self._hcl = (template / "web.nomad.hcl").read_text()
        self._image = images_here.reference("web")
        self._pool = ThreadPoolExecutor(4)
        self._clients: dict[str, httpx2.Client] = {}
        for part in TITLES:
            self._clients[part] = part_client(connections, part, timeout=30)
        self._web: httpx2.Client | None = None
        self._ca = ""
        self._login_mount = self._call("vault", "GET", "/v1/sys/auth")["data"]["jwt-nomad/"]["accessor"]
        self._origins: dict[str, str] = {}
        self._unrevoked_before: frozenset[str] = frozenset()

    def close(self) -> None:
        """Closes all connections."""
        self._pool.shutdown()
        for client in [*self._clients.values(), *([self._web] if self._web else [])]:
            client.close()

    # --- create ---

    def create(self, name: str, message: str) -> str:
        """Makes the environment; the URL at which it answered. The job is registered on the way."""
        owner = f"plain-{secrets.token_hex(6)}"
        self._unrevoked_before = self._unrevoked()
        self._together(
            lambda: self._write_keys(name, owner, message),
            lambda: self._write_secret(name, owner),
            lambda: self._write_role(name, owner),
        )
        job = self._parse(name, owner)
        self._together(lambda: self._write_namespace(name, owner), lambda: self._write_policy(name, owner))
        self._call("nomad", "POST", f"/v1/jobs?namespace={name}", {"Job": job, "EnforceIndex": True})
        address = self._wait_until_passing(f"{name}--web")
        answer = self._tls().get(f"https://{address}/health", timeout=5)
        answer.raise_for_status()
        return f"https://{address}"

    def _write_keys(self, name: str, owner: str, message: str) -> None:
        prefix = f"environments/{name}/"
        marker = {"Verb": "cas", "Key": f"{prefix}.owner", "Value": _base64(owner), "Index": 0}
        key = {"Verb": "set", "Key": f"{prefix}message", "Value": _base64(message)}
        self._call("consul", "PUT", "/v1/txn", [{"KV": marker}, {"KV": key}])

    def _write_secret(self, name: str, owner: str) -> None:
        path = f"environments/{name}/password"
        self._call("vault", "POST", f"/v1/secret/metadata/{path}", {"custom_metadata": {_MARK: owner}})
        password = "".join(secrets.choice(_LETTERS) for _ in range(32))
        body = {"data": {"password": password}, "options": {"cas": 0}}
        self._call("vault", "POST", f"/v1/secret/data/{path}", body)

    def _write_role(self, name: str, owner: str) -> None:
        role = {
            "ou": [f"calvinverse {owner}"],
            "allowed_domains": [f"{name}--*.service.consul", f"{name}--web.service.consul"],
            "allow_glob_domains": True,
            "allow_bare_domains": True,
            "allow_subdomains": False,
            "allow_localhost": True,
            "allow_ip_sans": True,
            "allow_any_name": False,
            "allow_wildcard_certificates": False,
            "generate_lease": True,
            "no_store": False,
            "key_type": "ec",
            "key_bits": 256,
            "ttl": 86400,
            "max_ttl": 86400,
        }
        self._call("vault", "POST", f"/v1/pki/roles/{name}", role)

    def _write_namespace(self, name: str, owner: str) -> None:
        body = {"Name": name, "Description": f"Environment {name}", "Meta": {_MARK: owner}}
        self._call("nomad", "PUT", "/v1/namespace", body)

    def _write_policy(self, name: str, owner: str) -> None:
        rules = {
            "key_prefix": {f"environments/{name}/": {"policy": "read"}},
            "service_prefix": {f"{name}--": {"policy": "write"}, "": {"policy": "read"}},
            "node_prefix": {"": {"policy": "read"}},
        }
        body = {"Name": f"env-{name}", "Description": f"calvinverse environment {owner}", "Rules": json.dumps(rules)}
        self._call("consul", "PUT", "/v1/acl/policy", body)

    def _parse(self, name: str, owner: str) -> dict[str, Any]:
        variables = f'replicas = 1\nbranch = "main"\nenvironment = "{name}"\nimage = "{self._image}"\n'
        body = {"JobHCL": self._hcl, "Variables": variables, "Canonicalize": True}
        job: dict[str, Any] = self._call("nomad", "POST", "/v1/jobs/parse", body)
        job["Namespace"] = name
        job["Meta"] = {**(job.get("Meta") or {}), _MARK: owner}
        for group in job["TaskGroups"]:
            for service in group["Services"]:
                service["Meta"] = {**(service.get("Meta") or {}), _MARK: owner}
        return job

    def _wait_until_passing(self, service: str) -> str:
        index = 0
        for _ in _until(_LIMIT):
            response = self._send("consul", "GET", f"/v1/health/service/{service}?passing&wait=10s&index={index}")
            index = int(response.headers["X-Consul-Index"])
            for item in response.json():
                return f"{item['Service']['Address']}:{item['Service']['Port']}"
        raise AssertionError("unreachable")

    def _tls(self) -> httpx2.Client:
        """A client that trusts the CA of the environments' certificates, which is asked for each time."""
        ca = self._send("vault", "GET", "/v1/pki/ca_chain").text
        if self._web is None or ca != self._ca:
            limits = httpx2.Limits(max_keepalive_connections=0)
            context = ssl.create_default_context(cadata=ca)
            self._web, self._ca = httpx2.Client(verify=context, trust_env=False, limits=limits, timeout=60), ca
        return self._web

    # --- destroy ---

    def destroy(self, name: str) -> None:
        """Removes the environment, and looks whether anything is left."""
        job = f"/v1/job/web?namespace={name}&purge="
        self._call("nomad", "DELETE", f"{job}false")
        self._wait_until_stopped(name)
        self._call("nomad", "DELETE", f"{job}true")
        self._together(
            lambda: self._call("vault", "DELETE", f"/v1/secret/metadata/environments/{name}/password"),
            lambda: self._remove_role(name),
        )
        self._wait_until_deregistered(f"{name}--web")
        self._remove_identity(name)
        self._remove_policy(name)
        self._remove_namespace(name)
        prefix = {"Verb": "delete-tree", "Key": f"environments/{name}/"}
        self._call("consul", "PUT", "/v1/txn", [{"KV": prefix}])
        left = [what for what, found in self._look(name) if found]
        assert not left, f"the plain script left {left} of {name}"

    def _wait_until_stopped(self, name: str) -> None:
        index = 0
        for _ in _until(_LIMIT):
            query = f"?namespace={name}&wait=10s&index={index}"
            response = self._send("nomad", "GET", f"/v1/job/web/allocations{query}")
            index = int(response.headers["X-Nomad-Index"])
            if all(found["ClientStatus"] in ("complete", "failed", "lost") for found in response.json()):
                return

    def _remove_role(self, name: str) -> None:
        self._call("vault", "DELETE", f"/v1/pki/roles/{name}")
        self._call("vault", "PUT", f"/v1/sys/leases/revoke-prefix/pki/issue/{name}")

    def _wait_until_deregistered(self, service: str) -> None:
        index = 0
        for _ in _until(_LIMIT):
            response = self._send("consul", "GET", f"/v1/catalog/services?wait=10s&index={index}")
            index = int(response.headers["X-Consul-Index"])
            if service not in response.json():
                return

    def _remove_identity(self, name: str) -> None:
        for accessor in self._accessors(name):
            self._call("vault", "POST", "/v1/auth/token/revoke-accessor", {"accessor": accessor})
        if entity := self._entity(name):
            self._call("vault", "DELETE", f"/v1/identity/entity/id/{entity}")

    def _remove_policy(self, name: str) -> None:
        policy = self._call("consul", "GET", f"/v1/acl/policy/name/env-{name}")["ID"]
        for token in self._call("consul", "GET", f"/v1/acl/tokens?policy={policy}"):
            self._call("consul", "DELETE", f"/v1/acl/token/{token['AccessorID']}")
        self._call("consul", "DELETE", f"/v1/acl/policy/{policy}")

    def _remove_namespace(self, name: str) -> None:
        for _ in _until(_LIMIT):
            response = self._clients["nomad"].delete(f"/v1/namespace/{name}")
            if "non-terminal" not in response.text:
                response.raise_for_status()
                return
            time.sleep(0.02)

    def _look(self, name: str) -> Iterable[tuple[str, Any]]:
        """What there is, and what is found of it now."""
        yield "job", self._find("nomad", f"/v1/job/web?namespace={name}")
        yield "namespace", self._find("nomad", f"/v1/namespace/{name}")
        yield "services", [it for it in self._call("consul", "GET", "/v1/catalog/services") if it.startswith(name)]
        yield "policy and tokens", self._find("consul", f"/v1/acl/policy/name/env-{name}")
        yield "keys", self._find("consul", f"/v1/kv/environments/{name}/?recurse")
        yield "secret", self._find("vault", f"/v1/secret/metadata/environments/{name}/password")
        yield "role", self._find("vault", f"/v1/pki/roles/{name}")
        yield "leases", self._find("vault", f"/v1/sys/leases/lookup/pki/issue/{name}/", "LIST")
        yield "certificates", self._unrevoked() - self._unrevoked_before
        yield "tokens", self._accessors(name)
        yield "entity", self._entity(name)

    # --- OpenBao's lists ---

    def _unrevoked(self) -> frozenset[str]:
        lists = [self._find("vault", f"/v1/pki/{path}", "LIST") for path in ("certs", "certs/revoked")]
        # The two write serial numbers differently.
        issued, revoked = (
            {key.replace("-", ":") for key in (found or {}).get("data", {})["keys"]} if found else set()
            for found in lists
        )
        return frozenset(issued - revoked)

    def _accessors(self, name: str) -> list[str]:
        listed: list[str] = self._call("vault", "LIST", "/v1/auth/token/accessors")["data"]["keys"]
        for accessor in listed:
            if accessor not in self._origins:
                # One that has ended meanwhile answers 403 or 404.
                response = self._clients["vault"].post("/v1/auth/token/lookup-accessor", json={"accessor": accessor})
                if response.is_success:
                    self._origins[accessor] = response.json()["data"]["display_name"]
        return [accessor for accessor in listed if self._origins.get(accessor) == f"jwt-nomad-{name}"]

    def _entity(self, name: str) -> str | None:
        body = {"alias_name": name, "alias_mount_accessor": self._login_mount}
        found = self._call("vault", "POST", "/v1/identity/lookup/entity", body)
        return found["data"]["id"] if found else None

    # --- the wire ---

    def _together(self, *work: Callable[[], Any]) -> None:
        for done in [self._pool.submit(item) for item in work]:
            done.result()

    def _find(self, part: str, path: str, method: str = "GET") -> Any:
        response = self._clients[part].request(method, path)
        if response.status_code == 404:
            return None
        response.raise_for_status()
        return response.json()

    def _call(self, part: str, method: str, path: str, body: Any = None) -> Any:
        response = self._send(part, method, path, body)
        return response.json() if response.content else None

    def _send(self, part: str, method: str, path: str, body: Any = None) -> httpx2.Response:
        response = self._clients[part].request(method, path, json=body)
        assert response.is_success, f"{part} answered {response.status_code} to {method} {path}: {response.text}"
        return response


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _until(seconds: float) -> Iterable[None]:
    """Turns of a loop; fails when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
    raise TimeoutError(f"not within {seconds:g} s")
