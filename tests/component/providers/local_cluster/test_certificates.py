"""What is seen of an agent's certificate from outside, and when the keeper has an agent read it again."""

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType

import pytest

from environments.providers.local_cluster.agents import certificate_keeper
from environments.providers.local_cluster.agents.certificate_keeper import CertificateKeeper
from environments.providers.local_cluster.agents.certificates import (
    read_certificate,
    served_certificate,
    speaks_plainly,
)
from environments.providers.local_cluster.agents.consul import ConsulAgent
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.ports import LOOPBACK, Ports
from tests.fakes.hostile import hostile
from tests.support.service_process import free_port


def nothing(connection: socket.socket) -> Iterator[bytes]:
    yield b""


def plain(connection: socket.socket) -> Iterator[bytes]:
    yield b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


@pytest.fixture
def agents(tmp_path: Path) -> LocalAgents:
    """Nothing runs. Consul has a certificate, and its port is free."""
    found = LocalAgents(tmp_path / "state", {}, Ports(consul_http=free_port()), certificate_life=timedelta(hours=1))
    found.consul.renew_certificate()
    return found


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The signals that the agents get: this process stands in for them."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = signal.signal(signal.SIGHUP, receive)
    monkeypatch.setattr(ConsulAgent, "pid", lambda self: os.getpid())
    yield received
    signal.signal(signal.SIGHUP, before)


def test_who_speaks_plainly_is_told_from_who_speaks_tls_and_from_nobody(agents: LocalAgents) -> None:
    assert not speaks_plainly(LOOPBACK, agents.consul.port)
    with hostile(plain, port=agents.consul.port):
        assert speaks_plainly(LOOPBACK, agents.consul.port)
        assert served_certificate(LOOPBACK, agents.consul.port) is None
    with hostile(nothing, tls=agents.consul.certificate_file) as server:
        port = int(server.address.rpartition(":")[2])
        assert not speaks_plainly(LOOPBACK, port)
        assert served_certificate(LOOPBACK, port) == read_certificate(agents.consul.certificate_file)


def test_a_certificate_that_cannot_be_read_is_none_and_ends_no_keeper(
    agents: LocalAgents, signals: list[int], tmp_path: Path
) -> None:
    """Anybody may listen at the port of an agent that doesn't run, and show what nobody reads."""
    key, begin, rest = agents.consul.certificate_file.read_text().partition("-----BEGIN CERTIFICATE-----")
    der, version = ssl.PEM_cert_to_DER_cert(begin + rest), bytes.fromhex("a003020102")
    assert version in der
    strange = tmp_path / "strange.pem"
    strange.write_text(key + ssl.DER_cert_to_PEM_cert(der.replace(version, bytes.fromhex("a00302016b"))))
    assert read_certificate(strange) is None
    with hostile(nothing, tls=strange, port=agents.consul.port):
        assert served_certificate(LOOPBACK, agents.consul.port) is None
        assert CertificateKeeper(agents).look() == 60.0
    assert signals == []


def test_an_agent_is_signalled_while_it_serves_another_certificate_than_its_file_has(
    agents: LocalAgents, signals: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = CertificateKeeper(agents)
    file = agents.consul.certificate_file
    assert keeper.look() == 60.0
    assert signals == []  # nothing listens
    old = file.rename(tmp_path / "old.pem")
    agents.consul.renew_certificate()
    with hostile(nothing, tls=old, port=agents.consul.port):
        assert keeper.look() == 1.0
        assert keeper.look() == 1.0
        assert signals == [signal.SIGHUP]  # the second one comes when the first one had time to work
        monkeypatch.setattr(certificate_keeper, "_PATIENCE", 0.0)
        assert keeper.look() == 1.0
        assert signals == [signal.SIGHUP] * 2
    agents.consul.certificate_file.write_bytes(old.read_bytes())
    with hostile(nothing, tls=old, port=free_port()):
        assert keeper.look() == 60.0


def test_what_is_due_is_renewed(agents: LocalAgents, signals: list[int]) -> None:
    file = agents.consul.certificate_file
    before = file.read_text()
    shorter = LocalAgents(agents.site.state, {}, certificate_life=timedelta(minutes=2))
    CertificateKeeper(shorter).look()
    assert file.read_text() != before
    assert signals == []
