"""Processes that end slowly, and waits that a busy machine doesn't use up."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.errors import PortTaken
from environments.providers.local_cluster.agents import ports, processes
from environments.providers.local_cluster.agents.patience import wait_for

FIRST_THREAD_ENDS = """
import ctypes, os, socket, sys, threading, time

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = open(sys.argv[2], "w")
threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall(%d, 0)  # exit(2): ends this thread only
"""
_EXIT = {"x86_64": 60, "aarch64": 93}.get(os.uname().machine)


def _free_port() -> int:
    return ports.free_ports(random.SystemRandom()).consul_http


@pytest.fixture
def headless(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """A process whose first thread has ended, as in one that is killed; with its port and the file that it holds."""
    if _EXIT is None:
        pytest.skip("the number of exit(2) isn't known here")
    port, kept = _free_port(), tmp_path / "kept"
    command = [sys.executable, "-c", FIRST_THREAD_ENDS % _EXIT, str(port), str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        stat = Path(f"/proc/{process.pid}/stat")
        assert wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", 30)
        yield process, port, kept
        process.kill()


def test_a_process_lives_until_its_last_thread_has_ended(headless: tuple[subprocess.Popen[bytes], int, Path]) -> None:
    process, port, kept = headless
    assert Path(f"/proc/{process.pid}/cmdline").read_bytes() == b""
    assert processes.is_alive(process.pid)
    assert not processes.is_ending(process.pid)
    assert processes.started_with(str(port), str(kept)) == [process.pid]
    assert processes.holding_files_below(kept.parent) == [process.pid]
    assert str(ports.holder_of(port)).endswith(f"({process.pid})")
    with pytest.raises(PortTaken, match=str(process.pid)):
        ports.require_free("Consul", "consul_http", "127.0.0.1", port)

    processes.stop([process.pid], patience=0)

    assert not processes.is_alive(process.pid)
    assert processes.is_ending(process.pid)
    assert processes.started_with(str(port), str(kept)) == []
    assert processes.holding_files_below(kept.parent) == []
    ports.require_free("Consul", "consul_http", "127.0.0.1", port)


def test_a_killed_process_that_nobody_has_waited_for_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        assert processes.is_alive(process.pid)
        assert not processes.is_ending(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        assert wait_for(lambda: not processes.is_alive(process.pid), 30)
        assert processes.is_ending(process.pid)


def test_a_port_that_an_ending_process_still_has_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    port = _free_port()
    listener = socket.create_server(("127.0.0.1", port))
    asked: list[int] = []

    def nobody(port: int) -> None:
        asked.append(port)
        if len(asked) == 3:
            listener.close()

    monkeypatch.setattr(ports, "holder_of", nobody)
    ports.require_free("Consul", "consul_http", "127.0.0.1", port)
    assert asked == [port] * 3


def test_a_port_that_stays_taken_is_refused_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    port = _free_port()
    monkeypatch.setattr(ports, "holder_of", lambda port: None)
    monkeypatch.setattr(ports, "_ENDING_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken, match=r"is taken\.$"):
        ports.require_free("Consul", "consul_http", "127.0.0.1", port)
