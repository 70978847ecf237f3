"""OpenBao notes who reads a secret, and not what it is."""

import json
from typing import Any

from tests.support.cluster import Cluster

PATH = "environments/audited/password"
VALUE = "never-to-be-noted"


def noted(cluster: Cluster) -> list[dict[str, Any]]:
    """What the audit log holds of the secret of this test."""
    log = cluster.agents.openbao.folder / "audit.log"
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if PATH in line]
    assert VALUE not in "".join(lines)
    return [json.loads(line) for line in lines]


def test_whoever_reveals_a_secret_is_noted_by_openbao(cluster: Cluster) -> None:
    vault = cluster.connections.caller("vault")
    vault.call("POST", f"/v1/secret/data/{PATH}", {"data": {"password": VALUE}})
    try:
        before = len(noted(cluster))
        assert vault.call("GET", f"/v1/secret/data/{PATH}")["data"]["data"] == {"password": VALUE}
        new = noted(cluster)[before:]
        reads = [line for line in new if line["request"]["operation"] == "read"]
        assert {line["type"] for line in reads} == {"request", "response"}
        assert all(line["auth"]["accessor"] for line in reads)
    finally:
        vault.call("DELETE", f"/v1/secret/metadata/{PATH}")
