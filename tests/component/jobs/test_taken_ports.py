"""A port that somebody else has is told before a deployment starts anything, with what to do about it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import InvalidInput, NotAllowedNow, PortTaken
from jobs import edge, first_ports, taken_ports
from jobs.edge import EdgeChoice
from jobs.first_ports import check_first_ports
from jobs.places import Places
from jobs.ports import USUAL, Block
from jobs.taken_ports import check_ports, refuse_other_ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.fixture
def free() -> dict[str, Any]:
    """Ports for everything, of which none is taken: the kernel just gave them."""
    probes = [socket.socket() for _ in range(14)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        numbers = [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
    names = [name for name in USUAL if name != "dns_address"]
    agents: dict[str, Any] = dict(zip(names, numbers, strict=False))
    return {
        "ports": {**agents, "dns_address": "127.0.0.1"},
        "port": numbers[10],
        "database_port": numbers[11],
        "edge_port": numbers[12],
        "ui_port": numbers[13],
        "edge": True,
        "database": "postgresql",
    }


def test_free_ports_are_fine(tmp_path: Path, free: dict[str, Any]) -> None:
    check_ports(Places(tmp_path), free, None)
    check_ports(Places(tmp_path), free, free)


@pytest.mark.parametrize(
    ("name", "purpose", "remedy"),
    [
        ("port", "the provisioning service", "--first-port PORT"),
        ("database_port", "PostgreSQL", "--first-port PORT"),
        ("edge_port", "the edge", "--listen 127.0.0.1:PORT"),
        ("ui_port", "the web page", "--web-page-port PORT"),
        ("consul_http", "Consul", "--first-port PORT"),
        ("nomad_serf", "Nomad", "--first-port PORT"),
        ("openbao_cluster", "OpenBao", "--first-port PORT"),
    ],
)
def test_a_taken_port_is_told_at_first_with_its_program(
    name: str, purpose: str, remedy: str, taken: int, free: dict[str, Any], tmp_path: Path
) -> None:
    wish = {**free, name: taken} if name in free else {**free, "ports": {**free["ports"], name: taken}}
    with pytest.raises(PortTaken) as caught:
        check_ports(Places(tmp_path), wish, None)
    message = caught.value.message
    assert message.startswith(f"Port {taken} of 127.0.0.1, for {purpose}, is taken by ")
    assert message.endswith(f" ({os.getpid()}).")
    assert remedy in caught.value.hint


def test_the_usual_ports_are_checked_where_none_are_given(
    taken: int, tmp_path: Path, free: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del free["ports"]["consul_http"]
    monkeypatch.setitem(USUAL, "consul_http", taken)
    with pytest.raises(PortTaken, match="for Consul"):
        check_ports(Places(tmp_path), free, None)
    check_ports(Places(tmp_path), {**free, "consul_address": "https://consul.example:8501"}, None)


def test_later_a_port_that_our_own_part_has_is_fine(taken: int, free: dict[str, Any], tmp_path: Path) -> None:
    """The program is known by its mounts of an allocation's folder; this one has none of ours."""
    before = {**free, "port": taken}
    with pytest.raises(PortTaken) as caught:
        check_ports(Places(tmp_path), {}, before)
    assert "`doit undeploy`, then `doit deploy --first-port PORT`" in caught.value.hint
    (tmp_path / "agents" / "nomad" / "data" / "alloc" / "0aa1b2c3").mkdir(parents=True)
    with pytest.raises(PortTaken):
        check_ports(Places(tmp_path), {}, before)
    # A Nomad that runs already may place the service on another machine; agents look after their own ports.
    check_ports(Places(tmp_path), {}, {**before, "nomad_address": "https://nomad.example:4646"})
    check_ports(Places(tmp_path), {}, {**free, "ports": {**free["ports"], "consul_http": taken}})


