"""What modules are issued on the real, secured cluster: good for their own environment, and dead afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from environments.bootstrap.parts import make_registry
from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendDenied, Cancelled
from environments.providers.backend.calls import Caller, FixedToken, Part
from environments.providers.backend.connections import Connections
from environments.providers.opentofu.credentials import module_policy
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.opentofu.ports import CredentialBroker, CredentialPart, IssuedCredentials
from environments.providers.opentofu.provide import make_broker
from environments.steps.base import Owner, Presence, ResourceHandler
from tests.fakes.counting_server import CountingServer
from tests.fakes.state_server import StateServer
from tests.support.cluster import Cluster
from tests.support.opentofu_harness import ALPHA, FixedBroker, Site, StoppableRun, environ
from tests.support.parts import parts_of
from tests.support.step_harness import Run

ALL: tuple[CredentialPart, ...] = ("consul", "nomad", "openbao")
TOKENS: dict[Part, str] = {"consul": "CONSUL_HTTP_TOKEN", "nomad": "NOMAD_TOKEN", "vault": "VAULT_TOKEN"}
ADDRESSES: dict[Part, str] = {"consul": "CONSUL_HTTP_ADDR", "nomad": "NOMAD_ADDR", "vault": "VAULT_ADDR"}
RED, BLUE = Owner("env-red", "red"), Owner("env-red-2", "red-2")

JOB = {
    "ID": "by-the-module",
    "Name": "by-the-module",
    "Type": "batch",
    "Datacenters": ["nowhere"],
    "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Driver": "docker", "Config": {"image": "none"}}]}],
}


class CredentialsHarness:
    """The broker and the handlers on the real cluster."""

    def __init__(self, connections: Connections, state: Path) -> None:
        self.connections = connections
        parts = parts_of(lambda: connections, state)
        self.broker: CredentialBroker = make_broker(parts)
        self.handlers: dict[str, ResourceHandler] = dict(make_registry(parts).handlers)
        self.vault = parts.vault

    def admin(self, part: Part) -> Caller:
        """Who may do everything."""
        return self.connections.caller(part)

    def destroy(self, owner: Owner) -> None:
        """As the engine does it, with a look afterwards."""
        for item in sorted(self.broker.resources(owner, ALL), key=lambda item: -item.rank):
            self.handlers[item.ref.kind].destroy(item.ref.address, owner, Run())
        assert self.left(owner) == []

    def left(self, owner: Owner) -> list[ResourceRef]:
        """What of the broker's is there."""
        refs = [item.ref for item in self.broker.resources(owner, ALL)]
        return [
            ref for ref in refs if self.handlers[ref.kind].observe(ref.address, owner).presence is not Presence.ABSENT
        ]

    def tokens(self, owner: Owner) -> list[str]:
        """Accessors of all that are issued now, by the vendors' lists."""
        policy = module_policy(owner.name)
        consul = self.admin("consul").call("GET", "/v1/acl/tokens")
        nomad = self.admin("nomad").call("GET", "/v1/acl/tokens")
        return [
            *(
                token["AccessorID"]
                for token in consul
                if policy in [link["Name"] for link in token.get("Policies") or ()]
            ),
            *(token["AccessorID"] for token in nomad if policy in (token["Policies"] or ())),
            *self.vault.logins.find("token", owner.name).accessors,
        ]


def caller(world: CredentialsHarness, issued: IssuedCredentials, part: Part) -> Caller:
    """A caller with the issued credential."""
    token = FixedToken(issued.variables[TOKENS[part]])
    return Caller(part, issued.variables[ADDRESSES[part]], token, ca_file=world.connections.endpoint(part).ca_file)


@pytest.fixture
def world(cluster: Cluster, tmp_path: Path) -> Iterator[CredentialsHarness]:
    world = CredentialsHarness(cluster.connections, tmp_path / "state")
    yield world
    for owner in (RED, BLUE, ALPHA):
        world.destroy(owner)


@pytest.fixture
def things() -> Iterator[CountingServer]:
    with CountingServer() as server:
        yield server
        server.release()


@pytest.fixture
def site(world: CredentialsHarness, things: CountingServer, tmp_path: Path) -> Iterator[Site]:
    """Real tofu, with the broker."""
    base = tmp_path / "site"
    base.mkdir()
    with StateServer() as served:
        site = Site(base, things.address, served.states)
        site.executor = OpenTofuModule(site.tofu, site.backend, site.keys, site.backend, world.broker)
        yield site


@pytest.fixture
def issued(world: CredentialsHarness) -> Iterator[IssuedCredentials]:
    with world.broker.issue(BLUE, ALL, 120, Run()), world.broker.issue(RED, ALL, 120, Run()) as issued:
        yield issued


