"""Calls on the word of others, with real sockets: what a name resolves to is judged, and only that is connected to."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from environments.providers.backend.bounded import AddressRefused, AnswerTooLarge
from environments.providers.backend.outgoing import AddressRule, is_of_this_machine, outgoing_session
from tests.fakes.hostile import OK, elsewhere, flood_of_chunks, hostile, silence

ANSWER = OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nok"


def allowing(port: int) -> AddressRule:
    return AddressRule(frozenset({f"127.0.0.1:{port}"}))


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets names resolve to given addresses, one list for each question; which names were asked for."""

    def install(*answers: list[str]) -> list[str]:
        asked: list[str] = []
        real = socket.getaddrinfo

        def found(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            if not host.endswith(".example"):
                return real(host, port, type=socket.SOCK_STREAM)
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            return [entry for one in answer for entry in real(one, port, type=socket.SOCK_STREAM)]

        monkeypatch.setattr(socket, "getaddrinfo", found)
        return asked

    return install


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",  # noqa: S104 - nothing listens
        "[::1]",
        "[::ffff:7f00:1]",
    ],
)
def test_however_loopback_is_written_nobody_is_called(host: str) -> None:
    with hostile(lambda _: iter([ANSWER])) as server, outgoing_session(AddressRule()) as session:
        with pytest.raises(requests.RequestException):
            session.get(f"http://{host}:{port_of(server.address)}/")
        assert server.sources == []


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["203.0.113.9", "127.0.0.1"], ["169.254.169.254"], ["::1"]])
def test_a_name_that_resolves_to_loopback_is_not_called(answer: list[str], resolves: Callable[..., list[str]]) -> None:
    resolves(answer)
    with hostile(lambda _: iter([ANSWER])) as server, outgoing_session(AddressRule()) as session:
        with pytest.raises(AddressRefused, match="isn't called"):
            session.get(f"http://forge.example:{port_of(server.address)}/")
        assert server.sources == []


def test_what_was_judged_is_what_is_connected_to(resolves: Callable[..., list[str]]) -> None:
    """A name that says something else the next time is asked once for each connection."""
    asked = resolves(["127.0.0.1"], ["169.254.169.254"])
    with (
        hostile(lambda _: iter([ANSWER])) as server,
        outgoing_session(allowing(port_of(server.address))) as session,
    ):
        address = f"http://forge.example:{port_of(server.address)}/"
        assert session.get(address).text == "ok"
        assert asked == ["forge.example"]
        with pytest.raises(AddressRefused):
            session.get(address)
        assert len(server.sources) == 1


def test_redirects_are_not_followed() -> None:
    with hostile(lambda _: iter([ANSWER])) as other, hostile(elsewhere(other.address)) as server:
        with outgoing_session(allowing(port_of(server.address))) as session:
            assert session.get(server.address).status_code == 302
        assert other.sources == []


def test_slow_and_huge_answers_end() -> None:
    with hostile(silence) as server, outgoing_session(allowing(port_of(server.address)), seconds=0.5) as session:
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            session.get(server.address)
        assert time.monotonic() - began < 10
    with (
        hostile(flood_of_chunks, 0) as server,
        outgoing_session(allowing(port_of(server.address)), largest=64 * 1024) as session,
        pytest.raises(AnswerTooLarge),
    ):
        session.get(server.address)


def test_the_addresses_of_this_machine_are_known() -> None:
    from ipaddress import ip_address

    assert is_of_this_machine(ip_address("127.0.0.1"))
    assert not is_of_this_machine(ip_address("192.0.2.1"))
    assert not is_of_this_machine(ip_address("2001:db8::1"))