def test_others_that_have_the_same_number_elsewhere_do_not_count(
    free: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another address, for datagrams, or as a client's own end: this process has those, and began first."""
    with ExitStack() as stack:
        ours = stack.enter_context(socket.socket())
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        here = ours.getsockname()
        part = stack.enter_context(subprocess.Popen(["sleep", "600"], pass_fds=[ours.fileno()]))
        stack.callback(part.kill)
        ours.close()
        for kind, address in ((socket.SOCK_STREAM, "127.0.0.2"), (socket.SOCK_DGRAM, "127.0.0.1")):
            other = stack.enter_context(socket.socket(type=kind))
            other.bind((address, here[1]))
            if kind is socket.SOCK_STREAM:
                other.listen()
        monkeypatch.setattr(taken_ports, "_is_of", lambda process, _: process == part.pid)
        before = {**free, "port": here[1]}
        check_ports(Places(tmp_path), {}, before)
        with pytest.raises(PortTaken, match=rf"by sleep \({part.pid}\)"):
            check_ports(Places(tmp_path), before, None)
        monkeypatch.setattr(taken_ports, "_is_of", lambda process, _: process == os.getpid())
        with pytest.raises(PortTaken):
            check_ports(Places(tmp_path), {}, before)


@pytest.mark.parametrize(
    ("words", "state", "counts"),
    [
        ((127, 0, 0, 1), "0A", True),
        ((0, 0, 0, 0), "0A", True),
        ((127, 0, 0, 2), "0A", False),
        ((127, 0, 0, 1), "01", False),
        ((0,) * 16, "0A", True),
        ((*(0,) * 10, 255, 255, 127, 0, 0, 1), "0A", True),
        ((*(0,) * 10, 255, 255, 127, 0, 0, 2), "0A", False),
        ((*(0,) * 15, 1), "0A", False),
    ],
)
def test_a_listener_is_of_the_address_or_of_all(words: tuple[int, ...], state: str, counts: bool) -> None:
    parts = (int.from_bytes(bytes(words[at : at + 4]), sys.byteorder) for at in range(0, len(words), 4))
    address = "".join(f"{part:08X}" for part in parts)
    line = f"   0: {address}:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000  0 4711 1"
    needed = taken_ports.Needed(8080, "tests")
    assert list(taken_ports._inodes([line], needed, listening=True)) == ["4711"] * counts


def test_ports_are_chosen_once() -> None:
    refuse_other_ports(21009, None)
    refuse_other_ports(21009, {"port": 21009})
    refuse_other_ports(None, {"port": 21009})
    for before in ({"port": 22009}, {}):
        with pytest.raises(NotAllowedNow, match="has its ports already") as caught:
            refuse_other_ports(21009, before)
        assert "--first-port" in caught.value.hint


def test_agents_that_are_left_of_an_earlier_deployment_are_not_somebody_else(
    taken: int, free: dict[str, Any], tmp_path: Path
) -> None:
    """Without a record of it, the agents' own steps say what to do."""
    (tmp_path / "agents").mkdir()
    check_ports(Places(tmp_path), {**free, "ports": {**free["ports"], "consul_http": taken}}, None)


MOMENT = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize("part", ["service", "database", "edge", "ui", "agents"])
def test_the_ports_of_a_first_deployment_are_looked_at_before_there_are_images(
    part: str, taken: int, free: dict[str, Any], tmp_path: Path
) -> None:
    """As they will be when it begins: what tells which ports those are is the same."""
    ports = Block(free["ports"], free["port"], free["database_port"], free["edge_port"], free["ui_port"])
    where = Places(tmp_path)
    of_edge = EdgeChoice(port=ports.edge)
    check_first_ports(where, ports, of_edge, "postgresql", None, {}, MOMENT)
    found: Any = {**free["ports"], "nomad_http": taken} if part == "agents" else taken
    other = replace(ports, **{part: found})
    with pytest.raises(PortTaken, match=f"Port {taken} of ") as refused:
        check_first_ports(where, other, replace(of_edge, port=other.edge), "postgresql", None, {}, MOMENT)
    assert "choose another block with `doit deploy --first-port PORT`" in refused.value.hint
    (tmp_path / "local").mkdir()  # deploy looks itself, for it knows what runs
    check_first_ports(where, other, of_edge, "postgresql", None, {}, MOMENT)


def test_what_the_first_deployment_does_not_start_needs_no_port(
    taken: int, free: dict[str, Any], tmp_path: Path
) -> None:
    ports = Block({**free["ports"], "consul_http": taken}, free["port"], taken, taken, taken)
    chosen = EdgeChoice(listen=f"127.0.0.1:{free['edge_port']}")
    consul = {"consul": "https://consul.example:8501", "nomad": ""}
    check_first_ports(Places(tmp_path), ports, chosen, "", free["ui_port"], consul, MOMENT)
    check_first_ports(Places(tmp_path), ports, EdgeChoice(off=True), "sqlite", None, consul, MOMENT)


def test_the_first_deployment_may_have_a_port_below_1024_where_the_machine_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "ip_unprivileged_port_start"
    allowed.write_text("443\n")
    monkeypatch.setattr(edge, "FIRST_UNPRIVILEGED", allowed)
    looked_at: list[Any] = []
    monkeypatch.setattr(
        first_ports, "check_ports", lambda _where, wanted, _before: looked_at.append(wanted["edge_port"])
    )
    check_first_ports(Places(tmp_path), None, EdgeChoice(listen="127.0.0.1:443"), "", None, {}, MOMENT)
    assert looked_at == [443]
    with pytest.raises(InvalidInput, match="may use those from 443 on"):
        check_first_ports(Places(tmp_path), None, EdgeChoice(listen="127.0.0.1:442"), "", None, {}, MOMENT)
