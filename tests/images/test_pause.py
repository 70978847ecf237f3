"""What `pause` is for: it holds a network, waits for as long as nobody stops it, and ends when it is told to."""

from collections.abc import Callable
from typing import Any

from testinfra.backend.base import CommandResult
from testinfra.host import Host

STOP = "tini -s -- sleep infinity & process=$!; sleep 1; kill -TERM $process; wait $process; echo $?"
BY_SIGTERM = "143"


def test_it_waits(host: Host, container: dict[str, Any]) -> None:
    assert container["State"]["Running"]
    assert host.check_output("cat /proc/1/comm") == "tini"
    assert container["Config"]["Entrypoint"] + container["Config"]["Cmd"] == (
        ["/usr/bin/tini", "-s", "--", "sleep", "infinity"]
    )


def test_it_ends_when_it_is_told_to(host: Host) -> None:
    assert host.check_output(STOP) == BY_SIGTERM


def test_nothing_of_it_listens(host: Host) -> None:
    sockets = host.check_output("cat /proc/net/tcp /proc/net/tcp6").splitlines()
    assert [line for line in sockets if line.split()[3] == "0A"] == []


def test_its_health_check_costs_little(health: Callable[[], CommandResult], image: dict[str, Any]) -> None:
    assert health().rc == 0
    assert image["Config"]["Healthcheck"]["Interval"] >= 3600 * 10**9
