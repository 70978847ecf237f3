"""The executors on the real, secured cluster: `web` made, proven, changed and taken away; failures; isolation."""

import hashlib
import hmac
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import (
    BackendDenied,
    BackendError,
    BackendUnavailable,
    ForeignResource,
    InvalidJob,
    StepFailed,
    StepTimeout,
)
from environments.domain.plan import Action, Change
from environments.domain.template import make_bundle
from environments.providers.backend.calls import Part
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.consul.client import ConsulClient
from environments.providers.consul.ports import Policy, Put, RemoveTree
from environments.providers.http.check import NoAnswer
from environments.providers.http.client import WebClient
from environments.providers.local_cluster.agent_step import AgentLocal, AgentLocalOptions
from environments.providers.local_cluster.agents.host import LocalCluster
from environments.providers.local_cluster.trust.names import OPENBAO_WORKLOADS_POLICY
from environments.providers.local_cluster.trust_step import ClusterTrust, ClusterTrustOptions
from environments.providers.nomad.client import NomadClient
from environments.providers.vault.client import VaultClient
from environments.steps.base import Owner, StepContext
from environments.steps.changes import shown
from environments.steps.marks import MARK
from environments.steps.registry import StepRegistry
from tests.support import images_here
from tests.support.busy import patient
from tests.support.step_harness import TEMPLATE, Run
from tests.support.web_harness import WEB, Made, folder, leftovers, new_owner, tools, until

JOB = """
variable "environment" {}
variable "command" { default = "sleep 3600" }
variable "image" { default = "//image" }
variable "memory" { default = 32 }
variable "type" { default = "service" }
variable "keys" { default = "none" }
job "app" {
  type = var.type
  group "app" {
    network {
      mode = "bridge"
    }
    //group
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "main" {
      driver       = "docker"
      kill_timeout = "1s"
      config {
        image        = var.image
        force_pull   = false
        init         = true
        entrypoint   = ["/usr/bin/bash", "-c"]
        args         = [var.command]
      }
      resources {
        cpu    = 20
        memory = var.memory
      }
      //more
    }
  }
}
"""

VOLUMES = ("docker-socket", "builds")
GROUP = b'group_add = ["${meta.calvinverse_docker_gid}"]\n        '


@pytest.fixture(scope="session")
def connections(request: pytest.FixtureRequest) -> Connections:
    """A real cluster: that of CALVINVERSE_TEST_CONNECTIONS (a connections file) if it is set, else one of our own."""
    running = os.environ.get("CALVINVERSE_TEST_CONNECTIONS")
    if running:
        return Connections.load(Path(running))
    found: Connections = request.getfixturevalue("cluster").connections
    return found


@pytest.fixture(scope="session")
def box(connections: Connections) -> StepRegistry:
    return tools(connections)


@pytest.fixture
def web(box: StepRegistry) -> Iterator[Made]:
    made = Made(box, new_owner(), folder(WEB))
    yield made
    made.destroy()


@pytest.fixture
def app(box: StepRegistry) -> Iterator[Made]:
    """An environment whose only step is the job above; its file and variables are changed with `_prepare`."""
    made = Made(box, new_owner(), folder(WEB))
    yield made
    made.destroy()


def _prepare(made: Made, variables: str, more: str = "", group: str = "", head: str = "") -> None:
    template = TEMPLATE.split("[[steps]]")[0].replace("[template]", f"[template]\n{head}") + (
        f'[[steps]]\nname = "app"\nuses = "nomad.job"\nwith = {{ file = "app.hcl", variables = {{ {variables} }} }}\n'
    )
    job = JOB.replace("//more", more).replace("//group", group).replace("//image", images_here.reference("base"))
    made.bundle = folder(WEB, {"template.toml": template, "app.hcl": job})


def test_web_is_made_proven_changed_and_leaves_nothing(
    box: StepRegistry, connections: Connections, tmp_path: Path
) -> None:
    before = leftovers(connections)
    made = Made(box, new_owner(), folder(WEB))
    made.apply(replicas=2, message="good morning", branch="feature/x ${y} {{ z }}")

    vault = VaultClient(lambda: connections)
    ca = tmp_path / "ca.pem"
    ca.write_text(vault.pki.chain())
    said = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--cacert", str(ca), made.url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said.returncode == 0, said.stderr
    assert "good morning" in said.stdout
    assert "feature/x ${y} {{ z }}" in said.stdout

    secret = vault.secrets.read(f"environments/{made.owner.name}/password")
    assert secret is not None
    proof = WebClient().get(f"{made.url}/proof?nonce=n1", ca=vault.pki.chain(), limit=5)
    assert proof.text.strip() == hmac.new(secret["password"].encode(), b"n1", hashlib.sha256).hexdigest()
    assert secret["password"] not in str(made.outputs) + "".join(made.log)
    assert any("registered" in line for line in made.log)

    _follows_a_change(made, vault)
    made.destroy()
    assert made.left() == []
    after = leftovers(connections)
    assert {kind: after[kind] - before[kind] for kind in after if after[kind] - before[kind]} == {}


