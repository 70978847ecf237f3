"""Whoever takes the port of a part while the part is down gets no token: not from the service, nor from Nomad.

It shows a certificate for the part's name and address that the authority of environments has signed: a template author
can have that.
"""

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from environments.domain.errors import BackendError, BackendUnavailable
from environments.providers.backend.connections import Connections
from environments.providers.local_cluster.agents.agent import Agent
from jobs.places import Places
from jobs.status import status_lines
from tests.support.cluster import Cluster, start_cluster
from tests.support.service_process import ServiceProcess
from tests.support.thieves import Thief, a_job, another_user, stolen_certificate
from tests.support.workloads import Backends, environment, run_job

Steal = Callable[[Path, Connections, int, str], AbstractContextManager[Thief]]

as_another_user = pytest.param(
    another_user, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"), id="user"
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose agents may be stopped, with a job that uses all of them."""
    cluster = start_cluster(tmp_path_factory.mktemp("robbed"))
    with environment(Backends(cluster.connections), "robbed"):
        run_job(Backends(cluster.connections), "robbed")
        yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def service(own: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    service = ServiceProcess(tmp_path_factory.mktemp("service"), own.agents.site.connections_file)
    service.start()
    yield service
    service.stop()


@pytest.fixture(params=["consul", "openbao", "nomad"])
def agent(own: Cluster, request: pytest.FixtureRequest) -> Agent:
    return own.agents.agent(request.param)


@pytest.mark.parametrize("steal", [as_another_user, pytest.param(a_job, id="job")])
def test_nobody_who_takes_the_port_of_a_part_gets_a_token(
    own: Cluster, service: ServiceProcess, agent: Agent, steal: Steal
) -> None:
    pem = stolen_certificate(own.connections.caller("vault"), agent.server_name)
    with steal(own.state, own.connections, agent.port, pem) as thief:
        agent.stop()
        try:
            thief.wait_for("bound")
            with pytest.raises(BackendUnavailable):
                own.connections.caller(agent.part).call("GET", "/v1/anything")
            if agent.name == "nomad":
                _log_in_with_forged_identities(own)
            else:
                thief.wait_for("refused", peer="127.0.0.1")  # Nomad's: our own calls come from other addresses
            assert agent.part in service.client.readiness().problems
            line = next(line for line in status_lines(Places(own.state)) if line.part == agent.name)
            assert line.health == "✗ doesn't answer"
            assert not agent.observe().healthy
            thief.wait_for("refused")
            assert thief.events("told") == []
        finally:
            thief.stop()
            agent.start()
    assert own.connections.caller(agent.part).call("GET", _SELF[agent.name])


_SELF = {"consul": "/v1/acl/token/self", "openbao": "/v1/auth/token/lookup-self", "nomad": "/v1/acl/token/self"}


def _log_in_with_forged_identities(own: Cluster) -> None:
    """Consul and OpenBao don't ask the thief which keys sign identities."""
    jwt = _forged("consul.io")
    body = {"AuthMethod": "calvinverse-manager", "BearerToken": jwt}
    with pytest.raises(BackendError):
        own.agents.consul.caller().call("POST", "/v1/acl/login", body)
    with pytest.raises(BackendError):
        own.agents.openbao.caller().call(
            "POST", "/v1/auth/jwt-nomad/login", {"role": "calvinverse-manager", "jwt": _forged("vault.io")}
        )


def _forged(audience: str) -> str:
    """What the service would log in with, signed by somebody else's key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    claims = {
        "aud": [audience],
        "sub": "global:meta:provisioning:provisioning:provisioning:manager",
        "nomad_namespace": "meta",
        "nomad_job_id": "provisioning",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
    }
    signed = f"{_encoded({'alg': 'RS256', 'kid': 'another-key', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
