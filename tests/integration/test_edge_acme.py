"""The edge gets its certificates by ACME, from a real authority with it: OpenBao, on this machine.

OpenBao looks for the edge at port 443 of its name, so that only root can run this; the name leads to an address of
loopback.
"""

import os
import secrets
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from images.toolchain import require
from tests.support.edge_harness import NAME, Edge, Upstream, edge, request, status, until
from tests.support.edge_traffic import Traffic
from tests.support.names_server import names_server
from tests.support.service_process import free_port

LIFETIME = 90
"""Seconds for which a certificate is valid; Caddy renews it when a third is left."""

TOKEN = "root-of-a-test"

TRUSTED = Path("/usr/local/share/ca-certificates")
"""Authorities that somebody has added to those that the machine trusts."""


@dataclass(frozen=True)
class Authority:
    """OpenBao with ACME: its address, and the certificate that clients trust."""

    address: str
    pem: str

    @property
    def directory(self) -> str:
        return f"{self.address}/v1/pki/acme/directory"

    def call(self, method: str, path: str, /, **fields: Any) -> dict[str, Any]:
        return call(self.address, method, path, **fields)


def call(address: str, method: str, path: str, /, **fields: Any) -> dict[str, Any]:
    """OpenBao's answer."""
    headers = {"X-Vault-Token": TOKEN}
    answer = httpx2.request(method, f"{address}/v1/{path}", json=fields, headers=headers, timeout=60, trust_env=False)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found


@contextmanager
def openbao(folder: Path) -> Iterator[str]:
    """OpenBao in memory; its address."""
    address = f"http://127.0.0.1:{free_port()}"
    program = str(require("bao")["bao"])
    listen = address.removeprefix("http://")
    command = [program, "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={listen}"]
    with (folder / "openbao.log").open("wb") as log:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "BAO_DEV_ROOT_TOKEN_ID": TOKEN}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        until(lambda: answers(address), "OpenBao answers")
        yield address
    finally:
        process.kill()
        process.wait(60)


def answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/v1/sys/health", timeout=5, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def place() -> str:
    """An address of loopback on whose port 443 the edge can listen."""
    if os.geteuid() != 0:
        pytest.skip("only root may listen on port 443")
    return f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}.{secrets.randbelow(200) + 20}"


@pytest.fixture(scope="module")
def authority(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """It knows names by a name server of the test, and customers by an external account binding."""
    with openbao(tmp_path_factory.mktemp("openbao")) as address, names_server(place) as names:
        call(address, "POST", "sys/mounts/pki", type="pki")
        headers = ["Last-Modified", "Location", "Replay-Nonce", "Link"]
        call(address, "POST", "sys/mounts/pki/tune", allowed_response_headers=headers)
        root = call(address, "POST", "pki/root/generate/internal", common_name="acme", key_type="ec", ttl="24h")
        call(address, "POST", "pki/config/cluster", path=f"{address}/v1/pki")
        call(
            address,
            "POST",
            "pki/roles/edge",
            allowed_domains=[NAME],
            allow_bare_domains=True,
            key_type="any",
            ttl=LIFETIME,
            max_ttl=LIFETIME,
            not_before_duration="60s",
        )
        call(
            address,
            "POST",
            "pki/config/acme",
            enabled=True,
            allowed_roles=["edge"],
            default_directory_policy="role:edge",
            eab_policy="always-required",
            dns_resolver=names,
        )
        yield Authority(address, root["data"]["certificate"])


@pytest.fixture
def account(authority: Authority, tmp_path: Path) -> Path:
    """What OpenBao knows a customer by."""
    found = authority.call("POST", "pki/acme/new-eab")["data"]
    file = tmp_path / "account"
    file.write_text(f"{found['id']} {found['key']}\n")
    return file


@contextmanager
def by_acme(folder: Path, service: Upstream, place: str, authority: Authority, account: Path) -> Iterator[Edge]:
    """An edge that shows a certificate of the authority. The folder keeps what ACME gave."""
    own = folder / secrets.token_hex(4)
    own.mkdir()
    with edge(
        own,
        service.port,
        trusted=authority.pem,
        EDGE_LISTEN=f"{place}:443",
        EDGE_CERTIFICATE_FILE="",
        EDGE_ACME_DIRECTORY=authority.directory,
        EDGE_ACME_EMAIL="ada@example.org",
        EDGE_ACME_ACCOUNT_FILE=str(account),
        EDGE_ACME_STORAGE=str(folder / "storage"),
    ) as running:
        yield running


def test_certificates_come_by_acme_outlive_the_edge_and_are_renewed_without_a_lost_connection(
    place: str, authority: Authority, account: Path, tmp_path: Path
) -> None:
    trusted = sorted(TRUSTED.glob("*"))
    with Upstream().running() as service:
        with by_acme(tmp_path, service, place, authority, account) as running:
            assert status(running.send(request("/one"))) == 200
            first = running.shown()
        # The next one has the account, the key and the certificate, and asks for nothing.
        with by_acme(tmp_path, service, place, authority, account) as running, Traffic(running) as traffic:
            assert running.shown() == first
            until(lambda: running.shown() != first, "the certificate is renewed", limit=240)
            answered = traffic.answered
            until(lambda: traffic.answered > answered + 20, "new connections are answered")
        assert traffic.lost == []
        assert "BEGIN" not in running.log
        assert sorted(TRUSTED.glob("*")) == trusted
    keys = [file for kind in ("acme", "certificates") for file in (tmp_path / "storage" / kind).rglob("*.key")]
    assert len(keys) == 2  # of the account and of the certificate
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys} == {0o600}
    assert stat.S_IMODE((tmp_path / "storage").stat().st_mode) == 0o700
