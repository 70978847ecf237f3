"""An environment with a module, in a real service on a real OpenBao: made, updated, killed in the middle, destroyed."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from environments.domain.errors import BackendError
from environments.domain.lifecycle import ENDED_DEPLOYMENTS, DeploymentKind, ResourceStatus, State
from environments.domain.template import make_bundle
from environments.providers.backend.calls import Part
from environments.wire.environments import CreateRequest, UpdateRequest
from environments.wire.plans import PlanRequest
from images.toolchain import provider_mirror, require
from tests.fakes.counting_server import CountingServer
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker
from tests.support.opentofu_harness import MODULE, PASSPHRASE, thing, wait_until
from tests.support.service_process import ServiceProcess

PARTS: tuple[Part, ...] = ("consul", "nomad", "vault")

TEMPLATE = f"""
[template]
name = "modular"

[parameters.server]
type = "string"

[parameters.names]
type = "array"
default = ["a", "b"]

[[steps]]
name = "things"
uses = "opentofu.module"

[steps.with]
folder = "module"

[steps.with.variables]
server = "{{{{ parameters.server }}}}"
names = "{{{{ parameters.names }}}}"
passphrase = "{PASSPHRASE}"

[outputs]
ids = "{{{{ steps.things.ids }}}}"
"""

TYPED = """
nothing = "{{ steps.things.nothing }}"
mixed = "{{ steps.things.mixed }}"
"""

MORE_OUTPUTS = """
output "nothing" {
  value = null
}
output "mixed" {
  value = [1, "zwei", true, 12345678901234567890, { three = 3.5, none = null }]
}
"""
MIXED = [1, "zwei", True, 12345678901234567890, {"three": 3.5, "none": None}]


@pytest.fixture
def things() -> Iterator[CountingServer]:
    with CountingServer() as server:
        yield server


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(
        tmp_path / "state",
        cluster.agents.site.connections_file,
        CALVINVERSE_TOFU=str(require("tofu")["tofu"]),
        CALVINVERSE_PROVIDERS=str(provider_mirror()),
    )
    running.start()
    files = {"template.toml": f"{TEMPLATE}{TYPED}".encode(), "module/main.tf": f"{MODULE}{MORE_OUTPUTS}".encode()}
    running.client.push(make_bundle(files))
    try:
        yield running
    finally:
        running.stop()


def create(service: ServiceProcess, things: CountingServer) -> None:
    service.client.create(CreateRequest(name="mod", template="modular", parameters={"server": things.address}))


def status(service: ServiceProcess) -> dict[str, ResourceStatus]:
    """What is written down of the module's things, by their addresses in the module."""
    found = service.client.resources("mod")
    return {
        resource.address.removeprefix("mod/things/"): resource.status
        for resource in found
        if resource.kind == "opentofu.resource"
    }


def test_an_environment_with_a_module_lives_and_leaves_nothing(service: ServiceProcess, things: CountingServer) -> None:
    create(service, things)
    environment = service.wait_for("mod", State.READY, State.FAILED)
    assert environment.state is State.READY, service.story("mod")
    told = {name: output.value for name, output in service.client.outputs("mod").items()}
    assert told == {"ids": ["a", "b"], "nothing": None, "mixed": MIXED}
    assert type(told["mixed"][2]) is bool
    assert {name: output.value for name, output in environment.outputs.items()} == told
    assert sorted(things.objects()) == ["a", "b"]
    present = ResourceStatus.PRESENT
    assert status(service) == {"time_static.made": present, thing("a"): present, thing("b"): present}
    service.client.update("mod", UpdateRequest(parameters={"names": ["b", "c"]}))
    wait_until(lambda: service.client.deployments("mod")[0].state in ENDED_DEPLOYMENTS, "the update has ended", 60)
    assert service.client.environment("mod").state is State.READY, service.story("mod")
    assert sorted(things.objects()) == ["b", "c"]
    assert status(service)[thing("a")] is ResourceStatus.GONE
    assert status(service)[thing("c")] is present
    assert PASSPHRASE not in service.story("mod")
    service.client.destroy("mod")
    ended = service.wait_for("mod", State.DESTROYED, State.DESTROY_FAILED)
    assert ended.state is State.DESTROYED, service.story("mod")
    assert things.objects() == {}
    assert things.duplicates() == []
    assert list((service.state / "service" / "opentofu" / "work").glob("*")) == []