def _follows_a_change(made: Made, vault: VaultClient) -> None:
    """The message alone is changed: no instance is replaced."""
    instances = made.outputs["answers"]["instances"]
    made.apply(replicas=2, message="good evening", branch="feature/x ${y} {{ z }}")
    assert made.outputs["answers"]["instances"] == instances
    ca = vault.pki.chain()
    until(lambda: "good evening" in WebClient().get(made.url, ca=ca, limit=5).text)


def test_the_certificate_covers_the_consul_name_and_the_address(web: Made, connections: Connections) -> None:
    web.apply()
    context = ssl.create_default_context(cadata=VaultClient(lambda: connections).pki.chain())
    host, port = web.url.removeprefix("https://").split(":")
    for name in (f"{web.owner.name}--web.service.consul", "127.0.0.1", "localhost"):
        with (
            socket.create_connection((host, int(port)), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            assert secured.version()


def test_applying_everything_again_neither_restarts_nor_doubles_anything(web: Made, connections: Connections) -> None:
    nomad, consul, vault = (
        NomadClient(lambda: connections),
        ConsulClient(lambda: connections),
        VaultClient(lambda: connections),
    )
    name = web.owner.name
    web.apply(replicas=2)

    def seen() -> tuple[Any, ...]:
        job = nomad.job(name, "web")
        assert job is not None
        head = vault.secrets.head(f"environments/{name}/password")
        return (
            job["Version"],
            sorted(found.id for found in nomad.allocations(name, "web")[1]),
            sorted(instance.id for instance in consul.instances(f"{name}--web")[1]),
            head,
            consul.tree(f"environments/{name}/"),
        )

    before = seen()
    web.apply(replicas=2)
    assert seen() == before


def test_an_update_of_variables_replaces_the_instances(web: Made, connections: Connections) -> None:
    web.apply(branch="one")
    first = web.url
    web.apply(branch="two", replicas=2)
    vault = VaultClient(lambda: connections)
    assert len(web.outputs["answers"]["instances"]) >= 2
    assert "two" in WebClient().get(web.url, ca=vault.pki.chain(), limit=5).text
    assert web.url != first


# --- plans ---


def _told(planned: Mapping[str, Sequence[Change]]) -> dict[str, list[tuple[str, str, tuple[str, ...]]]]:
    return {
        step: [(found.kind, found.action.value, found.details) for found in changes]
        for step, changes in planned.items()
    }


def test_a_plan_says_what_is_created_and_then_what_differs_and_nothing_else(
    web: Made, connections: Connections
) -> None:
    name = web.owner.name
    image = images_here.reference("web")
    assert _told(web.plan()) == {
        "settings": [
            ("consul.kv", "create", ()),
            ("consul.kv", "create", ("value: Hello from Calvinverse",)),
        ],
        "password": [("vault.secret", "create", ("password: will be generated",))],
        "certificate": [("vault.pki-role", "create", (f"names: {name}--web.service.consul", "ttl: 1d"))],
        "app": [
            ("nomad.namespace", "create", ()),
            ("consul.policy", "create", ()),
            (
                "nomad.job",
                "create",
                ("group web, count: 1", f"group web, task web, image: {shown(image)}", f"service: {name}--web"),
            ),
        ],
    }
    assert leftovers(connections)["namespaces"] & {name} == set(), "planning makes nothing"
    web.apply()
    assert web.plan() == {}
    assert web.unexpected() == []
    wanted: dict[str, Any] = {"replicas": 2, "branch": "two", "message": "good evening"}
    update = web.plan(**wanted)
    assert _told(update) == {
        "settings": [("consul.kv", "change", ("value: Hello from Calvinverse → good evening",))],
        "app": [
            (
                "nomad.job",
                "change",
                (
                    "group web, count: 1 → 2",
                    "group web, task web, Env[WEB_BRANCH]: main → two",
                    "group web: its instances are replaced",
                ),
            )
        ],
    }
    assert web.plan(**wanted) == update, "the same plan as long as nothing moves"
    web.apply(**wanted)
    assert web.plan(**wanted) == {}


def test_what_somebody_did_by_hand_is_planned_back_and_repaired(web: Made, connections: Connections) -> None:
    nomad, consul, vault = (
        NomadClient(lambda: connections),
        ConsulClient(lambda: connections),
        VaultClient(lambda: connections),
    )
    name = web.owner.name
    web.apply()
    caller = connections.caller("consul")
    caller.call("PUT", f"/v1/kv/environments/{name}/message", "by hand")
    secret = vault.secrets.read(f"environments/{name}/password")
    assert secret is not None
    assert vault.secrets.write(f"environments/{name}/password", {"other": "x"}, 1)
    vault.pki.write_role(name, {**(vault.pki.role(name) or {}), "allow_any_name": True})
    nomad.deregister(name, "web", purge=False)
    policy = consul.policy(f"env-{name}")
    assert policy is not None
    consul.update_policy(Policy(policy.id, policy.name, policy.description, {}))
    assert _told(web.plan()) == {
        "settings": [("consul.kv", "change", ('value: "by hand" → Hello from Calvinverse',))],
        "password": [("vault.secret", "change", ("password: is missing, will be generated", "other: will be removed"))],
        "certificate": [("vault.pki-role", "change", ("allow_any_name: true → false",))],
        "app": [
            ("consul.policy", "change", ("its rules aren't those of an environment",)),
            ("nomad.job", "change", ("runs again",)),
        ],
    }
    assert secret["password"] not in str(web.plan())
    web.apply()
    assert web.plan() == {}
    assert web.unexpected() == []
    nomad.deregister(name, "web", purge=True)
    vault.secrets.remove(f"environments/{name}/password")
    vault.pki.remove_role(name)
    consul.commit([RemoveTree(f"environments/{name}/")])
    assert {step: {found.action for found in changes} for step, changes in web.plan().items()} == {
        step: {Action.CREATE} for step in ("settings", "password", "certificate", "app")
    }
    web.apply()
    assert web.plan() == {}


ODD = """
job "odd" {
  group "group" {
    task "task" {
      driver = "docker"
      config {
        image = "none"
      }
    }
  }
}
"""


def test_strangers_in_an_environment_are_told_by_every_drift_detector(web: Made, connections: Connections) -> None:
    nomad, consul, vault = (
        NomadClient(lambda: connections),
        ConsulClient(lambda: connections),
        VaultClient(lambda: connections),
    )
    name = web.owner.name
    web.apply(steps=["settings", "password", "certificate"])
    assert web.unexpected() == []
    nomad.write_namespace(name, "", {MARK: web.owner.id})
    job = nomad.parse(ODD, "")
    nomad.register(name, {**job, "Namespace": name, "Datacenters": ["nowhere"]}, 0)
    consul.commit([Put(f"environments/{name}/odd", b"1")])
    consul.create_policy(f"env-{name}", "odd", {})
    vault.secrets.mark(f"environments/{name}/odd", {})
    body = {"ID": f"{name}-odd", "Name": f"{name}--odd", "Port": 9, "Address": "127.0.0.1"}
    connections.caller("consul").call("PUT", "/v1/agent/service/register", body)
    try:
        assert {(found.kind, found.address) for found in web.unexpected()} == {
            ("nomad.namespace", name),
            ("nomad.job", f"{name}/odd"),
            ("consul.kv", f"environments/{name}/odd"),
            ("consul.policy", f"env-{name}"),
            ("consul.service", f"{name}--odd"),
            ("vault.secret", f"secret/environments/{name}/odd"),
        }
    finally:
        connections.caller("consul").call("PUT", f"/v1/agent/service/deregister/{name}-odd")
        policy = consul.policy(f"env-{name}")
        assert policy is not None
        consul.remove_policy(policy.id)
        vault.secrets.remove(f"environments/{name}/odd")
        nomad.deregister(name, "odd", purge=True)
        nomad.remove_namespace(name)


def test_a_step_that_is_gone_leaves_its_keys_and_they_are_cleared(web: Made, connections: Connections) -> None:
    web.apply(steps=["settings"])
    executor = web.box.executors["consul.kv"]
    (left,) = executor.plan_removal("settings", web.owner)
    assert (left.address, left.action) == (f"environments/{web.owner.name}/message", Action.DESTROY)
    executor.remove("settings", web.owner, Run())
    assert executor.plan_removal("settings", web.owner) == []
    assert set(ConsulClient(lambda: connections).tree(f"environments/{web.owner.name}/")) == {
        f"environments/{web.owner.name}/.owner"
    }


def test_an_instance_that_nomad_gave_up_is_planned_to_start_anew(app: Made, connections: Connections) -> None:
    _prepare(app, 'command = "sleep 3; exit 4"', group='update {\n min_healthy_time = "0s"\n }')
    app.apply()
    nomad = NomadClient(lambda: connections)
    assert app.plan() == {}
    until(lambda: any(found.client == "failed" for found in nomad.allocations(app.owner.name, "app")[1]), 30)
    assert _told(app.plan()) == {
        "app": [
            (
                "nomad.job",
                "change",
                ("version 0 has failed and will be started again", "group app: its instances are replaced"),
            )
        ]
    }
    app.apply()
    assert app.plan() == {}


@pytest.fixture
def state(request: pytest.FixtureRequest) -> Path:
    """The state folder of the cluster."""
    running = os.environ.get("CALVINVERSE_TEST_CONNECTIONS")
    if running:
        return Path(running).parent
    found: Path = request.getfixturevalue("cluster").state
    return found


def test_agents_that_run_and_trust_that_is_whole_plan_nothing_until_somebody_meddles(
    state: Path, connections: Connections
) -> None:
    machine, owner, bundle = LocalCluster(state), new_owner(), folder(WEB)
    for agent in ("consul", "openbao", "nomad"):
        context = StepContext(owner, agent, AgentLocalOptions(agent=agent), bundle)
        assert list(AgentLocal(machine).plan(context, Run())) == []
    executor = ClusterTrust(machine)
    context = StepContext(owner, "trust", ClusterTrustOptions(), bundle)
    assert executor.plan(context, Run()) == []
    vault = connections.caller("vault")
    vault.call("PUT", f"/v1/sys/policies/acl/{OPENBAO_WORKLOADS_POLICY}", {"policy": 'path "x" { capabilities = [] }'})
    try:
        (found,) = executor.plan(context, Run())
        assert (found.action, found.details) == (Action.CHANGE, ("isn't as it must be",))
        assert found.address.startswith("OpenBao: the one policy of all environments")
    finally:
        executor.apply(context, Run())
    assert executor.plan(context, Run()) == []


def test_trust_where_there_is_no_cluster_yet_is_planned_as_a_whole(tmp_path: Path) -> None:
    context = StepContext(new_owner(), "trust", ClusterTrustOptions(), folder(WEB))
    (found,) = ClusterTrust(LocalCluster(tmp_path / "state")).plan(context, Run())
    assert found.action is Action.CREATE
    agent = StepContext(new_owner(), "consul", AgentLocalOptions(agent="consul"), folder(WEB))
    (found,) = AgentLocal(LocalCluster(tmp_path / "state")).plan(agent, Run())
    assert (found.action, found.address) == (Action.CREATE, "consul")
    assert not (tmp_path / "state").exists(), "planning makes nothing"


# --- failures in words ---


def test_a_failing_task_is_named_with_its_events_and_what_it_wrote(app: Made) -> None:
    _prepare(app, 'command = "echo the lock is stuck >&2; sleep 1; exit 3"')
    with pytest.raises(StepFailed, match=r"task 'main': .*Exit Code: 3.*it wrote: the lock is stuck"):
        app.apply()


def test_after_a_failure_the_same_step_starts_the_job_anew(app: Made, connections: Connections) -> None:
    _prepare(app, 'command = "test $(cat /proc/uptime | cut -d. -f1) -gt 9999999999 || exit 3"')
    with pytest.raises(StepFailed):
        app.apply()
    first = {found.id for found in NomadClient(lambda: connections).allocations(app.owner.name, "app")[1]}
    with pytest.raises(StepFailed):
        app.apply()
    second = {found.id for found in NomadClient(lambda: connections).allocations(app.owner.name, "app")[1]}
    assert second - first


def test_a_missing_image_is_named(app: Made) -> None:
    missing = f"sha256:{'0' * 64}"
    _prepare(app, f'image = "{missing}"')
    with pytest.raises(StepFailed, match=missing):
        app.apply(limit=90)


def test_a_job_uses_the_engine_and_builds_where_the_engine_sees_it(app: Made, connections: Connections) -> None:
    volumes = "".join(f'volume "{name}" {{\n type = "host"\n source = "{name}"\n}}\n' for name in VOLUMES)
    mounts = """
      user = "10001"
      env {
        BUILDS = "${meta.calvinverse_builds}"
      }
      volume_mount {
        volume      = "docker-socket"
        destination = "/var/run/docker.sock"
      }
      volume_mount {
        volume      = "builds"
        destination = "${meta.calvinverse_builds}"
      }
    """
    command = '[ -w /var/run/docker.sock ] && echo hello > \\"$BUILDS/$NOMAD_ALLOC_ID\\"'
    _prepare(app, f'type = "batch", command = "{command}"', mounts, volumes)
    with pytest.raises(InvalidJob, match="docker-socket"):
        app.apply(checked=False)
    declared = ", ".join(f'"{name}"' for name in VOLUMES)
    _prepare(app, f'type = "batch", command = "{command}"', mounts, volumes, f"host_volumes = [{declared}]")
    files = {**app.bundle.files, "app.hcl": app.bundle.files["app.hcl"].replace(b"entrypoint ", GROUP + b"entrypoint ")}
    app.bundle = make_bundle(files)
    app.apply()
    nomad = connections.caller("nomad")
    (node,) = nomad.call("GET", "/v1/nodes")
    builds = Path(nomad.call("GET", f"/v1/node/{node['ID']}")["Meta"]["calvinverse_builds"])
    (allocation,) = nomad.call("GET", f"/v1/job/app/allocations?namespace={app.owner.name}")
    made = builds / str(allocation["ID"])
    assert made.read_text() == "hello\n"
    assert made.stat().st_uid == 10001
    made.unlink()


def test_a_lack_of_memory_is_named(app: Made) -> None:
    _prepare(app, "memory = 9000000")
    with pytest.raises(StepTimeout, match=r"finds no node: 1 node has no room for memory"):
        app.apply(limit=1.5)


def test_a_batch_job_is_awaited_to_its_end(app: Made) -> None:
    _prepare(app, 'type = "batch", command = "sleep 0.5; echo done"')
    app.apply()
    assert any("Exit Code: 0" in line for line in app.log)
    assert app.outputs["app"]["services"] == {}
    app.apply()


def test_a_failing_batch_job_fails_the_step(app: Made) -> None:
    _prepare(app, 'type = "batch", command = "exit 7"')
    with pytest.raises(StepFailed, match="Exit Code: 7"):
        app.apply()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('vault { role = "calvinverse-manager" }', "OpenBao role"),
        ('vault { cluster = "other" }', "OpenBao cluster"),
        ('service { name = "other--web" }', "doesn't begin with"),
        ('service { name = "${NOMAD_NAMESPACE}--web" }', "doesn't begin with"),
        ('identity {\n name = "x"\n aud = ["nomad-manager"]\n }', "nomad-manager"),
        ("this is not HCL", "Nomad rejects the job"),
        ('template {\n destination = "local/x"\n data = "${var.keys}"\n }', "could change the template"),
    ],
)
def test_a_job_that_reaches_too_far_is_refused_before_anything_is_made(
    app: Made, connections: Connections, more: str, reason: str
) -> None:
    _prepare(app, 'keys = "a`b"', more)
    with pytest.raises(InvalidJob, match=reason):
        app.apply(checked=False)
    assert NomadClient(lambda: connections).namespace(app.owner.name) is None


