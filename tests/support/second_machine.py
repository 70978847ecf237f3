"""Two machines for tests: this one, and a network namespace with a cable to it."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.places import CHECKOUT

PROGRAM = (sys.executable, "-m", "environments")
HOST = "calvinverse.example.org"
"""The name of the first machine, which only the second one resolves."""

NAMES = Path("/etc/netns")
"""`ip netns exec NAME` puts the files of the folder NAME in the place of those in /etc."""


@dataclass(frozen=True)
class Machine:
    """Where commands run: here, or in a network namespace; each machine has a state folder of its own."""

    state: Path
    namespace: str = ""

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {"CALVINVERSE_STATE": str(self.state)}

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command of `calvinverse`."""
        return self.run(*PROGRAM, *arguments)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs a program to its end."""
        inside = ("ip", "netns", "exec", self.namespace) if self.namespace else ()
        return subprocess.run(
            [*inside, *command],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=CHECKOUT,
        )


@dataclass(frozen=True)
class Link:
    """A cable between both machines: the address of the first, and the namespace that is the second.

    The second knows the first as HOST.
    """

    address: str
    namespace: str


@contextmanager
def linked() -> Iterator[Link]:
    """Skips the test where no namespace can be made."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    name = f"cvt{secrets.token_hex(4)}"
    network = f"198.18.{secrets.randbelow(256)}.{4 * secrets.randbelow(64)}"  # for tests of networks: RFC 2544
    first, second = (f"{network.rpartition('.')[0]}.{int(network.rpartition('.')[2]) + host}" for host in (1, 2))
    with ExitStack() as stack:
        try:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)  # the cable goes with it
            ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this machine makes no network namespaces")
        ip("addr", "add", f"{first}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"{second}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        ip("-n", name, "link", "set", "lo", "up")
        hosts = NAMES / name / "hosts"
        stack.callback(shutil.rmtree, hosts.parent, ignore_errors=True)
        hosts.parent.mkdir(parents=True)
        hosts.write_text(f"127.0.0.1 localhost\n{first} {HOST}\n")
        yield Link(first, name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)
