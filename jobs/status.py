"""Asks each part for its address, version and health, without starting anything."""

import ssl
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from environments.addresses import is_loopback
from environments.client import Client, connect
from environments.context import stored_context
from environments.domain.counting import counted
from environments.domain.errors import CalvinverseError, UnknownEnvironment
from environments.domain.names import META
from environments.kept_files import NotKept, NotThere, read_object, read_token
from images.machine import Listener
from jobs.places import Places
from jobs.web_page import NAME

TIME_LIMIT = 3.0
"""Time limit in seconds for each part to answer."""


_PURPOSES = {
    "service": "the provisioning service",
    "consul": "Consul",
    "openbao": "OpenBao",
    "nomad": "Nomad",
    "edge": "the edge",
    "web page": "the web page",
}
"""Parts that listen on a port, with their names in `images.machine`."""

_NO_ANSWER = ("✗ doesn't answer", "✗ can't be asked")


class Line(NamedTuple):
    """A part. `health` begins with a sign, so that colour is never needed."""

    part: str
    health: str
    version: str = ""
    address: str = ""


def status_lines(where: Places) -> list[Line]:
    """One line per part, in the order of their dependencies."""
    known = _connections(where.connections)
    asks: list[Callable[[], list[Line]]] = [
        lambda: [_docker()],
        lambda: [_part("consul", known.get("consul"), where.state, _consul)],
        lambda: [_part("openbao", known.get("vault"), where.state, _openbao)],
        lambda: [_part("nomad", known.get("nomad"), where.state, _nomad)],
        lambda: _service(where),
        lambda: _edge(where),
        lambda: _web_page(where),
    ]
    with ThreadPoolExecutor(len(asks)) as pool:
        return [line for found in [pool.submit(ask) for ask in asks] for line in found.result()]


def listeners(where: Places) -> list[Listener]:
    """Where this deployment's parts listen, and whether the programs there belong to it; empty without a deployment."""
    return [found for line in status_lines(where) if (found := _listener(where, line)) is not None]


def _listener(where: Places, line: Line) -> Listener | None:
    purpose = _PURPOSES.get(line.part)
    if purpose is None or line.health.startswith("○"):
        return None
    address = line.address
    if not address and (context := stored_context(where.state)) is not None:  # only one that runs reports it
        address = context.address if line.part == "edge" else context.without_edge().address
    ours = bool(line.address) and not line.health.startswith(_NO_ANSWER)
    parts = urlsplit(address)
    return Listener(purpose, parts.port if is_loopback(address) else None, ours, address)


def table(lines: Sequence[Line]) -> str:
    """The lines under a heading, in columns."""
    rows = [Line("PART", "HEALTH", "VERSION", "ADDRESS"), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(Line._fields))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _connections(path: Path) -> dict[str, Any]:
    """What is known of each part; why nothing is known, if the file can't be read."""
    try:
        found = read_object(path)
    except NotThere:
        return {}
    except NotKept as error:
        return dict.fromkeys(("consul", "vault", "nomad"), f"{path} can't be read: {error}.")
    return {
        part: told if told is None or isinstance(told, dict) else f"{path} doesn't say where it is."
        for part, told in found.items()
    }


def _docker() -> Line:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Line("docker", "✗ doesn't answer")
    return (
        Line("docker", "✓ healthy", done.stdout.strip()) if done.returncode == 0 else Line("docker", "✗ doesn't answer")
    )


def _part(
    name: str, endpoint: dict[str, Any] | str | None, folder: Path, ask: Callable[[httpx2.Client], tuple[str, str]]
) -> Line:
    if endpoint is None:
        return Line(name, "○ not deployed")
    if isinstance(endpoint, str):
        return Line(name, f"✗ {endpoint} `doit deploy` writes it again.")
    address = str(endpoint.get("address", ""))
    try:
        token = read_token(folder / endpoint["authentication"]["token_file"])
        headers = {"X-Consul-Token": token, "X-Vault-Token": token, "X-Nomad-Token": token}
        with httpx2.Client(
            base_url=address,
            headers=headers,
            timeout=TIME_LIMIT,
            trust_env=False,
            verify=_trusted(endpoint, folder),
            event_hooks={"request": [partial(_expect_name, str(endpoint.get("server_name") or ""))]},
        ) as client:
            health, version = ask(client)
    except httpx2.HTTPError:
        return Line(name, "✗ doesn't answer", "", address)
    except (OSError, KeyError, ValueError, NotKept):
        return Line(name, "✗ can't be asked: its credential or its answer can't be read", "", address)
    return Line(name, health, version, address)