def test_a_service_that_is_killed_while_tofu_works_goes_on_and_doubles_nothing(
    service: ServiceProcess, things: CountingServer
) -> None:
    things.hold("a")
    create(service, things)
    things.wait_until_asked("POST", "a", 60)
    service.kill()
    things.release()
    service.start()
    environment = service.wait_for("mod", State.READY, State.FAILED)
    assert environment.state is State.READY, service.story("mod")
    assert sorted(things.objects()) == ["a", "b"]
    assert things.duplicates() == []
    assert set(status(service).values()) == {ResourceStatus.PRESENT}
    things.hold("b")
    service.client.destroy("mod")
    things.wait_until_asked("DELETE", "b", 60)
    service.kill()
    things.release()
    service.start()
    ended = service.wait_for("mod", State.DESTROYED, State.DESTROY_FAILED)
    assert ended.state is State.DESTROYED, service.story("mod")
    assert things.objects() == {}


def test_credentials_of_a_killed_module_end_and_nothing_of_them_outlives_the_environment(
    service: ServiceProcess, things: CountingServer, cluster: Cluster
) -> None:
    taker = Taker(cluster.connections, cluster.state)
    before = taker.take()
    text = TEMPLATE.replace('"modular"', '"lent"').replace(
        'folder = "module"', 'folder = "module"\ncredentials = ["consul", "nomad", "openbao"]'
    )
    service.client.push(make_bundle({"template.toml": text.encode(), "module/main.tf": MODULE.encode()}))
    shown = service.client.plan(
        "mod", PlanRequest(kind=DeploymentKind.CREATE, template="lent", parameters={"server": things.address})
    )
    assert taker.take().since(before) == {}, "a plan makes nothing"
    assert "opentofu.state" in {change.kind for step in shown.steps for change in step.changes}
    things.hold("a")
    service.client.apply_plan(shown.id)
    things.wait_until_asked("POST", "a", 60)
    assert len(_tokens(cluster)) == 3
    service.kill()
    things.release()
    service.start()
    environment = service.wait_for("mod", State.READY, State.FAILED)
    assert environment.state is State.READY, service.story("mod")
    left = _tokens(cluster)
    assert len(left) == 3, "those of the killed worker, until they end by themselves"
    plan = service.client.plan("mod", PlanRequest(kind=DeploymentKind.UPDATE, parameters={"names": ["b", "c"]}))
    assert {change.address for step in plan.steps for change in step.changes} == {
        f"mod/things/{thing(name)}" for name in ("a", "c")
    }
    assert _tokens(cluster) == left
    service.client.apply_plan(plan.id)
    wait_until(lambda: service.client.deployments("mod")[0].state in ENDED_DEPLOYMENTS, "the update has ended", 60)
    assert sorted(things.objects()) == ["b", "c"], service.story("mod")
    assert _tokens(cluster) == left
    without = TEMPLATE.replace('"modular"', '"lent"')
    service.client.push(make_bundle({"template.toml": without.encode(), "module/main.tf": MODULE.encode()}))
    service.client.update("mod", UpdateRequest())
    wait_until(lambda: service.client.deployments("mod")[0].state in ENDED_DEPLOYMENTS, "the update has ended", 60)
    assert service.client.environment("mod").state is State.READY, service.story("mod")
    news = taker.take().since(before)
    assert not {kind for kind in news if kind.startswith(("nomad", "consul")) or "token" in kind}, news
    assert _tokens(cluster) == set()
    service.client.destroy("mod")
    ended = service.wait_for("mod", State.DESTROYED, State.DESTROY_FAILED)
    assert ended.state is State.DESTROYED, service.story("mod")
    assert things.objects() == {}
    assert taker.left_since(before) == {}
    taker.close()


def _tokens(cluster: Cluster) -> set[str]:
    """Accessors of what was issued, by the vendors' lists."""
    policy = "env-mod--module"
    consul, nomad, vault = (cluster.connections.caller(part) for part in PARTS)
    found = {token["AccessorID"] for token in consul.get("/v1/acl/tokens") if policy in str(token.get("Policies"))}
    found |= {token["AccessorID"] for token in nomad.get("/v1/acl/tokens") if policy in (token["Policies"] or ())}
    for accessor in vault.get("/v1/auth/token/accessors?list=true")["data"]["keys"]:
        with suppress(BackendError):  # it has ended since, or there was never a token
            told = vault.call("POST", "/v1/auth/token/lookup-accessor", {"accessor": accessor})["data"]
            if told["path"] == "auth/token/create/calvinverse-module":
                found.add(accessor)
    return found
