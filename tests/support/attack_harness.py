"""People who attack a service over HTTP, and what they meet. The parts are asked through their makers' APIs."""

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import httpx2

from environments.providers.backend.connections import Connections

CASES = Path(__file__).resolve().parent.parent / "cases" / "attack"
"""Templates that the attacks use, a folder each; Calvinverse's admin has pushed them."""

REFUSED_CASES = CASES.parent / "attack_refused"
"""Templates that nobody may push."""

LIMIT = 120.0
"""Seconds within which an environment settles on a busy machine."""

SETTLED = ("ready", "failed", "destroyed", "destroy_failed", "abandoned")
REFUSED = frozenset({400, 403, 404, 409, 413, 422, 429})


@dataclass
class Person:
    """Somebody with a token of the service."""

    name: str
    address: str
    token: str
    ca_file: Path | None = None
    http: httpx2.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.reach(self.address, self.ca_file)

    def reach(self, address: str, ca_file: Path | None) -> None:
        """Uses that address from here on; a certificate there must be signed by the authority in `ca_file`."""
        self.address, self.ca_file = address, ca_file
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        # No connection outlives its answer: people come and go with their tokens.
        alone = httpx2.Limits(max_keepalive_connections=0)
        trust = ssl.create_default_context(cafile=ca_file)
        self.http = httpx2.Client(
            base_url=address, headers=headers, timeout=60, trust_env=False, limits=alone, verify=trust
        )

    def connection(self, seconds: float) -> HTTPConnection:
        """A connection of its own, to send on it whatever one wants."""
        host = self.address.partition("://")[2]
        if not self.address.startswith("https:"):
            return HTTPConnection(host, timeout=seconds)
        trust = ssl.create_default_context(cafile=self.ca_file)
        return HTTPSConnection(host, timeout=seconds, context=trust)

    def get(self, path: str) -> Any:
        """The answer as JSON; it must be a good one."""
        return good(self.http.get(path))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """The same for a POST."""
        return good(self.http.post(path, json=body, headers=headers))

    def put(self, path: str, body: Any) -> Any:
        """The same for a PUT."""
        return good(self.http.put(path, json=body))

    def push(self, folder: Path, replaced: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Pushes a template; `replaced` changes texts of its `template.toml`."""
        view: dict[str, Any] = self.post("/v1/templates", {"files": bundle(folder, replaced)})
        return view

    def ask(self, name: str, template: str, parameters: Mapping[str, Any] | None = None) -> httpx2.Response:
        """Asks for an environment, whatever the answer."""
        body = {"name": name, "template": template, "parameters": dict(parameters or {}), "ttl": "1h"}
        return self.http.post("/v1/environments", json=body)

    def create(self, name: str, template: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The environment once it has settled, ready or not."""
        good(self.ask(name, template, parameters))
        return self.settled(name)

    def made(self, name: str, template: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The environment once it is ready."""
        view = self.create(name, template, parameters)
        assert view["state"] == "ready", view["failure"]
        return view

    def settled(self, name: str, seconds: float = LIMIT) -> dict[str, Any]:
        """The environment once nothing works on it any more."""

        def at_rest() -> dict[str, Any] | None:
            view: dict[str, Any] = self.get(f"/v1/environments/{name}")
            running = (view["deployment"] or {}).get("state") in ("queued", "pending", "running")
            return view if view["state"] in SETTLED and not running else None

        found: dict[str, Any] = until(at_rest, f"{name} doesn't settle", seconds)
        return found

    def destroy(self, name: str, seconds: float = LIMIT) -> dict[str, Any]:
        """The environment, by its id, once its destroy has ended, well or not."""
        accepted = self.post(f"/v1/environments/{name}/destroy", {"reason": "the attack is over"})
        found: dict[str, Any] = self.settled(accepted["environment"]["id"], seconds)
        return found

    def logs(self, name: str) -> str:
        """All that the steps of an environment have said."""
        events = self.get(f"/v1/environments/{name}/events?limit=1000")
        return "\n".join(json.dumps(event, ensure_ascii=False) for event in events)

    def metrics(self) -> list[str]:
        """The service's series, as Prometheus reads them."""
        response = self.http.get("/metrics")
        assert response.status_code == 200
        return [line for line in response.text.splitlines() if line and not line.startswith("#")]


@dataclass(frozen=True)
class Target:
    """A service that runs, with its cluster, and the people who use it."""

    address: str
    admin: Person
    alice: Person
    mallory: Person
    nobody: Person
    parts: Mapping[str, httpx2.Client]
    """Consul, OpenBao (`vault`) and Nomad, asked with the admin's credentials."""
    folder: Path
    """The state folder of the deployment: what a copy of the machine's disk would hold."""
    process: Callable[[], int]
    """The service's process, as this machine numbers it."""
    connections: Connections

    def part(self, part: str, method: str, path: str, body: Any = None) -> Any:
        """What a part answers; None: it knows nothing there."""
        response = self.parts[part].request(method, path, json=body)
        if response.status_code == 404:
            return None
        assert response.status_code < 300, f"{part} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    def keys(self, environment: str) -> list[str]:
        """The keys of an environment in Consul."""
        return self.part("consul", "GET", f"/v1/kv/environments/{environment}/?keys") or []

    def secrets(self, environment: str) -> list[str]:
        """The names of the secrets in an environment's folder in OpenBao, without what marks the folder as its own."""
        found = self.part("vault", "LIST", f"/v1/secret/metadata/environments/{environment}")
        return [name for name in found["data"]["keys"] if not name.startswith(".")] if found else []

    def output(self, environment: str, job: str, task: str = "main") -> str:
        """What a job has written, to either stream."""
        texts = []
        for run in self.part("nomad", "GET", f"/v1/job/{job}/allocations?namespace={environment}") or []:
            for stream in ("stdout", "stderr"):
                path = f"/v1/client/fs/logs/{run['ID']}?namespace={environment}&task={task}&type={stream}&plain=true"
                response = self.parts["nomad"].get(path)
                texts.append(response.text if response.status_code == 200 else "")
        return "\n".join(texts)

    def written(self, environment: str, job: str, file: str) -> list[str]:
        """What is in a file that the job's runs have written into their shared folder, for each that has one."""
        texts = []
        for run in self.part("nomad", "GET", f"/v1/job/{job}/allocations?namespace={environment}") or []:
            path = f"/v1/client/fs/cat/{run['ID']}?namespace={environment}&path=alloc/{file}"
            response = self.parts["nomad"].get(path)
            texts += [response.text] if response.status_code == 200 else []
        return texts


def good(response: httpx2.Response) -> Any:
    """What a good answer holds."""
    assert response.status_code < 300, f"{response.request.url}: {response.status_code} {response.text}"
    return response.json()


def refused(response: httpx2.Response) -> str:
    """The code of a refusal that a person can understand; anything else fails."""
    assert response.status_code in REFUSED, f"{response.request.url}: {response.status_code} {response.text[:2000]}"
    problem = response.json()
    assert problem["detail"]
    return str(problem["code"])


def bundle(folder: Path, replaced: Mapping[str, str] | None = None) -> dict[str, str]:
    """The files of a template as the API takes them."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_text(encoding="utf-8")
            if path.name == "template.toml":
                for old, new in (replaced or {}).items():
                    assert old in content
                    content = content.replace(old, new)
            files[str(path.relative_to(folder))] = base64.b64encode(content.encode()).decode()
    return files


def until(true: Callable[[], Any], what: str, seconds: float = LIMIT) -> Any:
    """What comes when it is true."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found
