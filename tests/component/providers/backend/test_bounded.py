"""Every call of the service ends, and takes no more than so much, whoever answers."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from environments.domain.errors import BackendError, BackendUnavailable, CalvinverseError
from environments.providers.backend.bounded import bounded_session
from environments.providers.backend.calls import Caller, FixedToken
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.backend.health import BackendHealth
from environments.providers.consul import client as consul_module
from environments.providers.consul.client import ConsulClient
from environments.providers.http.check import NoAnswer
from environments.providers.http.client import WebClient
from environments.providers.nomad import client as nomad_module
from environments.providers.nomad import connection as nomad_connection
from environments.providers.nomad.client import NomadClient
from environments.providers.vault import client as vault_module
from environments.providers.vault.client import VaultClient
from tests.fakes import hostile as servers
from tests.fakes.hostile import ENDLESS, FLOODS, Talk, hostile

LIMIT = 0.5
LONGEST = 10.0
"""Seconds within which everything ends, also on a busy machine; what isn't limited would take for ever."""


@contextmanager
def soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONGEST


@pytest.fixture
def part_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Connections]:
    for module in (consul_module, nomad_module, nomad_connection, vault_module):
        monkeypatch.setattr(module, "CALL_LIMIT", LIMIT)
    token = tmp_path / "token"
    token.write_text("a-token")

    def connections(address: str) -> Connections:
        endpoint = Endpoint(address=address, authentication=TokenFile(token_file=token))
        return Connections(consul=endpoint, nomad=endpoint, vault=endpoint)

    return connections


def calls(connections: Callable[[], Connections]) -> dict[str, Callable[[], object]]:
    vault = VaultClient(connections)
    return {
        "consul": lambda: ConsulClient(connections).tree("environments/demo/"),
        "consul waits": lambda: ConsulClient(connections).instances("demo--web", index=5, wait=0.1),
        "nomad": lambda: NomadClient(connections).jobs("demo"),
        "nomad waits": lambda: NomadClient(connections).allocations("demo", "web", index=5, wait=0.1),
        "openbao": lambda: vault.secrets.read("environments/demo/database"),
    }


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=ENDLESS)
def test_a_check_ends_with_its_limit(talk: Talk) -> None:
    with hostile(talk) as server, soon(), pytest.raises(NoAnswer):
        WebClient().get(server.address, ca=None, limit=LIMIT)


@pytest.mark.parametrize("talk", [servers.silence, servers.dripping_body])
def test_a_tls_handshake_ends_with_the_limit(talk: Talk) -> None:
    with hostile(talk, listen_first=False) as server, soon(), pytest.raises(NoAnswer):
        WebClient().get(server.address.replace("http:", "https:"), ca=None, limit=LIMIT)


@pytest.mark.parametrize("talk", FLOODS.values(), ids=FLOODS)
def test_a_check_takes_no_more_than_so_much(talk: Talk) -> None:
    with hostile(talk, 0) as server, soon():
        tracemalloc.start()
        try:
            try:
                answer = WebClient().get(server.address, ca=None, limit=LONGEST / 2)
                assert len(answer.text) == 1 << 20
            except NoAnswer:
                pass
            assert tracemalloc.get_traced_memory()[1] < 32 << 20
        finally:
            tracemalloc.stop()


def test_a_compressed_answer_is_not_unpacked_beyond_the_limit() -> None:
    with hostile(servers.bomb) as server, soon():
        answer = WebClient().get(server.address, ca=None, limit=LONGEST)
        assert len(answer.text) == 1 << 20
        assert b"Accept-Encoding: identity" in server.asked[0]
    with hostile(servers.bomb) as server, soon(), pytest.raises(BackendError, match="too large"):
        Caller("nomad", server.address, timeout=LONGEST).get("/v1/jobs")


def test_redirects_are_not_followed(part_of: Callable[[str], Connections]) -> None:
    with hostile(servers.silence) as other, hostile(servers.elsewhere(other.address)) as server, soon():
        assert WebClient().get(server.address, ca=None, limit=LONGEST).status == 302
        with pytest.raises(BackendError, match="302"):
            Caller("consul", server.address, FixedToken("a token")).get("/v1/kv")
        for call in calls(lambda: part_of(server.address)).values():
            with pytest.raises(CalvinverseError):
                call()
        assert not other.sources


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=ENDLESS)
def test_a_call_of_a_part_ends_with_its_limit(talk: Talk, part_of: Callable[[str], Connections]) -> None:
    with hostile(talk) as server:
        for call in calls(lambda: part_of(server.address)).values():
            with soon(), pytest.raises(BackendUnavailable):
                call()
        with soon(), pytest.raises(BackendUnavailable):
            Caller("vault", server.address, timeout=LIMIT).get("/v1/secret/data/x")
        with soon():
            assert set(BackendHealth(lambda: part_of(server.address), "").troubles()) == {"consul", "nomad", "vault"}


@pytest.mark.parametrize("talk", [*FLOODS.values(), servers.deep], ids=[*FLOODS, "deep JSON"])
def test_a_part_that_answers_too_much_is_a_failure(talk: Talk, part_of: Callable[[str], Connections]) -> None:
    with hostile(talk, 0) as server:
        for call in calls(lambda: part_of(server.address)).values():
            with soon(), pytest.raises(BackendError):
                call()


def test_connections_to_parts_on_loopback_come_from_addresses_that_nobody_else_uses(
    part_of: Callable[[str], Connections],
) -> None:
    with hostile(servers.deep) as server:
        for _ in range(3):
            for call in calls(lambda: part_of(server.address)).values():
                with pytest.raises(CalvinverseError):
                    call()
        assert len(set(server.sources)) > 3
        assert "127.0.0.1" not in server.sources


def test_an_answer_is_text_in_utf_8_whatever_it_says() -> None:
    def talk(_: object) -> Iterator[bytes]:
        body = "größer".encode()
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=punycode\r\nContent-Length: %d\r\n\r\n" % len(body)
        yield body

    with hostile(talk) as server, bounded_session(seconds=LONGEST, largest=1000) as session:
        assert session.get(server.address).text == "größer"


def test_cookies_are_not_kept() -> None:
    def talk(_: object) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    with hostile(talk) as server, bounded_session(seconds=LONGEST, largest=1000) as session:
        session.get(server.address)
        session.get(server.address)
        assert not session.cookies
        assert len(server.asked) == 2
        assert b"Cookie" not in server.asked[1]