def _trusted(endpoint: dict[str, Any], folder: Path) -> ssl.SSLContext:
    """The authorities that may sign the part's certificate."""
    if not str(endpoint.get("address", "")).startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading the well-known ones takes longer than asking
    file = endpoint.get("ca_file")
    return ssl.create_default_context(cafile=folder / file if file else None)


def _expect_name(name: str, request: httpx2.Request) -> None:
    """The name that the part's certificate must have; empty: the host of its address."""
    if name:
        request.extensions["sni_hostname"] = name


def _consul(client: httpx2.Client) -> tuple[str, str]:
    version = client.get("/v1/agent/self").raise_for_status().json()["Config"]["Version"]
    leader = client.get("/v1/status/leader").raise_for_status().json()
    return ("✓ healthy" if leader else "✗ has no leader"), version


def _openbao(client: httpx2.Client) -> tuple[str, str]:
    health = client.get("/v1/sys/health").json()
    return ("✗ sealed" if health["sealed"] else "✓ healthy"), health["version"]


def _nomad(client: httpx2.Client) -> tuple[str, str]:
    config = client.get("/v1/agent/self").raise_for_status().json()["config"]
    nodes = client.get("/v1/nodes").raise_for_status().json()
    ready = sum(node["Status"] == "ready" for node in nodes)
    return ("✓ healthy" if ready else "✗ has no ready node"), config["Version"]["Version"]


def _service(where: Places) -> list[Line]:
    """The service, with its database and its workers, which only the service knows."""
    try:
        context = stored_context(where.state)
        if context is None:
            return [Line("service", "○ not deployed")]
        context = context.without_edge()
        with connect(context) as client:
            info = client.info()
            problems = client.readiness().problems
            count = len(client.environments())
            # The database works, otherwise the service would not have answered.
            return [
                Line("service", _health(problems, counted(count, "environment")), info.version, context.address),
                Line("database", "✓ healthy", "", info.parts.get("database", "")),
                _workers(client),
            ]
    except CalvinverseError as error:
        return [Line("service", f"✗ {error.message}")]


def _edge(where: Places) -> list[Line]:
    """The edge, asked through to the service; nothing without one that this machine uses."""
    try:
        context = stored_context(where.state)
    except CalvinverseError as error:
        return [Line("edge", f"✗ {error.message}")]
    if context is None or context.behind_edge is None:
        return []
    try:
        with connect(context) as client:
            client.info()
    except CalvinverseError as error:
        # Nobody but the edge itself has its certificate, and says that the service is away.
        answered = "status" in error.details
        return [Line("edge", f"✗ {error.message}", "", context.address if answered else "")]
    return [Line("edge", "✓ healthy", "", context.address)]


def _web_page(where: Places) -> list[Line]:
    """The web page itself, without the edge; nothing where there is none."""
    try:
        context = stored_context(where.state)
    except CalvinverseError:
        return []
    if context is None or context.page_port is None:
        return []
    address = f"https://127.0.0.1:{context.page_port}"
    try:
        with httpx2.Client(
            base_url=address,
            timeout=TIME_LIMIT,
            trust_env=False,
            verify=ssl.create_default_context(cafile=where.authority),
            event_hooks={"request": [partial(_expect_name, NAME)]},
        ) as client:
            client.get("/ui/health").raise_for_status()
    except httpx2.HTTPStatusError as error:
        return [Line("web page", f"✗ answers with status {error.response.status_code}", "", address)]
    except httpx2.HTTPError:
        return [Line("web page", _NO_ANSWER[0], "", address)]
    except OSError:
        return [Line("web page", "✗ can't be asked: the authority of its certificate can't be read", "", address)]
    return [Line("web page", "✓ healthy", "", address)]


def _health(problems: Mapping[str, str], otherwise: str) -> str:
    return "✗ " + " ".join(problems.values()) if problems else f"✓ healthy, {otherwise}"


def _workers(client: Client) -> Line:
    """How many of the requested workers are alive; the service is one of them."""
    try:
        meta = client.environment(META)
    except UnknownEnvironment:
        wanted = 1  # the hand-over comes last
    else:
        wanted = 1 + int(meta.parameters.get("workers", 0))
    alive = [worker for worker in client.workers() if worker.alive]
    versions = ", ".join(sorted({worker.version for worker in alive}))
    return Line("workers", f"{'✓' if len(alive) >= wanted else '✗'} {len(alive)} of {wanted} alive", versions)
