"""Which ports of the node a job with a network of its own may have."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import InvalidInput, PortTaken
from environments.providers.local_cluster.port_guard import Socket, check, install, sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def asked(port: int, host: str | None = "127.0.0.1", protocol: str = "tcp") -> dict[str, Any]:
    mapping = {
        "hostPort": port,
        "containerPort": 8000,
        "protocol": protocol,
        **({} if host is None else {"hostIP": host}),
    }
    return {"cniVersion": "1.0.0", "runtimeConfig": {"portMappings": [mapping]}}


def as_nomad_writes(config: dict[str, Any]) -> dict[str, Any]:
    (mapping,) = config["runtimeConfig"]["portMappings"]
    return {"runtimeConfig": {"portMappings": [{name[0].upper() + name[1:]: found for name, found in mapping.items()}]}}


def looked(config: Any, *views: Iterable[Socket], reserved: Iterable[int] = ()) -> int:
    """How often it looks, if each look sees the next view, the last one again and again, and lasts a second."""
    looks: list[Iterable[Socket]] = []
    seconds = [0.0]

    def listening() -> Iterable[Socket]:
        looks.append(views[min(len(looks), len(views) - 1)])
        return looks[-1]

    def pause(_: float) -> None:
        seconds[0] += 1

    check(config, set(reserved), listening, pause, lambda: seconds[0])
    return len(looks)


LOOPBACK, ANY, OTHER = IPv4Address("127.0.0.1"), IPv4Address("0.0.0.0"), IPv4Address("127.0.0.10")  # noqa: S104


@pytest.mark.parametrize(
    ("config", "listener", "taken"),
    [
        (asked(5432), ("tcp", LOOPBACK, 5432), True),
        (asked(5432), ("tcp", ANY, 5432), True),
        (asked(5432), ("tcp", IPv6Address("::"), 5432), True),
        (asked(5432, None), ("tcp", OTHER, 5432), True),
        (asked(5432, "0.0.0.0"), ("tcp", OTHER, 5432), True),  # noqa: S104
        (asked(53, protocol="UDP"), ("udp", LOOPBACK, 53), True),
        (as_nomad_writes(asked(5432)), ("tcp", LOOPBACK, 5432), True),
        (asked(5432), ("tcp", LOOPBACK, 5433), False),
        (asked(5432), ("udp", LOOPBACK, 5432), False),
        (asked(5432), ("tcp", OTHER, 5432), False),
        (asked(5432), ("tcp", IPv6Address("::1"), 5432), False),
    ],
    ids=str,
)
def test_no_job_gets_a_port_at_which_a_program_listens(config: Any, listener: Socket, taken: bool) -> None:
    if not taken:
        assert looked(config, [listener]) == 1
        return
    with pytest.raises(PortTaken, match=f"Port {listener[2]} of the node is taken: a program listens there") as caught:
        looked(config, [listener])
    assert "static" in caught.value.hint


def test_a_listener_has_a_moment_to_end() -> None:
    listener = ("tcp", LOOPBACK, 5432)
    assert looked(asked(5432), [listener], [listener], []) == 3


def test_no_job_gets_a_port_that_is_kept_also_while_nobody_listens() -> None:
    with pytest.raises(PortTaken, match="Port 8400 of the node is kept for Calvinverse itself"):
        looked(asked(8400), [], reserved=[8400])
    assert looked(asked(8401), [], reserved=[8400]) == 1


def test_a_job_without_ports_is_not_asked_about() -> None:
    assert looked({"runtimeConfig": {}}, []) == looked({}, []) == looked({"runtimeConfig": None}, []) == 0


@pytest.mark.parametrize("config", [[], {"runtimeConfig": {"portMappings": [{}]}}, asked(1, "localhost"), asked("x")])  # type: ignore[arg-type]
def test_ports_that_cannot_be_read_are_refused(config: Any) -> None:
    with pytest.raises(InvalidInput):
        looked(config, [])


def test_what_listens_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(
        f"{HEAD}   0: 0100007F:1538 00000000:0000 0A 0 0 0 0 0 1\n   1: 0100007F:9999 0100007F:1538 01 0 0 0 0 0 2\n"
    )
    (tmp_path / "udp").write_text(
        f"{HEAD}   0: 00000000:0035 00000000:0000 07 0 0 0 0 0 3\n   1: 0100007F:9999 0100007F:0035 01 0 0 0 0 0 4\n"
    )
    (tmp_path / "tcp6").write_text(
        f"{HEAD}   0: 00000000000000000000000001000000:1538 {'0' * 32}:0000 0A 0 0 0 0 0 5\n"
        f"   1: 0000000000000000FFFF00000100007F:0050 {'0' * 32}:0000 0A 0 0 0 0 0 6\n"
    )
    assert list(sockets(tmp_path)) == [
        ("tcp", LOOPBACK, 5432),
        ("tcp", IPv6Address("::1"), 5432),
        ("tcp", LOOPBACK, 80),
        ("udp", ANY, 53),
    ]


def test_the_plugin_comes_before_that_of_cni_and_can_be_run_by_its_owner_alone(tmp_path: Path) -> None:
    folder = install(tmp_path / "ports", Path("/usr/lib/cni"), {8400, 5432})
    assert [path.name for path in folder.iterdir()] == ["portmap"]
    assert (folder / "portmap").stat().st_mode & 0o777 == 0o700
    assert "/usr/lib/cni/portmap" in (folder / "portmap").read_text()
    assert json.loads((tmp_path / "ports" / "reserved.json").read_text()) == [5432, 8400]