# --- isolation ---


AT_ONCE = 'update {\n min_healthy_time = "0s"\n }'
SECRET = '{{ with secret \\"secret/data/environments/WHOSE/password\\" }}x{{ end }}'
CERTIFICATE = '{{ with pkiCert \\"pki/issue/WHOSE\\" \\"common_name=WHOSE--web.service.consul\\" }}x{{ end }}'
KEY = '{{ key \\"environments/WHOSE/message\\" }}'


@pytest.mark.parametrize("data", [SECRET, CERTIFICATE, KEY], ids=["secret", "certificate", "key"])
def test_a_job_gets_nothing_of_another_environment(web: Made, box: StepRegistry, data: str) -> None:
    steps = ["settings", "password", "certificate"]
    web.apply(steps=steps)
    # The environment of the thief begins like that of its victim, to meet mistakes with prefixes.
    thief = Made(box, Owner("env-thief", web.owner.name[:-1]), folder(WEB))
    try:
        thief.apply(steps=steps)
        _prepare(thief, "", _reading(data, web.owner.name), AT_ONCE)
        with pytest.raises(StepTimeout, match="time limit"):
            thief.apply(limit=2.5, checked=False)
        assert not any("Started" in line for line in thief.log)
        # Its own is given when it asks in the same way: so the refusal above means something.
        _prepare(thief, "", _reading(data, thief.owner.name), AT_ONCE)
        thief.apply(checked=False)
        assert any("Started" in line for line in thief.log)
    finally:
        thief.destroy()


