"""The drift_detectors on twins in memory: they tell what no step made, and nothing of what steps made."""

from collections.abc import Callable
from typing import Any

import pytest

from environments.domain.environment import ResourceRef
from environments.domain.errors import BackendUnavailable
from environments.providers.consul.ports import ConfigEntry, Instance, Put
from environments.steps.base import Owner
from environments.steps.marks import MARK
from tests.support.step_harness import ALPHA, StepHarness

APP: dict[str, Any] = {"file": "web.nomad.hcl", "variables": {"text": "hello", "count": 2}}
STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("settings", "consul.kv", {"keys": {"a": 1}}),
    ("password", "vault.secret", {"generate": {"password": {}}}),
    ("certificate", "vault.certificate", {"service": "web"}),
    ("app", "nomad.job", APP),
]
NAMES = frozenset(name for name, _, _ in STEPS)


@pytest.fixture
def world() -> StepHarness:
    """With a whole environment, and another one beside it whose name begins alike."""
    world = StepHarness()
    for owner in (ALPHA, Owner("env-2", "alpha-b")):
        for step, uses, options in STEPS:
            world.apply(uses, options, step=step, owner=owner)
    world.consul.log_in("env-alpha")
    world.logins.log_in("jwt-nomad", "alpha")
    return world


def _known(world: StepHarness) -> frozenset[ResourceRef]:
    return frozenset(item.ref for step, uses, options in STEPS for item in world.resources(uses, options, step=step))


def _found(
    world: StepHarness, known: frozenset[ResourceRef] | None = None, steps: frozenset[str] = NAMES
) -> list[tuple[str, str, str]]:
    known = _known(world) if known is None else known
    return [
        (item.kind, item.address, item.detail)
        for detector in world.registry.drift_detectors
        for item in detector.unexpected(ALPHA, known, steps)
    ]


def test_nothing_of_a_whole_environment_is_unexpected(world: StepHarness) -> None:
    assert _found(world) == []


def test_nothing_is_unexpected_where_nothing_is() -> None:
    assert _found(StepHarness()) == []


NOBODYS = "no step of this environment made it"


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (
            lambda world: world.nomad.register(
                "alpha", {**world.nomad.job("alpha", "web"), "ID": "intruder", "Name": "intruder"}, 0
            ),
            ("nomad.job", "alpha/intruder", "2 allocations run"),
        ),
        (
            lambda world: world.nomad.purge_at_once("alpha", "web"),
            ("nomad.allocations", "alpha/web", "1 allocation runs of a job that Nomad has forgotten"),
        ),
        (
            lambda world: world.nomad.write_variable("alpha", "a/b", {}),
            ("nomad.variable", "alpha/a/b", NOBODYS),
        ),
        (lambda world: world.nomad.write_volume("alpha", "vol-1"), ("nomad.volume", "alpha/vol-1", NOBODYS)),
        (
            lambda world: world.consul.commit([Put("environments/alpha/x", b"1")]),
            ("consul.kv", "environments/alpha/x", "no step of this environment wrote it"),
        ),
        (
            lambda world: world.consul.register(Instance("i", "alpha--odd", "node", "127.0.0.1", 99)),
            ("consul.service", "alpha--odd", "at 127.0.0.1:99, registered by no job of this environment"),
        ),
        (
            lambda world: world.consul.configure(ConfigEntry("service-resolver", "alpha--web")),
            ("consul.config-entry", "service-resolver/alpha--web", NOBODYS),
        ),
        (
            lambda world: world.secrets.mark("environments/alpha/deep/er", {MARK: "env-1"}),
            ("vault.secret", "secret/environments/alpha/deep/er", NOBODYS),
        ),
    ],
)
def test_a_stray_thing_is_told(
    world: StepHarness, what: Callable[[StepHarness], Any], found: tuple[str, str, str]
) -> None:
    what(world)
    assert _found(world) == [found]


def test_runs_of_a_periodic_job_belong_to_it(world: StepHarness) -> None:
    job = world.nomad.job("alpha", "web")
    assert job is not None
    for name in ("web/periodic-1700000000", "web/dispatch-1700000000-abcd", "other/dispatch-1"):
        world.nomad.register("alpha", {**job, "ID": name}, 0)
    assert [address for _, address, _ in _found(world)] == ["alpha/other/dispatch-1"]


def test_what_the_inventory_has_forgotten_is_unexpected(world: StepHarness) -> None:
    assert {(kind, address) for kind, address, _ in _found(world, known=frozenset(), steps=frozenset())} == {
        ("nomad.namespace", "alpha"),
        ("nomad.job", "alpha/web"),
        ("consul.kv", "environments/alpha/a"),
        ("consul.policy", "env-alpha"),
        ("vault.secret", "secret/environments/alpha/password"),
        ("vault.pki-role", "pki/roles/alpha"),
    }


def test_of_things_of_others_only_their_being_there_is_told() -> None:
    world = StepHarness()
    world.nomad.write_namespace("alpha", "", {"team": "theirs"})
    world.nomad.write_variable("alpha", "private", {})
    world.consul.commit([Put("environments/alpha/.owner", b"env-9"), Put("environments/alpha/private", b"")])
    found = _found(world, known=frozenset(), steps=frozenset())
    assert [(kind, address) for kind, address, _ in found] == [
        ("nomad.namespace", "alpha"),
        ("consul.kv", "environments/alpha/"),
    ]
    assert {detail for _, _, detail in found} == {"doesn't bear this environment's mark"}


@pytest.mark.parametrize(("port", "call"), [("nomad", "running"), ("consul", "registered"), ("secrets", "paths")])
def test_a_drift_detector_that_can_not_tell_says_so(
    world: StepHarness, monkeypatch: pytest.MonkeyPatch, port: str, call: str
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise BackendUnavailable("It is away.")

    monkeypatch.setattr(getattr(world, port), call, away)
    with pytest.raises(BackendUnavailable):
        _found(world)
