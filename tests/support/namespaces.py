"""Network namespaces that stand for a node, another machine, and a container of somebody else on the node.

Nothing of the machine's own network is touched: bridges, rules and ports are those of the namespaces.
"""

import contextlib
import ctypes
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")

LIMIT = 120.0
NODE, ELSEWHERE, METADATA = "198.51.100.1", "198.51.100.9", "169.254.169.254"
"""Addresses of the node and of another machine, which also answers as a cloud's metadata."""
NEIGHBOUR_GATEWAY, NEIGHBOUR = "172.30.9.1", "172.30.9.2"
"""A bridge with a name that nobody knows, and a container of somebody else there."""
OPEN_PORT = 8088
"""What a program listens on in each namespace, on all addresses."""

_CLONE_NEWNET = 0x40000000
"""The kind of a network namespace (setns(2))."""

SERVE = """
import http.server, sys
handler = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), handler).serve_forever()
"""

PROBE = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def probe(target):
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=float(sys.argv[1])) as found:
            found.sendall(b"GET /none HTTP/1.0\\r\\n\\r\\n")
            return "reached" if found.recv(4) == b"HTTP" else "refused"
    except OSError:
        return "refused"

with ThreadPoolExecutor(32) as pool:
    print("\\n".join(pool.map(probe, sys.argv[2:])))
"""


def run(*command: str, text: str = "", limit: float = LIMIT) -> str:
    """Runs a program to its end. It has to succeed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=limit)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    """The first value of the condition that counts as true."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def within(name: str, call: Callable[[], Value]) -> Value:
    """Calls a function in a thread of its own, whose network is that of a namespace: no program has to start."""

    def entered() -> Value:
        with open(f"/run/netns/{name}") as namespace:  # noqa: PTH123
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return call()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(entered).result()


@dataclass
class Namespaces:
    """The namespaces `node`, `elsewhere` and `neighbour`."""

    _names: dict[str, str] = field(default_factory=dict, init=False)
    _children: list["subprocess.Popen[bytes]"] = field(default_factory=list, init=False)

    def inside(self, *command: str, where: str = "node", text: str = "") -> str:
        """Runs a program in a namespace: node, elsewhere or neighbour."""
        return run(*self.entered(where, command), text=text)

    def within(self, where: str, call: Callable[[], Value]) -> Value:
        """See the function of this name."""
        return within(self._names[where], call)

    def entered(self, where: str, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._names[where]}", "--", *command]

    def make(self) -> None:
        """Makes the namespaces, with a machine elsewhere and a neighbour on another bridge."""
        for where in ("node", "elsewhere", "neighbour"):
            self._names[where] = f"calv-{secrets.token_hex(4)}"
            run("ip", "netns", "add", self._names[where])
            self.inside("ip", "link", "set", "lo", "up", where=where)
        self.inside("ip", "link", "add", "out0", "type", "veth", "peer", "eth0", "netns", self._names["elsewhere"])
        self.inside("ip", "address", "add", f"{NODE}/24", "dev", "out0")
        self.inside("ip", "link", "set", "out0", "up")
        self._connect("elsewhere", f"{ELSEWHERE}/24", NODE)
        self.inside("ip", "address", "add", f"{METADATA}/32", "dev", "lo", where="elsewhere")
        self.inside("ip", "route", "add", "default", "via", ELSEWHERE)
        self.inside("ip", "link", "add", "others7", "type", "bridge")
        self.inside("ip", "address", "add", f"{NEIGHBOUR_GATEWAY}/24", "dev", "others7")
        self.inside("ip", "link", "set", "others7", "up")
        self.inside("ip", "link", "add", "dk0", "type", "veth", "peer", "eth0", "netns", self._names["neighbour"])
        self.inside("ip", "link", "set", "dk0", "master", "others7", "up")
        self._connect("neighbour", f"{NEIGHBOUR}/24", NEIGHBOUR_GATEWAY)
        for where in self._names:
            command = self.entered(where, [sys.executable, "-c", SERVE, str(OPEN_PORT)])
            self._children.append(subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL))

    def _connect(self, where: str, address: str, gateway: str) -> None:
        self.inside("ip", "address", "add", address, "dev", "eth0", where=where)
        self.inside("ip", "link", "set", "eth0", "up", where=where)
        self.inside("ip", "route", "add", "default", "via", gateway, where=where)

    @contextlib.contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Runs a program on the node meanwhile."""
        child = subprocess.Popen(self.entered("node", command), cwd="/", stdout=subprocess.DEVNULL)
        try:
            yield
            assert child.poll() is None
        finally:
            child.kill()
            child.wait(timeout=LIMIT)

    def saved(self, program: str = "iptables-save", without: str = "\n") -> list[str]:
        """All rules of the node but those with this word, without counters, times and tables that have none."""
        tables: dict[str, list[str]] = {}
        table = ""
        for line in self.inside(program).splitlines():
            if line.startswith("*"):
                table = line
            elif line.startswith(("-", ":")) and without not in line:
                tables.setdefault(table, []).append(line.partition("[")[0])
        used = {name: lines for name, lines in tables.items() if not all(line.endswith(" ACCEPT ") for line in lines)}
        return [line for name, lines in used.items() for line in (name, *lines)]

    def close(self) -> None:
        """Ends the programs in the namespaces, and removes these."""
        for child in self._children:
            child.kill()
            child.wait(timeout=LIMIT)
        for name in self._names.values():
            run("ip", "netns", "delete", name)
