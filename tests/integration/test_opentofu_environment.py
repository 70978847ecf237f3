"""An environment with a module, in a real service on a real OpenBao: made, updated, killed in the middle, destroyed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.lifecycle import ENDED_DEPLOYMENTS, ResourceStatus, State
from environments.domain.template import make_bundle
from environments.domain.views import CreateRequest, UpdateRequest
from images.toolchain import provider_mirror, require
from tests.cluster import Cluster
from tests.fakes.counting_server import CountingServer
from tests.integration.opentofu_setting import MODULE, PASSPHRASE, thing, wait_until
from tests.service_process import ServiceProcess

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
    files = {"template.toml": TEMPLATE.encode(), "module/main.tf": MODULE.encode()}
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
