"""Calls of parts over TLS: a token is sent to the part itself alone, whoever else listens at its address."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.errors import BackendUnavailable
from environments.providers.backend import bounded
from environments.providers.backend.calls import Caller, FixedToken, Part
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.backend.health import BackendHealth
from environments.providers.consul.client import ConsulClient
from environments.providers.local_cluster.authority import SERVER_NAMES, PartsAuthority, authority_file, keep_authority
from environments.providers.nomad.client import NomadClient
from environments.providers.nomad.feed import NomadFeed
from environments.providers.vault.client import VaultClient
from tests.fakes.hostile import hostile
from tests.support.authorities import make_authority
from tests.support.service_process import free_port

TOKEN = "a-token-of-the-service"
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
AGENTS: dict[Part, str] = {"consul": "consul", "vault": "openbao", "nomad": "nomad"}


def answer(connection: socket.socket) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("credentials")


@pytest.fixture(scope="module")
def authority(folder: Path) -> PartsAuthority:
    return keep_authority(folder, NOW)


@pytest.fixture
def connections_to(folder: Path, authority: PartsAuthority, tmp_path: Path) -> Callable[[str], Connections]:
    token = tmp_path / "token"
    token.write_text(TOKEN)

    def connections(address: str) -> Connections:
        made = {
            part: Endpoint(
                address=address,
                authentication=TokenFile(token_file=token),
                ca_file=authority_file(folder),
                server_name=SERVER_NAMES[agent],
            )
            for part, agent in AGENTS.items()
        }
        return Connections(**made)

    return connections


def calls(connections: Connections) -> dict[Part, list[Callable[[], object]]]:
    """Every way in which a part is called, by the part."""
    vault = VaultClient(lambda: connections)
    return {
        "consul": [
            lambda: ConsulClient(lambda: connections).tree("environments/demo/"),
            lambda: connections.caller("consul").call("GET", "/v1/kv/x"),
        ],
        "vault": [
            lambda: vault.secrets.head("environments/demo/database"),
            lambda: connections.caller("vault").call("GET", "/v1/sys/mounts"),
        ],
        "nomad": [
            lambda: NomadClient(lambda: connections).jobs("demo"),
            lambda: NomadFeed(lambda: connections).list("list jobs", "/v1/jobs", {}),
            lambda: connections.caller("nomad").call("GET", "/v1/jobs"),
        ],
    }


def wrong(kind: str, part: Part, authority: PartsAuthority, file: Path) -> Path:
    """A certificate that isn't that part's."""
    name = SERVER_NAMES[AGENTS[part]]
    if kind == "of another authority":
        return make_authority("pki of environments").sign(file, name, "127.0.0.1")
    if kind == "expired":
        file.write_text(authority.issue([name, "127.0.0.1"], HOUR, NOW - 2 * HOUR))
    else:
        others = [other for other in SERVER_NAMES.values() if other != name]
        file.write_text(authority.issue([*others, "127.0.0.1", "localhost"], HOUR, NOW))
    return file


@pytest.mark.parametrize("part", list(AGENTS))
@pytest.mark.parametrize("kind", ["of another authority", "of another part", "expired"])
def test_a_token_is_not_sent_to_who_shows_another_certificate(
    part: Part, kind: str, authority: PartsAuthority, connections_to: Callable[[str], Connections], tmp_path: Path
) -> None:
    with hostile(answer, tls=wrong(kind, part, authority, tmp_path / "tls.pem")) as listener:
        connections = connections_to(listener.address)
        for call in calls(connections)[part]:
            with pytest.raises(BackendUnavailable):
                call()
        alone = Connections(**{part: connections.endpoint(part)})
        assert part in BackendHealth(lambda: alone, "").troubles()
        assert listener.sources
        assert listener.asked == []


@pytest.mark.parametrize("part", list(AGENTS))
def test_a_token_is_not_sent_to_who_speaks_no_tls(part: Part, connections_to: Callable[[str], Connections]) -> None:
    with hostile(answer) as listener:
        for call in calls(connections_to(listener.address.replace("http:", "https:")))[part]:
            with pytest.raises(BackendUnavailable):
                call()
        assert listener.sources
        assert not any(TOKEN.encode() in asked for asked in listener.asked)


@pytest.mark.parametrize("part", list(AGENTS))
def test_the_part_itself_gets_the_token(
    part: Part, authority: PartsAuthority, connections_to: Callable[[str], Connections], tmp_path: Path
) -> None:
    file = tmp_path / "tls.pem"
    file.write_text(authority.issue([SERVER_NAMES[AGENTS[part]]], HOUR, NOW))
    with hostile(answer, tls=file) as listener:
        connections_to(listener.address).caller(part).call("GET", "/v1/x")
        assert TOKEN.encode() in listener.asked[0]


def test_a_port_that_is_closed_for_a_moment_is_tried_again(
    folder: Path, authority: PartsAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an agent closes it that takes over a new certificate."""
    monkeypatch.setattr(bounded, "_PAUSES", (0.02,) * 1000)
    file = tmp_path / "tls.pem"
    file.write_text(authority.issue([SERVER_NAMES["nomad"]], HOUR, NOW))
    port = free_port()
    caller = Caller(
        "nomad",
        f"https://127.0.0.1:{port}",
        FixedToken(TOKEN),
        ca_file=authority_file(folder),
        server_name=SERVER_NAMES["nomad"],
    )
    done: list[object] = []
    calling = threading.Thread(target=lambda: done.append(caller.call("GET", "/v1/x")))
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", port))  # nobody listens, and nobody else gets it
    calling.start()
    calling.join(0.1)
    assert done == []
    refusing.close()
    with hostile(answer, tls=file, port=port):
        calling.join(30)
    assert done == [[]]


@pytest.mark.parametrize("text", [None, "", "garbage"])
def test_a_ca_file_that_can_not_be_used_is_told(
    text: str | None, connections_to: Callable[[str], Connections], tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    given = connections_to("https://127.0.0.1:1")
    endpoints = {part: given.endpoint(part).model_copy(update={"ca_file": file}) for part in AGENTS}
    for part, ways in calls(Connections(**endpoints)).items():
        for call in ways:
            with pytest.raises(BackendUnavailable, match=f"The CA file {file} can't be used: "):
                call()
        assert part in BackendHealth(lambda: Connections(**endpoints), "").troubles()
