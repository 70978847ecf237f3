"""Each name by which OpenBao would issue a certificate for the edge is one that no environment gets."""

from collections.abc import Iterator
from typing import Any

import pytest

from environments.domain.errors import BackendError
from environments.domain.template import make_bundle
from environments.providers.vault.certificate import VaultCertificate
from environments.providers.vault.client import VaultClient
from environments.providers.vault.edge_names import EdgeNames
from environments.steps.base import Owner, StepContext
from tests.support.cluster import Cluster
from tests.support.step_harness import Run

NAME = "edge-names"
EDGE = EdgeNames("calvinverse.localhost", "apps.localhost")
WRITTEN = [
    "calvinverse.localhost",
    "CALVINVERSE.localhost",
    " calvinverse.localhost ",
    "calvinverse.localhost.",
    "calvinver\u017fe.localhost",
    "a.example,calvinverse.localhost",
    "\n*.localhost",
    "c*",
    "localhost",
    "*.calvinverse.localhost",
    "alvinverse.localhost",
]


@pytest.fixture
def vault(cluster: Cluster) -> Iterator[VaultClient]:
    vault = VaultClient(lambda: cluster.connections)
    yield vault
    vault.pki.revoke_leases(NAME)
    vault.pki.remove_role(NAME)


def test_whatever_openbao_takes_for_the_edges_name_is_refused(cluster: Cluster, vault: VaultClient) -> None:
    bundle = make_bundle({"template.toml": "\n".join(WRITTEN).encode()})
    issued = []
    for name in WRITTEN:
        options = VaultCertificate.options.model_validate({"names": [name]})
        context = StepContext(Owner("env-names", NAME), "certificate", options, bundle)
        VaultCertificate(vault.pki).apply(context, Run())  # as if nothing were the edge's
        if _issues(cluster, common_name=EDGE.host) or _issues(cluster, common_name="localhost", alt_names=EDGE.host):
            issued.append(name)
    assert {"calvinverse.localhost", "CALVINVERSE.localhost", "\n*.localhost", "c*"} <= set(issued)
    assert [name for name in issued if EDGE.reason(name) is None] == []


def _issues(cluster: Cluster, **wanted: Any) -> bool:
    try:
        cluster.connections.caller("vault").call("POST", f"/v1/pki/issue/{NAME}", {**wanted, "ttl": "60s"})
    except BackendError:
        return False
    return True
