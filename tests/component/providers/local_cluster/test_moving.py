"""What prepares the move to TLS sends Nomad's token only to Nomad."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.moving import stop_service_of_plain_agents
from environments.providers.local_cluster.agents.nomad import NomadAgent
from environments.providers.local_cluster.agents.ports import Ports


class PlainServer(http.server.ThreadingHTTPServer):
    """Answers as a Nomad without TLS does, and keeps the headers that it gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Plain)
        self.seen: list[str] = []


class Plain(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, PlainServer)
        self.server.seen.append(str(self.headers))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain() -> Iterator[PlainServer]:
    with PlainServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def nomad(tmp_path: Path, plain: PlainServer) -> NomadAgent:
    agent = LocalAgents(tmp_path / "state", {}, Ports(nomad_http=plain.server_port)).nomad
    agent.token_file.write_text("token-of-the-admin\n")
    return agent


def test_a_nomad_without_tls_is_asked_to_stop_the_service(
    nomad: NomadAgent, plain: PlainServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nomad, "pid", os.getpid)
    assert stop_service_of_plain_agents(nomad)
    assert "token-of-the-admin" in plain.seen[0]


def test_who_took_the_port_while_nomad_starts_gets_no_token(
    nomad: NomadAgent, plain: PlainServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as starting:
        monkeypatch.setattr(nomad, "pid", lambda: starting.pid)
        assert not stop_service_of_plain_agents(nomad)
        starting.communicate(b"\n")
    assert plain.seen == []