def _reading(data: str, whose: str) -> str:
    data = data.replace("WHOSE", whose)
    return f'vault {{}}\nconsul {{}}\ntemplate {{\n destination = "local/loot"\n data = "{data}"\n }}'


# --- what is not ours ---


def test_a_namespace_of_that_name_that_is_not_ours_is_refused_and_survives(app: Made, connections: Connections) -> None:
    nomad = NomadClient(lambda: connections)
    nomad.write_namespace(app.owner.name, "theirs", {"team": "them"})
    try:
        _prepare(app, "")
        with pytest.raises(ForeignResource, match="namespace"):
            app.apply()
        app.destroy()
        assert nomad.namespace(app.owner.name) == {"team": "them"}
    finally:
        nomad.remove_namespace(app.owner.name)


# --- parts that are away, or refuse us ---


def _ports(connections: Connections) -> list[tuple[str, Any]]:
    consul, nomad, vault = (
        ConsulClient(lambda: connections),
        NomadClient(lambda: connections),
        VaultClient(lambda: connections),
    )
    return [
        ("Consul", lambda: consul.tree("x/")),
        ("Consul", lambda: consul.instances("x")),
        ("Consul", lambda: consul.policy("x")),
        ("Nomad", lambda: nomad.namespace("x")),
        ("Nomad", lambda: nomad.allocations("x", "y")),
        ("Nomad", lambda: nomad.parse('job "x" {}', "")),
        ("OpenBao", lambda: vault.secrets.head("x")),
        ("OpenBao", lambda: vault.pki.unrevoked()),
        ("OpenBao", lambda: vault.logins.find("jwt-nomad", "x")),
    ]