def test_the_environments_own_places_are_open(world: CredentialsHarness, issued: IssuedCredentials) -> None:
    consul, nomad, vault = (caller(world, issued, part) for part in ("consul", "nomad", "vault"))
    consul.call("PUT", "/v1/kv/environments/red/by-the-module", "x")
    assert consul.get("/v1/kv/environments/red/by-the-module")
    consul.call("PUT", "/v1/agent/service/register", {"Name": "red--app", "ID": "red--app"})
    consul.call("PUT", "/v1/agent/service/deregister/red--app")

    assert nomad.call("POST", "/v1/jobs?namespace=red", {"Job": {**JOB, "Namespace": "red"}})["EvalID"]
    assert nomad.call("GET", "/v1/job/by-the-module?namespace=red")["ID"] == "by-the-module"
    nomad.call("DELETE", "/v1/job/by-the-module?namespace=red&purge=true")
    variable = {"Namespace": "red", "Path": "app", "Items": {"a": "b"}}
    nomad.call("PUT", "/v1/var/app?namespace=red", variable)
    assert nomad.call("GET", "/v1/var/app?namespace=red")["Items"] == {"a": "b"}
    nomad.call("DELETE", "/v1/var/app?namespace=red")

    vault.call("POST", "/v1/secret/data/environments/red/app", {"data": {"password": "x"}})
    assert vault.call("GET", "/v1/secret/data/environments/red/app")["data"]["data"] == {"password": "x"}
    assert vault.call("GET", "/v1/secret/metadata/environments/red/?list=true")["data"]["keys"] == [".owner", "app"]
    vault.call("DELETE", "/v1/secret/data/environments/red/app")  # its metadata stay, and go with the environment
    role = {"allow_any_name": True, "key_type": "ec", "key_bits": 256, "generate_lease": True}
    world.admin("vault").call("POST", "/v1/pki/roles/red", role)
    certificate = vault.call("POST", "/v1/pki/issue/red", {"common_name": "app.red", "ttl": "60s"})
    assert certificate["data"]["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    world.admin("vault").call("DELETE", "/v1/pki/roles/red")
    assert vault.call("GET", "/v1/auth/token/lookup-self")["data"]["meta"] == {"calvinverse-environment": "env-red"}


SHUT: list[tuple[Part, str, str, Any]] = [
    ("consul", "GET", "/v1/kv/environments/red-2/.owner", None),
    ("consul", "PUT", "/v1/kv/environments/red-2/mine", "x"),
    ("consul", "PUT", "/v1/kv/elsewhere", "x"),
    ("consul", "PUT", "/v1/agent/service/register", {"Name": "red-2--app"}),
    ("consul", "GET", "/v1/acl/tokens", None),
    ("consul", "PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
    ("consul", "PUT", "/v1/acl/policy", {"Name": "mine", "Rules": ""}),
    ("nomad", "POST", "/v1/jobs?namespace=red-2", {"Job": {**JOB, "Namespace": "red-2"}}),
    ("nomad", "GET", "/v1/jobs?namespace=red-2", None),
    ("nomad", "PUT", "/v1/var/app?namespace=red-2", {"Namespace": "red-2", "Path": "app", "Items": {"a": "b"}}),
    ("nomad", "PUT", "/v1/namespace/mine", {"Name": "mine"}),
    ("nomad", "GET", "/v1/acl/tokens", None),
    ("nomad", "POST", "/v1/acl/token", {"Name": "mine", "Type": "management"}),
    ("nomad", "GET", "/v1/nodes", None),
    ("vault", "GET", "/v1/secret/data/environments/red-2/app", None),
    ("vault", "POST", "/v1/secret/data/environments/red-2/app", {"data": {}}),
    ("vault", "GET", "/v1/secret/metadata/environments?list=true", None),
    ("vault", "GET", "/v1/secret/data/modules/red", None),
    ("vault", "GET", "/v1/secret/metadata/modules/red", None),
    ("vault", "GET", "/v1/secret/data/webhooks/shop/1", None),
    ("vault", "POST", "/v1/pki/issue/red-2", {"common_name": "x"}),
    ("vault", "PUT", "/v1/sys/policies/acl/mine", {"policy": ""}),
    ("vault", "POST", "/v1/auth/token/create", {}),
    ("vault", "POST", "/v1/auth/token/create/calvinverse-module", {"entity_alias": "red-2"}),
    ("vault", "POST", "/v1/sys/capabilities-self", {"paths": ["secret/data/modules/red"]}),
]


def test_everything_else_is_shut(world: CredentialsHarness, issued: IssuedCredentials) -> None:
    for part, method, path, body in SHUT:
        with pytest.raises(BackendDenied) as caught:
            caller(world, issued, part).call(method, path, body)
        assert caught.value.details["status"] == 403, path


def test_a_job_of_a_module_gets_no_host_volume(world: CredentialsHarness, issued: IssuedCredentials) -> None:
    volume = {"docker": {"Name": "docker", "Type": "host", "Source": "docker-socket"}}
    job = {**JOB, "Namespace": "red", "TaskGroups": [{**JOB["TaskGroups"][0], "Volumes": volume}]}  # type: ignore[dict-item]
    with pytest.raises(BackendDenied):
        caller(world, issued, "nomad").call("POST", "/v1/jobs?namespace=red", {"Job": job})


def test_afterwards_they_are_dead(world: CredentialsHarness) -> None:
    with world.broker.issue(RED, ALL, 120, Run()) as issued:
        assert len(world.tokens(RED)) == 3
        caller(world, issued, "vault").call("GET", "/v1/auth/token/lookup-self")
    assert world.tokens(RED) == []
    asked: list[tuple[Part, str]] = [
        ("consul", "/v1/acl/token/self"),
        ("nomad", "/v1/acl/token/self"),
        ("vault", "/v1/auth/token/lookup-self"),
    ]
    for part, path in asked:
        with pytest.raises(BackendDenied):
            caller(world, issued, part).call("GET", path)


def test_those_of_a_killed_worker_end_by_themselves_and_go_with_the_environment(world: CredentialsHarness) -> None:
    left = world.broker.issue(RED, ALL, 61, Run())
    issued = left.__enter__()
    for part in ("consul", "nomad"):
        token = caller(world, issued, part).call("GET", "/v1/acl/token/self")
        assert _seconds(token["CreateTime"], token["ExpirationTime"]) == 61
        assert f"calvinverse environment {RED.id}" in (token.get("Description"), token.get("Name"))
    assert 0 < caller(world, issued, "vault").call("GET", "/v1/auth/token/lookup-self")["data"]["ttl"] <= 61
    assert len(world.left(RED)) == 10
    world.destroy(RED)
    assert world.tokens(RED) == []


def test_another_environments_loan_outlives_a_destroy(world: CredentialsHarness) -> None:
    with world.broker.issue(BLUE, ALL, 120, Run()), world.broker.issue(RED, ALL, 120, Run()):
        world.destroy(RED)
        assert len(world.tokens(BLUE)) == 3


def test_the_process_of_tofu_has_them_and_nothing_else_has(
    world: CredentialsHarness, things: CountingServer, site: Site
) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], run, credentials=list(ALL))
        things.wait_until_asked("POST", "a")
        (given,) = [environ(process) for process in site.tofus()]
        secrets = [given[name] for name in TOKENS.values()]
        caller(world, IssuedCredentials(given), "consul").call("PUT", "/v1/kv/environments/alpha/x", "x")
        for process in site.processes():
            arguments = Path(f"/proc/{process}/cmdline").read_bytes().decode()
            assert not any(secret in arguments for secret in secrets)
        for file in (path for path in (site.base / "work").rglob("*") if path.is_file()):
            assert not any(secret.encode() in file.read_bytes() for secret in secrets), file
        things.release()
        applied.result()
    assert not any(secret in "\n".join(run.lines) for secret in secrets)
    assert world.tokens(ALPHA) == []
    assert site.leftovers() == []


