"""A client on a second machine, which is a network namespace of its own, with nothing but an exported context."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from environments.authorities import PinnedAuthority
from environments.client import Client
from environments.domain.errors import CalvinverseError
from tests.support.authorities import DAY, make_authority
from tests.support.service_process import free_port

PROGRAM = (sys.executable, "-m", "environments")
OURS, FOREIGN = make_authority("ours"), make_authority("foreign")


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
        inside = ("ip", "netns", "exec", self.namespace) if self.namespace else ()
        return subprocess.run(
            [*inside, *PROGRAM, *arguments], env=self.environ, capture_output=True, text=True, timeout=300, check=False
        )


@dataclass(frozen=True)
class Link:
    """A cable between both machines: the address of the first, and the namespace that is the second."""

    address: str
    namespace: str


@pytest.fixture
def link() -> Iterator[Link]:
    """Skips where no namespace can be made."""
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
        yield Link(first, name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)


@contextmanager
def serving(machine: Machine, host: str, port: int, tls: Path) -> Iterator[str]:
    """`calvinverse serve` with TLS beyond loopback; its address."""
    address = f"https://{host}:{port}"
    token = machine.state / "service" / "token"
    machine.state.mkdir(exist_ok=True)
    with (machine.state / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--host", host, "--port", str(port), "--tls-certificate", tls, "--tls-key", tls],
            env=machine.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + 240
        while not answers(address, token):
            assert process.poll() is None, (machine.state / "service.log").read_text()[-3000:]
            assert time.monotonic() < end, "the service doesn't answer"
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=120)


def answers(address: str, token: Path) -> bool:
    """Whether the service answers, or at least shows a certificate: whether that is good is the test's business."""
    pinned = PinnedAuthority(OURS.pem + FOREIGN.pem, "test")
    try:
        with Client(address, token.read_text().strip(), pinned=pinned) as client:
            client.info()
    except (OSError, CalvinverseError) as error:
        return "The certificate of the service" in str(error)
    return True


def test_one_file_makes_a_second_machine_a_client(link: Link, tmp_path: Path) -> None:
    here, there = Machine(tmp_path / "here"), Machine(tmp_path / "there", link.namespace)
    port, ca, file = free_port(), tmp_path / "ca.pem", tmp_path / "prod.context"
    ca.write_text(OURS.pem)
    with serving(here, link.address, port, OURS.sign(tmp_path / "ours.pem", link.address)) as address:
        own, new = str(here.state / "service" / "token"), str(tmp_path / "ada.token")
        added = here("context", "add", "prod", "--address", address, "--ca", str(ca), "--token-file", own)
        assert added.returncode == 0, added.stderr
        made = here("token", "create", "--context", "prod", "--owner", "ada", "--to", new)
        assert made.returncode == 0, made.stderr
        exported = here("context", "export", "prod", "--token-file", new, "--to", str(file))
        assert exported.returncode == 0, exported.stderr
        for name in (ca, Path(new)):
            name.unlink()
        used = there("context", "add", "work", "--from", str(file))
        assert (used.returncode, used.stdout) == (0, f"You are ada (user) at {address}.\n"), used.stderr
        assert there("template", "list").stdout.splitlines()[1].startswith("web ")
        plain = there("env", "list", "--address", address.replace("https:", "http:"))
        assert (plain.returncode, "could be read on the way" in plain.stderr) == (2, True)
    for tls, said in (
        (FOREIGN.sign(tmp_path / "foreign.pem", link.address), "isn't signed by the authority that the context 'work'"),
        (OURS.sign(tmp_path / "swapped.pem", "another.example.org", "192.0.2.1"), f"isn't for {link.address}."),
        (OURS.sign(tmp_path / "old.pem", link.address, begins=-2 * DAY, ends=-DAY), "has expired."),
    ):
        with serving(here, link.address, port, tls):
            refused = there("template", "list")
        assert (refused.returncode, refused.stdout) == (7, "")
        assert said in refused.stderr
    with serving(here, link.address, port, OURS.sign(tmp_path / "renewed.pem", link.address)):
        assert there("template", "list").returncode == 0
