"""A whole Calvinverse deployed for tests: in a state folder of its own, on free ports, gone afterwards."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from environments.client import Client, connect
from environments.context import Context, stored_context
from environments.domain.errors import ServiceUnavailable
from environments.providers.backend.calls import Part
from environments.providers.backend.connections import Connections, TokenFile
from environments.wire.images import PublishImageRequest
from images.toolchain import require
from jobs.database import Choice
from jobs.deploy import DeployRequest, Existing, deploy
from jobs.edge import EdgeChoice
from jobs.places import Places
from jobs.status import Line, status_lines
from jobs.undeploy import undeploy
from tests.support import images_here
from tests.support.claimed_ports import claim_ports
from tests.support.service_process import free_port

LIMIT = 90.0
_AGENTS: dict[str, Part] = {"consul": "consul", "openbao": "vault", "nomad": "nomad"}
"""What deploy calls each part of a cluster, and what its connections call it."""


class Deployment:
    """A state folder that a service is deployed from."""

    def __init__(
        self,
        state: Path,
        existing: Sequence[Existing] = (),
        images: Sequence[str] = ("web", "postgres"),
        *,
        port: int | None = None,
        database_port: int | None = None,
        ui_port: int | None = None,
    ) -> None:
        """`port`, `database_port`, `ui_port`: of the service, of PostgreSQL, of the web page; None: any that is free.

        With the image `edge` it has an edge, at `edge_port` of loopback, and the web page behind it, at
        `ui_port`.
        """
        self.where = Places(state)
        self.said: list[str] = []
        state.mkdir(mode=0o700)
        ports, self._claim = claim_ports()
        self._wish = {
            "image": images_here.reference("provisioning"),
            "binaries": require("consul", "bao", "nomad"),
            "infra_image": images_here.reference("pause"),
            "images": {
                name: PublishImageRequest(reference=images_here.reference(name), channel="qa")
                for name in (*images, *(["ui"] if "edge" in images else []))
            },
            "ui_port": (ui_port := ui_port or free_port()),
            "ports": ports.model_dump(mode="json"),
            "port": port or free_port(),
            "existing": existing,
        }
        self._database_port = database_port or free_port()
        self.edge_port, self.ui_port = free_port(), ui_port
        self._edge = EdgeChoice(port=self.edge_port) if "edge" in images else EdgeChoice(off=True)

    def deploy(
        self,
        kind: str | None = None,
        workers: int | None = None,
        edge: EdgeChoice | None = None,
        warnings: str = "",
    ) -> None:
        """Deploys to the end. `warnings`: the file of their channels."""
        port = self._database_port if kind == "postgresql" else None
        chosen: dict[str, Any] = {**self._wish, "database": Choice(kind, workers, port), "edge": edge or self._edge}
        chosen["warnings"] = warnings
        deploy(self.where, DeployRequest(**chosen), self.said.append)

    @property
    def context(self) -> Context:
        """Where the deployed service is, and the file with its admin's token."""
        context = stored_context(self.where.state)
        assert context is not None
        return context

    def client(self) -> Client:
        """A client of the deployed service."""
        return connect(self.context)

    @property
    def connections(self) -> Connections:
        """With the admin's credentials."""
        return Connections.load(self.where.connections)

    def allocations(self, group: str) -> list[str]:
        """Ids of the running allocations of a group of the meta environment."""
        found = self.connections.caller("nomad").call("GET", "/v1/allocations?namespace=meta")
        return [item["ID"] for item in found if item["TaskGroup"] == group and item["ClientStatus"] == "running"]

    def line(self, part: str) -> Line:
        """What `doit status` says of a part."""
        return next(line for line in status_lines(self.where) if line.part == part)

    def remove(self) -> None:
        """Undeploys, whatever there is."""
        undeploy(self.where, self.said.append, force=True)


def existing_parts(connections: Connections) -> list[Existing]:
    """The parts of a cluster that runs already, as somebody gives them to deploy: each with a file with its token."""
    found = []
    for agent, part in _AGENTS.items():
        endpoint = connections.endpoint(part)
        assert isinstance(endpoint.authentication, TokenFile)
        token_file = endpoint.authentication.token_file
        found.append(Existing(agent, endpoint.address, str(token_file), str(endpoint.ca_file)))
    return found


def docker(*arguments: str) -> list[str]:
    """The lines that the engine answers with."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.split("\n")[:-1]


def containers(state: Path) -> dict[str, dict[str, Any]]:
    """What the engine knows of the containers, running or not, that use a folder below a state folder; by name.

    Those of others may go away while we look.
    """
    ids = docker("ps", "--all", "--quiet", "--filter", "label=com.hashicorp.nomad.alloc_id")
    command = ["docker", "inspect", *ids]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False) if ids else None
    found = json.loads(done.stdout or "[]") if done is not None else []
    return {
        item["Name"].strip("/"): item
        for item in found
        if any(str(mount.get("Source", "")).startswith(f"{state}/") for mount in item["Mounts"])
    }


def until(true: Callable[[], Any], limit: float = LIMIT) -> Any:
    """What comes when it is true. A service that is just coming back may refuse to say."""
    end = time.monotonic() + limit
    while True:
        try:
            found = true()
        except ServiceUnavailable:
            found = None
        if found:
            return found
        assert time.monotonic() < end, "it didn't become so in time"
        time.sleep(0.1)