def _elsewhere(connections: Connections, tmp_path: Path, address: str | None) -> Connections:
    token = tmp_path / "token"
    token.write_text("00000000-0000-0000-0000-000000000000")

    def endpoint(part: Part) -> Endpoint:
        known = connections.endpoint(part)
        changes = {"address": address or known.address, "authentication": TokenFile(token_file=token)}
        return known.model_copy(update=changes)

    return Connections(consul=endpoint("consul"), vault=endpoint("vault"), nomad=endpoint("nomad"))


def test_a_part_that_is_away_is_named_with_its_address(connections: Connections, tmp_path: Path) -> None:
    for title, call in _ports(_elsewhere(connections, tmp_path, "http://127.0.0.1:9")):
        with pytest.raises(BackendUnavailable, match=rf"{title} at http://127\.0\.0\.1:9 is away: it can't be reached"):
            call()


def test_a_part_that_refuses_our_token_is_named(connections: Connections, tmp_path: Path) -> None:
    for title, call in _ports(_elsewhere(connections, tmp_path, None)):
        with pytest.raises(BackendDenied, match=rf"{title} at .* refuses our credential to "):
            call()


def test_a_token_that_was_replaced_is_read_again(connections: Connections, tmp_path: Path) -> None:
    wrong = _elsewhere(connections, tmp_path, None)
    vault = VaultClient(lambda: wrong)
    with pytest.raises(BackendError):
        vault.secrets.head("x")
    (tmp_path / "token").write_text(connections.tokens("vault").token())
    assert vault.secrets.head("x") is None


def test_a_certificate_of_another_ca_or_name_is_no_answer(web: Made, connections: Connections, tmp_path: Path) -> None:
    web.apply()
    ca = VaultClient(lambda: connections).pki.chain()
    assert WebClient().get(f"{web.url}/health", ca=ca, limit=5).status == 200
    other = tmp_path / "other.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(tmp_path / "key"), "-out", str(other), "-subj", "/CN=other", "-days", "1"),
        ],
        check=True,
        capture_output=True,
        timeout=20,
    )
    with pytest.raises(NoAnswer, match=r"(?i)certificate"):
        WebClient().get(web.url, ca=other.read_text(), limit=5)
    with pytest.raises(NoAnswer, match=r"(?i)127\.0\.0\.2|certificate|refused"):
        WebClient().get(web.url.replace("127.0.0.1", "127.0.0.2"), ca=ca, limit=5)


def test_destroying_takes_less_than_a_few_seconds(web: Made) -> None:
    web.apply(replicas=3)
    began = time.monotonic()
    web.destroy()
    assert time.monotonic() - began < patient(10)
