"""Counts what exists on a cluster with the vendors' own APIs: nothing of Calvinverse's adapters is used here."""

import json
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from environments.providers.backend.calls import TITLES
from environments.providers.backend.connections import Connections
from tests.support.part_client import part_client

UNMOUNTED_WITHIN = 240.0
"""Seconds in which Nomad unmounts the folders of allocations whose job is gone, on a busy machine."""


@dataclass(frozen=True)
class Census:
    """Kind → names of what exists. Two censuses of the same world are equal."""

    things: dict[str, frozenset[str]] = field(default_factory=dict)

    def since(self, before: "Census") -> dict[str, list[str]]:
        """What is there now and was not before; kinds without news are left out."""
        news = {kind: sorted(names - before.things.get(kind, frozenset())) for kind, names in self.things.items()}
        return {kind: names for kind, names in news.items() if names}


class Taker:
    """Takes censuses of a cluster. `state`: the folder below which its agents keep data and mounts."""

    def __init__(self, connections: Connections, state: Path) -> None:
        self._clients: dict[str, httpx2.Client] = {}
        self._state = state
        for part in TITLES:
            self._clients[part] = part_client(connections, part, timeout=10)

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients.values():
            client.close()

    def take(self) -> Census:
        """Everything of every kind that the design's last table lists."""
        things: dict[str, list[str]] = {
            **self._nomad(),
            **self._consul(),
            **self._openbao(),
            **self._machine(),
        }
        return Census({kind: frozenset(names) for kind, names in things.items()})

    def left_since(self, before: Census) -> dict[str, list[str]]:
        """What is there and was not before. Mounts of ended allocations get some minutes; Nomad unmounts later."""
        end = time.monotonic() + UNMOUNTED_WITHIN
        while True:
            left = self.take().since(before)
            if set(left) != {"mounts"} or time.monotonic() > end:
                return left
            time.sleep(0.5)

    def duplicates(self, environment: str) -> list[str]:
        """Two live objects for one entry of the inventory, and secrets written twice; empty when all is well."""
        allocations, live = self._allocations(environment)
        found = Counter(f"allocation {item['Name']}" for item in live)
        containers = [
            name for name in self._containers(all=False) if any(name.endswith(it["ID"]) for it in allocations)
        ]
        if len(containers) > len(live):
            found[f"{len(containers)} containers of {len(live)} allocations"] += 2
        for service in self._get("consul", "/v1/catalog/services"):
            instances = self._get("consul", f"/v1/catalog/service/{service}")
            if service.startswith(f"{environment}--") and len(instances) != len(live):
                found[f"{len(instances)} instances of {service} for {len(live)} allocations"] += 2
        for path in self._tree(f"secret/metadata/environments/{environment}/"):
            if self._get("vault", f"/v1/{path}")["data"]["current_version"] > 1:  # the mark of a folder has no version
                found[f"{path} was written more than once"] += 2
        return sorted(name for name, count in found.items() if count > 1)

    def instances(self, environment: str) -> int:
        """How many allocations run, or are about to."""
        return len(self._allocations(environment)[1])

    def _allocations(self, environment: str) -> tuple[list[Any], list[Any]]:
        """All that Nomad lists of a namespace, and those that haven't ended."""
        listed = self._get("nomad", f"/v1/allocations?namespace={environment}")
        return listed, [item for item in listed if item["ClientStatus"] in ("running", "pending")]

    def _get(self, part: str, path: str) -> Any:
        response = self._clients[part].get(path)
        if response.status_code == 404:
            return None
        response.raise_for_status()
        return response.json()

    def _list(self, path: str) -> list[str]:
        response = self._clients["vault"].request("LIST", f"/v1/{path}")
        if response.status_code == 404:
            return []
        response.raise_for_status()
        keys: list[str] = response.json()["data"]["keys"]
        return keys

    def _nomad(self) -> dict[str, list[str]]:
        allocations = self._get("nomad", "/v1/allocations?namespace=*")
        return {
            "nomad namespaces": [item["Name"] for item in self._get("nomad", "/v1/namespaces")],
            "nomad jobs": [f"{item['Namespace']}/{item['ID']}" for item in self._get("nomad", "/v1/jobs?namespace=*")],
            "nomad allocations": [
                f"{item['Namespace']}/{item['JobID']}/{item['ID']}"
                for item in allocations
                if item["ClientStatus"] in ("running", "pending", "unknown")
            ],
            "nomad variables": [
                f"{item['Namespace']}/{item['Path']}" for item in self._get("nomad", "/v1/vars?namespace=*")
            ],
            "nomad policies": [item["Name"] for item in self._get("nomad", "/v1/acl/policies")],
            # Those of the service's own logins are for management, and end by themselves.
            "nomad tokens": [
                item["AccessorID"] for item in self._get("nomad", "/v1/acl/tokens") if item["Type"] == "client"
            ],
            "nomad services": [
                str(item) for item in self._get("nomad", "/v1/services?namespace=*") if item.get("Services")
            ],
        }

    def _consul(self) -> dict[str, list[str]]:
        return {
            "consul keys": self._get("consul", "/v1/kv/?keys") or [],
            "consul policies": [item["Name"] for item in self._get("consul", "/v1/acl/policies")],
            "consul tokens": [item["AccessorID"] for item in self._get("consul", "/v1/acl/tokens")],
            "consul roles": [item["Name"] for item in self._get("consul", "/v1/acl/roles")],
            "consul services": [
                f"{name} {item['ServiceID']}"
                for name in self._get("consul", "/v1/catalog/services")
                for item in self._get("consul", f"/v1/catalog/service/{name}")
            ],
            "consul checks": [
                f"{item['Node']} {item['CheckID']}" for item in self._get("consul", "/v1/health/state/any")
            ],
        }

    def _openbao(self) -> dict[str, list[str]]:
        accessors = []
        for accessor in self._list("auth/token/accessors"):
            found = self._clients["vault"].post("/v1/auth/token/lookup-accessor", json={"accessor": accessor})
            # Tokens that end by themselves while we count are not ours to count.
            if found.status_code == 200:
                accessors.append(f"{found.json()['data']['display_name']} {accessor}")
        certificates = []
        for serial in self._list("pki/certs"):
            found = self._get("vault", f"/v1/pki/cert/{serial}")
            if found is not None and not found["data"]["revocation_time"]:
                certificates.append(serial)
        return {
            "openbao secrets": self._tree("secret/metadata/"),
            "openbao pki roles": self._list("pki/roles"),
            "openbao certificates": certificates,
            "openbao leases": self._leases("pki/issue/"),
            "openbao tokens": accessors,
            "openbao entities": self._list("identity/entity/id"),
            "openbao aliases": self._list("identity/entity-alias/id"),
            "openbao policies": self._list("sys/policies/acl"),
        }

    def _tree(self, folder: str) -> list[str]:
        found = []
        for key in self._list(folder.rstrip("/")):
            found += self._tree(f"{folder}{key}") if key.endswith("/") else [f"{folder}{key}"]
        return found

    def _leases(self, prefix: str) -> list[str]:
        found = []
        for key in self._list(f"sys/leases/lookup/{prefix}".rstrip("/")):
            found += self._leases(f"{prefix}{key}") if key.endswith("/") else [f"{prefix}{key}"]
        return found

    def _machine(self) -> dict[str, list[str]]:
        with Path("/proc/mounts").open() as file:
            mounts = [line.split()[1] for line in file]
        return {
            "containers": self._containers(all=True),
            "mounts": [mount for mount in mounts if mount.startswith(f"{self._state}/")],
            "processes": _helpers(self._state),
        }

    def _containers(self, *, all: bool) -> list[str]:
        """Containers with something below the state folder mounted: those that this cluster's Nomad made.

        One question to the engine: those of others come and go meanwhile.
        """
        label, form = "label=com.hashicorp.nomad.alloc_id", "{{.Names}} {{.Mounts}}"
        lines = _docker("ps", *(["-a"] if all else []), "--no-trunc", "--filter", label, "--format", form)
        found = [line.partition(" ") for line in lines]
        return [
            name
            for name, _, mounts in found
            if any(source.startswith(f"{self._state}/") for source in mounts.split(","))
        ]


def _docker(*arguments: str) -> list[str]:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def _helpers(state: Path) -> list[str]:
    """Nomad's helpers (`logmon`, `docker_logger`) that hold files below the state folder open, and what works there."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            helper = any(part in (b"logmon", b"docker_logger", b"executor") for part in command)
            if helper and any(str(file.resolve()).startswith(f"{state}/") for file in (process / "fd").iterdir()):
                found.append(f"{process.name} {b' '.join(command).decode(errors='replace')}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def describe(things: dict[str, list[str]]) -> str:
    """For the message of a failed test."""
    return json.dumps(things, indent=1)
