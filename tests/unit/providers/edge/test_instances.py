"""Which instances the edge is told of: those with an address that Nomad has given, whatever a job registers."""

from dataclasses import replace

import pytest

from environments.providers.consul.ports import Instance
from environments.providers.edge.instances import HealthyInstances
from environments.providers.nomad.ports import GivenPort
from environments.steps.base import Owner
from environments.steps.entry_points import Healthy
from tests.support.step_harness import ALPHA, StepHarness

OURS = {4646, 8500, 8200, 8400}
SERVICE = "alpha--web"
GIVEN = ("192.0.2.7", 20100)


def instance(address: str, port: int, *, service: str = SERVICE, passing: bool = True, id: str = "") -> Instance:
    """A registration, whoever made it."""
    return Instance(id or f"{address}-{port}", service, "node", address, port, passing=passing)


@pytest.fixture
def world() -> StepHarness:
    """A namespace of the environment with one allocation, and one port."""
    world = StepHarness()
    world.nomad.write_namespace("alpha", "", {"calvinverse-environment": ALPHA.id})
    world.nomad.static_ports.append(("alpha", GivenPort(*GIVEN, dynamic=True)))
    return world


def found(world: StepHarness, owner: Owner = ALPHA) -> tuple[str, ...]:
    """What the edge is told of the service."""
    healthy = HealthyInstances(world.consul, world.nomad, lambda: OURS).healthy(owner, ["web"])
    return healthy.get("web", Healthy()).addresses


def test_a_healthy_instance_of_the_environment_is_found(world: StepHarness) -> None:
    world.consul.register(instance(*GIVEN))
    assert found(world) == ("192.0.2.7:20100",)


def test_an_instance_whose_checks_fail_is_not(world: StepHarness) -> None:
    world.consul.register(instance(*GIVEN, passing=False))
    assert found(world) == ()


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("127.0.0.1", 4646),  # Nomad
        ("127.0.0.1", 8500),  # Consul
        ("127.0.0.1", 8200),  # OpenBao
        ("127.0.0.1", 8400),  # the service
        ("169.254.169.254", 80),  # metadata of a machine in a cloud
        ("192.0.2.7", 22),
        ("192.0.2.7", 20101),  # another environment's
        ("192.0.2.8", 20100),
        ("0.0.0.0", 20100),  # noqa: S104 - nobody listens there
        ("::1", 20100),
        ("::ffff:192.0.2.7", 20100),
        ("nomad.example.org", 20100),
        ("192.0.2.7.", 20100),
        ("", 20100),
    ],
)
def test_an_address_that_nomad_has_not_given_is_never_found(world: StepHarness, address: str, port: int) -> None:
    world.consul.register(instance(address, port))
    assert found(world) == ()


def test_a_port_that_the_job_chose_is_never_found(world: StepHarness) -> None:
    for address in ("127.0.0.1", "192.0.2.7"):
        world.nomad.static_ports.append(("alpha", GivenPort(address, 9200, dynamic=False)))
        world.consul.register(instance(address, 9200))
    assert found(world) == ()


@pytest.mark.parametrize("port", sorted(OURS))
def test_a_port_of_ours_is_never_found_even_if_nomad_gave_it(world: StepHarness, port: int) -> None:
    world.nomad.static_ports.append(("alpha", GivenPort("127.0.0.1", port, dynamic=True)))
    world.consul.register(instance("127.0.0.1", port))
    assert found(world) == ()


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "not an address"])  # noqa: S104
def test_an_address_that_no_service_has_is_never_found(world: StepHarness, address: str) -> None:
    world.nomad.static_ports.append(("alpha", GivenPort(address, 20100, dynamic=True)))
    world.consul.register(instance(address, 20100, id="odd"))
    assert found(world) == ()


def test_the_port_of_another_environment_is_never_found(world: StepHarness) -> None:
    world.nomad.write_namespace("beta", "", {"calvinverse-environment": "env-2"})
    world.nomad.static_ports.append(("beta", GivenPort("192.0.2.7", 20200, dynamic=True)))
    world.consul.register(instance("192.0.2.7", 20200))
    assert found(world) == ()


def test_a_service_of_another_name_is_never_found(world: StepHarness) -> None:
    world.consul.register(instance(*GIVEN, service="alpha--other"))
    world.consul.register(instance(*GIVEN, service="alpha-b--web", id="b"))
    assert found(world) == ()


def test_nothing_in_a_namespace_of_others_is_found(world: StepHarness) -> None:
    world.consul.register(instance(*GIVEN))
    assert found(world, Owner("env-9", "alpha")) == ()
    world.nomad.write_namespace("alpha", "", {})
    assert found(world) == ()


def test_an_address_of_version_6_is_written_in_brackets(world: StepHarness) -> None:
    world.nomad.static_ports.append(("alpha", GivenPort("2001:DB8::7", 20300, dynamic=True)))
    world.consul.register(instance("2001:db8:0::7", 20300))
    assert found(world) == ("[2001:db8::7]:20300",)


def test_instances_with_tls_are_never_asked_without(world: StepHarness) -> None:
    world.nomad.static_ports.append(("alpha", GivenPort("192.0.2.7", 20101, dynamic=True)))
    world.consul.register(replace(instance(*GIVEN), metadata={"scheme": "https"}))
    world.consul.register(instance("192.0.2.7", 20101))
    healthy = HealthyInstances(world.consul, world.nomad, lambda: OURS).healthy(ALPHA, ["web"])
    assert healthy["web"] == Healthy(("192.0.2.7:20100",), tls=True)
