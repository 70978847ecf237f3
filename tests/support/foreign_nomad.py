"""A Nomad that isn't ours, on the same Docker engine: an agent behind a proxy that shows it the containers of a test.

What it would do to containers that it doesn't know, it must not do to those of other people on this machine. So it
reaches the engine through the proxy only, which lists what the test names, and lets nothing else be removed.
"""

import json
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2

from environments.providers.local_cluster.agents import engine
from environments.providers.local_cluster.agents.agent import agents_environment
from images.toolchain import require
from tests.support.claimed_ports import claim_ports

LIMIT = 120.0
GRACE = "1m"
"""The shortest age that Nomad allows for containers that it removes, and so its first delay."""
PERIOD = "1s"

Container = Mapping[str, Any]
"""As the engine lists it."""


class EngineProxy(socketserver.ThreadingUnixStreamServer):
    """The engine as a foreign Nomad sees it: containers for which `shows` holds, and those only while it is open."""

    daemon_threads = True

    def __init__(self, path: Path, shows: Callable[[Container], bool]) -> None:
        self.shows = shows
        self.open = threading.Event()
        self.listings = 0
        """How often somebody asked for running containers."""
        self.removed: list[str] = []
        self.shown: set[str] = set()
        self.engine = httpx2.Client(
            transport=httpx2.HTTPTransport(uds=str(engine.socket_path())), base_url="http://docker", timeout=60
        )
        self.nomad = ""
        """The agent's address."""
        super().__init__(str(path), _Passage)

    def server_close(self) -> None:
        """Closes both sides."""
        super().server_close()
        self.engine.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The agent may end in the middle of a question."""


class _Passage(BaseHTTPRequestHandler):
    server: EngineProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "/containers/json" not in self.path:
            self._pass_on()
            return
        self.server.listings += 1
        found = self.server.engine.get(self.path).json()
        shown = [item for item in found if self.server.open.is_set() and self.server.shows(item)]
        self.server.shown.update(item["Id"] for item in shown)
        self._say(200, json.dumps(shown).encode(), "application/json")

    def do_DELETE(self) -> None:
        container = self.path.partition("/containers/")[2].partition("?")[0]
        if container in self.server.shown:
            self.server.removed.append(container)
            self._pass_on()
        else:
            self._say(403, b'{"message": "not for you"}', "application/json")

    def _pass_on(self) -> None:
        answer = self.server.engine.request(self.command, self.path)
        self._say(answer.status_code, answer.content, answer.headers.get("Content-Type", ""), answer.headers)

    def do_HEAD(self) -> None:
        self._pass_on()

    def _say(self, status: int, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        if more and "Api-Version" in more:
            self.send_header("Api-Version", more["Api-Version"])
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return "a socket"


@contextmanager
def foreign_nomad(folder: Path, plugin: Mapping[str, Any], shows: Callable[[Container], bool]) -> Iterator[EngineProxy]:
    """An agent with this configuration of its docker plugin, once its driver works; gone afterwards."""
    folder.mkdir()
    ports, _claim = claim_ports()
    loopback = {
        "http": f"127.0.0.1:{ports.nomad_http}",
        "rpc": f"127.0.0.1:{ports.nomad_rpc}",
        "serf": f"127.0.0.1:{ports.nomad_serf}",
    }
    config = {
        "data_dir": str(folder / "data"),
        "bind_addr": "127.0.0.1",
        "ports": {"http": ports.nomad_http, "rpc": ports.nomad_rpc, "serf": ports.nomad_serf},
        "advertise": loopback,
        "disable_update_check": True,
        "server": {"enabled": True, "bootstrap_expect": 1, "raft_multiplier": 1},
        "client": {
            "enabled": True,
            "network_interface": "lo",
            "alloc_mounts_dir": str(folder / "mounts"),
            "options": {
                "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean",
                "driver.allowlist": "docker",
            },
        },
        "plugin": {"docker": {"config": plugin}},
    }
    (folder / "config.json").write_text(json.dumps(config))
    log = folder / "log"
    with EngineProxy(folder / "proxy.sock", shows) as proxy, log.open("wb") as output:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        agent = subprocess.Popen(
            [str(require("nomad")["nomad"]), "agent", "-config", str(folder / "config.json")],
            env={**agents_environment(folder), "DOCKER_HOST": f"unix://{folder / 'proxy.sock'}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            proxy.nomad = f"http://127.0.0.1:{ports.nomad_http}"
            _wait_until_ready(proxy.nomad, agent, log)
            yield proxy
        finally:
            agent.terminate()
            agent.wait(timeout=120)
            proxy.shutdown()


def _wait_until_ready(address: str, agent: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + LIMIT
    with httpx2.Client(base_url=address, timeout=10, trust_env=False) as http:
        while True:
            assert agent.poll() is None, log.read_text()[-3000:]
            try:
                nodes = http.get("/v1/nodes").json()
                if nodes and nodes[0]["Status"] == "ready" and nodes[0]["Drivers"]["docker"]["Healthy"]:
                    return
            except (httpx2.HTTPError, ValueError, KeyError):
                pass
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.2)
