"""Streams go on as long as there is something to tell, and no longer: whoever answers."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from environments.domain.errors import BackendError, BackendUnavailable, MachineError
from environments.providers.backend import streaming
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.backend.streaming import Refused, Stream, StreamClient
from environments.providers.consul.feed import ConsulFeed
from environments.providers.nomad.feed import NomadFeed
from tests.fakes.hostile import ENDLESS, OK, hostile

LONGEST = 20.0
"""Seconds within which everything ends, also on a busy machine; what isn't limited would take for ever."""


@pytest.fixture(autouse=True)
def ends_soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONGEST


@pytest.fixture
def endpoint(tmp_path: Path) -> Callable[[str], Endpoint]:
    token = tmp_path / "token"
    token.write_text("a-token")
    return lambda address: Endpoint(address=address, authentication=TokenFile(token_file=token))


def opened(endpoint: Endpoint, silence: float = 0.5) -> Stream:
    return StreamClient("nomad", endpoint, "a token").open("/v1/event/stream", {}, silence=silence, begins_within=2.0)


def test_a_stream_lasts_longer_than_any_limit_as_long_as_lines_come(endpoint: Callable[[str], Endpoint]) -> None:
    def talk(_: socket.socket) -> Iterator[bytes]:
        yield OK + b"\r\n"
        for number in range(20):
            yield b"line %d\nli" % number
            yield b"ne\n"

    with hostile(talk, 0.1) as server:
        began = time.monotonic()
        stream = opened(endpoint(server.address), silence=1.5)
        lines = list(stream.lines())
        assert time.monotonic() - began > 2.5
    assert lines == [part for number in range(20) for part in (b"line %d" % number, b"line")]
    assert not stream.closed
    assert server.asked[0].startswith(b"GET /v1/event/stream? HTTP/1.1\r\n")
    assert b"X-Nomad-Token: a token\r\n" in server.asked[0]


def test_who_sends_a_byte_now_and_then_is_cut_off(endpoint: Callable[[str], Endpoint]) -> None:
    def talk(_: socket.socket) -> Iterator[bytes]:
        yield OK + b"\r\n"
        while True:
            yield b"x"

    with hostile(talk, 0.05) as server, pytest.raises(requests.Timeout):
        list(opened(endpoint(server.address)).lines())


def test_a_line_without_an_end_is_cut_off(endpoint: Callable[[str], Endpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LARGEST_ANSWER", 1_000_000)

    def talk(_: socket.socket) -> Iterator[bytes]:
        yield OK + b"\r\n"
        while True:
            yield b"x" * 100_000

    with hostile(talk, 0.0) as server, pytest.raises(requests.RequestException, match="too large"):
        list(opened(endpoint(server.address), silence=10.0).lines())


@pytest.mark.parametrize("talk", ENDLESS.values(), ids=list(ENDLESS))
def test_headers_that_never_end_are_cut_off(
    endpoint: Callable[[str], Endpoint], talk: Callable[[socket.socket], Iterator[bytes]]
) -> None:
    with hostile(talk) as server, pytest.raises(requests.RequestException):
        list(opened(endpoint(server.address)).lines())


def test_a_stream_is_closed_while_somebody_waits_for_it(endpoint: Callable[[str], Endpoint]) -> None:
    def talk(_: socket.socket) -> Iterator[bytes]:
        yield OK + b"\r\n{}\n"
        while True:
            yield b""

    with hostile(talk) as server:
        stream = opened(endpoint(server.address), silence=60.0)
        threading.Timer(0.3, stream.close).start()
        assert list(stream.lines()) == [b"{}"]
        assert stream.closed


def test_a_long_list_is_read_item_by_item(endpoint: Callable[[str], Endpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LARGEST_ANSWER", 200_000)
    items = [{"number": number, "text": "é]},{" * 20} for number in range(5000)]
    body = json.dumps(items, ensure_ascii=False).encode()
    assert len(body) > 500_000

    def talk(_: socket.socket) -> Iterator[bytes]:
        yield OK + b"Content-Length: %d\r\n\r\n" % len(body)
        for start in range(0, len(body), 7000):
            yield body[start : start + 7000]

    with hostile(talk, 0.0) as server:
        found = list(opened(endpoint(server.address), silence=10.0).items(10_000))
    assert [one["number"] for one in found] == list(range(5000))
    assert found[7] == items[7]


@pytest.mark.parametrize(
    ("body", "items"), [(b"[]", []), (b"null", []), (b" [ 1 , 2 ]\n", [1, 2]), (b"[[],{}]", [[], {}])]
)
def test_short_lists(endpoint: Callable[[str], Endpoint], body: bytes, items: list[object]) -> None:
    with hostile(lambda _: iter([OK + b"\r\n" + body])) as server:
        assert list(opened(endpoint(server.address)).items(100)) == items


@pytest.mark.parametrize("body", [b"[1,", b"[{", b"", b"nothing", b'["' + b"x" * 1000, b'{"a": [1]}'])
def test_what_is_no_whole_list_is_refused(endpoint: Callable[[str], Endpoint], body: bytes) -> None:
    with hostile(lambda _: iter([OK + b"\r\n" + body])) as server:
        stream = opened(endpoint(server.address))
        with pytest.raises(requests.RequestException):
            list(stream.items(100))


def test_a_refusal_is_told(endpoint: Callable[[str], Endpoint]) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!"
    with hostile(lambda _: iter([refusal])) as server, pytest.raises(Refused) as caught:
        opened(endpoint(server.address))
    assert (caught.value.fault.status, caught.value.fault.said) == (403, "no!")


def test_what_isnt_nomads_or_consuls_is_an_error_in_words(endpoint: Callable[[str], Endpoint]) -> None:
    with pytest.raises(MachineError):
        NomadFeed(Connections).open()
    with pytest.raises(MachineError):
        ConsulFeed(Connections).critical(0, 0.0)
    with hostile(lambda _: iter([OK + b"\r\nnothing of the kind"])) as server:
        connections = Connections(nomad=endpoint(server.address), consul=endpoint(server.address))
        with pytest.raises(BackendUnavailable):
            NomadFeed(lambda: connections).open()
        with pytest.raises(BackendError):
            ConsulFeed(lambda: connections).critical(0, 0.0)
