"""OpenBao's mount for the parts of the meta environment: its certificates are for its jobs, and for nobody else."""

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from environments.domain.errors import BackendDenied, BackendError
from environments.domain.template import make_bundle
from environments.providers.backend.calls import Caller
from environments.providers.backend.connections import TokenFile
from environments.providers.local_cluster.authority import keep_authority
from environments.providers.local_cluster.trust.cluster import Trust
from environments.providers.local_cluster.trust.names import OPENBAO_PARTS_UI, PART_NAMES, UI_NAME
from environments.providers.vault.certificate import VaultCertificate
from environments.providers.vault.client import VaultClient
from environments.steps.base import Owner, StepContext
from tests.support.cluster import Cluster
from tests.support.step_harness import Run
from tests.support.workloads import Backends, Workload, environment, run_job

Callers = dict[str, Caller]

SERVICE = PART_NAMES["provisioning"]
ROLE = "/v1/pki-parts/issue/meta"


@pytest.fixture(scope="module")
def backends(cluster: Cluster) -> Backends:
    return Backends(cluster.connections)


@pytest.fixture(scope="module")
def workloads(backends: Backends) -> Iterator[dict[str, Workload]]:
    """A job of an environment, and one of the meta environment."""
    with environment(backends, "red"), environment(backends, "meta"):
        yield {name: run_job(backends, name) for name in ("red", "meta")}


@pytest.fixture(scope="module")
def callers(cluster: Cluster, workloads: dict[str, Workload], tmp_path_factory: pytest.TempPathFactory) -> Callers:
    """OpenBao with the token of each job."""

    def caller(name: str) -> Caller:
        file = tmp_path_factory.mktemp("tokens") / name
        file.write_text(workloads[name].vault_token)
        endpoint = cluster.connections.endpoint("vault").model_copy(
            update={"authentication": TokenFile(token_file=file)}
        )
        return cluster.connections.model_copy(update={"vault": endpoint}).caller("vault")

    return {name: caller(name) for name in workloads}


def test_a_job_of_another_environment_gets_none(callers: Callers) -> None:
    red = callers["red"]
    for path in ("issue/meta", "sign/meta", "sign-verbatim", "sign-verbatim/meta", "root/generate/internal"):
        with pytest.raises(BackendDenied):
            red.call("POST", f"/v1/pki-parts/{path}", {"common_name": SERVICE})
    with pytest.raises(BackendDenied):
        red.call("POST", "/v1/pki-parts/roles/red", {"allow_any_name": True})
    with pytest.raises(BackendError, match="unknown role"):  # its policy names a role that nobody may make
        red.call("POST", "/v1/pki-parts/issue/red", {"common_name": SERVICE})


def test_a_job_of_the_meta_environment_gets_names_of_parts_alone(callers: Callers) -> None:
    meta = callers["meta"]
    for name in PART_NAMES.values():
        issued = meta.call("POST", ROLE, {"common_name": name, "alt_names": "localhost", "ip_sans": "127.0.0.1"})
        assert issued["data"]["private_key"]
    refused = ("consul.calvinverse.internal", "example.org", f"x.{SERVICE}", "*.calvinverse.internal", UI_NAME, "other")
    for name in refused:
        with pytest.raises(BackendError, match="not allowed by this role"):
            meta.call("POST", ROLE, {"common_name": name})
    for path in ("sign-verbatim/meta", "root/generate/internal", "roles/meta"):
        with pytest.raises(BackendDenied):
            meta.call("POST", f"/v1/pki-parts/{path}", {"common_name": SERVICE})
    # The web page's is for its job alone.
    with pytest.raises(BackendDenied):
        meta.call("POST", f"/v1/pki-parts/issue/{OPENBAO_PARTS_UI}", {"common_name": UI_NAME})


def test_certificates_end_and_nothing_of_them_is_kept(cluster: Cluster, callers: Callers) -> None:
    meta = callers["meta"]
    issued = meta.call("POST", ROLE, {"common_name": SERVICE, "ttl": "87600h"})
    certificate = x509.load_pem_x509_certificate(issued["data"]["certificate"].encode())
    assert certificate.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=30)
    listed = cluster.connections.caller("vault").get("/v1/pki-parts/certs?list=true")
    assert issued["data"]["serial_number"] not in (listed or {"data": {"keys": []}})["data"]["keys"]


def test_an_author_of_templates_gets_no_certificate_that_clients_of_parts_accept(cluster: Cluster) -> None:
    """`names` of `vault.certificate` may be any; the mount for environments has another authority."""
    vault = VaultClient(lambda: cluster.connections)
    options = VaultCertificate.options.model_validate({"names": [SERVICE]})
    bundle = make_bundle({"template.toml": b""})
    context = StepContext(Owner("env-names", "names"), "certificate", options, bundle)
    VaultCertificate(vault.pki).apply(context, Run())
    try:
        admin = cluster.connections.caller("vault")
        forged = admin.call("POST", "/v1/pki/issue/names", {"common_name": SERVICE, "ip_sans": "127.0.0.1"})["data"]
        assert fault(forged, ssl.create_default_context(cadata=forged["issuing_ca"])) == ""
        parts = ssl.create_default_context(cadata=Trust(cluster.connections).parts_authority())
        assert "certificate verify failed" in fault(forged, parts)
    finally:
        vault.pki.revoke_leases("names")
        vault.pki.remove_role("names")


def test_the_authority_is_below_the_one_that_deploy_keeps(cluster: Cluster, callers: Callers, tmp_path: Path) -> None:
    """It is made once, and anew when deploy keeps another one. It signs for no agent."""
    vault = cluster.connections.caller("vault")
    before = vault.call("GET", "/v1/pki-parts/config/issuers")["data"]["default"]
    try:
        for folder in (tmp_path / "one", tmp_path / "two"):
            authority = keep_authority(folder, datetime.now(UTC))
            trust = Trust(cluster.connections, signer=authority)
            (missing,) = trust.verify()
            assert missing.what.startswith("the authority of the mount")
            assert trust.establish(["vault"]) == []
            assert trust.verify() == []
            assert trust.parts_authority() == authority.pem
            issued = callers["meta"].call("POST", ROLE, {"common_name": SERVICE})["data"]
            pinned = ssl.create_default_context(cadata=authority.pem)
            assert fault(issued, pinned) == ""
            assert "match" in fault(issued, pinned, "consul.calvinverse.internal")
    finally:
        vault.call("POST", "/v1/pki-parts/config/issuers", {"default": before})


def fault(issued: dict[str, Any], context: ssl.SSLContext, name: str = SERVICE) -> str:
    """Why a client refuses a server with that certificate; empty: it doesn't."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chain = [issued["certificate"], issued["issuing_ca"], issued["private_key"]]
        (folder / "server.pem").write_text("\n".join(chain))
        server.load_cert_chain(folder / "server.pem")
        stack.callback(ours.close)

        def serve() -> None:
            with contextlib.suppress(OSError), server.wrap_socket(theirs, server_side=True) as secured:
                secured.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(thread.join, 60)
        stack.callback(ours.close)
        try:
            context.wrap_socket(ours, server_hostname=name).close()
        except ssl.SSLCertVerificationError as error:
            return str(error)
    return ""