def test_a_cancelled_module_loses_them(world: CredentialsHarness, things: CountingServer, site: Site) -> None:
    run = StoppableRun()
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], run, credentials=list(ALL))
        things.wait_until_asked("POST", "a")
        assert len(world.tokens(ALPHA)) == 3
        run.reason = Cancelled("The deployment is cancelled.", details={"forced": True})
        with pytest.raises(Cancelled):
            applied.result()
    assert world.tokens(ALPHA) == []


def test_certificates_of_the_parts_are_files_beside_the_module(site: Site, things: CountingServer) -> None:
    issued = IssuedCredentials({"VAULT_TOKEN": "s.secret"}, {"VAULT_CACERT": "-----BEGIN\n"}, ("s.secret",))
    site.executor = OpenTofuModule(site.tofu, site.backend, site.keys, site.backend, FixedBroker(issued))
    things.hold("a")
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(site.apply, ["a"], credentials=["openbao"])
        things.wait_until_asked("POST", "a")
        (given,) = [environ(process) for process in site.tofus()]
        file = Path(given["VAULT_CACERT"])
        assert file.read_text() == "-----BEGIN\n"
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        things.release()
        applied.result()
    assert not file.exists()


def _seconds(first: str, last: str) -> float:
    return round((_moment(last) - _moment(first)).total_seconds())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:19])
