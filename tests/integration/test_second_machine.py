"""A client on a second machine, which is a network namespace of its own, with nothing but an exported context."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from environments.authorities import PinnedAuthority
from environments.client import Client
from environments.domain.errors import CalvinverseError
from tests.support.authorities import DAY, make_authority
from tests.support.second_machine import PROGRAM, Link, Machine
from tests.support.service_process import free_port

OURS, FOREIGN = make_authority("ours"), make_authority("foreign")


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
        assert any(line.startswith("web ") for line in there("template", "list").stdout.splitlines())
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
