"""What the executors rely on in Consul."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from environments.domain.errors import InvalidTemplate
from environments.domain.names import kv_prefix
from environments.domain.plan import Action
from environments.domain.template import make_bundle
from environments.providers.backend.connections import Connections
from environments.providers.consul.access import policy_rules
from environments.providers.consul.client import ConsulClient
from environments.providers.consul.kv import ConsulKv, ConsulKvOptions
from environments.providers.consul.ports import (
    CONFIG_KINDS,
    ConfigEntry,
    Create,
    Entry,
    Instance,
    Put,
    Remove,
    RemoveTree,
    Unchanged,
)
from environments.providers.consul.prefix import LARGEST_VALUE, MARKER, PrefixHandler
from environments.steps.base import Owner, StepContext
from tests.fakes.backends.consul import MemoryConsul
from tests.support.busy import patient
from tests.support.step_harness import TEMPLATE, Run

Port = ConsulClient | MemoryConsul


@dataclass
class ConsulHarness:
    """A port, and what others do in Consul meanwhile."""

    port: Port
    log_in: Callable[[str], str]
    register: Callable[[str, str], None]
    configure: Callable[[ConfigEntry], None]
    known_here: Callable[[], set[str]]
    """Ids of services that the agent itself knows."""


@pytest.fixture(params=["memory", "real"])
def consul(request: pytest.FixtureRequest, real: Callable[[], Connections]) -> ConsulHarness:
    if request.param == "memory":
        twin = MemoryConsul()

        def register(service: str, identifier: str) -> None:
            twin.register(Instance(identifier, service, "node", "127.0.0.1", 4711, ("https",), {"mark": "x"}))

        return ConsulHarness(twin, twin.log_in, register, twin.configure, lambda: set(twin._instances))
    caller = real().caller("consul")

    def log_in(policy: str) -> str:
        return str(caller.call("PUT", "/v1/acl/token", {"Policies": [{"Name": policy}]})["AccessorID"])

    def register_service(service: str, identifier: str) -> None:
        body = {"ID": identifier, "Name": service, "Address": "127.0.0.1", "Port": 4711}
        more = {"Tags": ["https"], "Meta": {"mark": "x"}, "Check": {"TTL": "1h", "Status": "passing"}}
        caller.call("PUT", "/v1/agent/service/register", {**body, **more})

    def configure(entry: ConfigEntry) -> None:
        more: dict[str, dict[str, object]] = {
            "service-splitter": {"Splits": [{"Weight": 100}]},
            "service-defaults": {"Protocol": "http"},
        }
        caller.call("PUT", "/v1/config", {"Kind": entry.kind, "Name": entry.name, **more.get(entry.kind, {})})

    return ConsulHarness(
        ConsulClient(real), log_in, register_service, configure, lambda: set(caller.get("/v1/agent/services"))
    )


def test_keys_are_written_listed_and_deleted_together(consul: ConsulHarness, name: str) -> None:
    port = consul.port
    assert port.tree(f"{name}/") == {}
    assert port.commit([Create(f"{name}/.owner", b"me"), Put(f"{name}/a", "ä\n".encode(), 7), Put(f"{name}/b/c", b"")])
    tree = port.tree(f"{name}/")
    assert {key: (entry.value, entry.flags) for key, entry in tree.items()} == {
        f"{name}/.owner": (b"me", 0),
        f"{name}/a": ("ä\n".encode(), 7),
        f"{name}/b/c": (b"", 0),
    }
    assert port.commit([Remove(f"{name}/a"), Remove(f"{name}/never-there")])
    assert set(port.tree(f"{name}/")) == {f"{name}/.owner", f"{name}/b/c"}
    assert port.commit([RemoveTree(f"{name}/")])
    assert port.tree(f"{name}/") == {}


def test_flags_hold_63_bits(consul: ConsulHarness, name: str) -> None:
    consul.port.commit([Put(f"{name}/a", b"1", 2**63 - 1)])
    assert consul.port.tree(f"{name}/")[f"{name}/a"].flags == 2**63 - 1
    consul.port.commit([RemoveTree(f"{name}/")])


def test_values_of_every_size_up_to_the_limit_are_written_changed_and_taken_away(
    consul: ConsulHarness, name: str
) -> None:
    """Consul counts a value in bytes, and a transaction with all its values in base64."""
    owner, port = Owner(f"env-{name}", name), consul.port
    step = ConsulKv(port)

    def context(keys: dict[str, str]) -> StepContext:
        bundle = make_bundle({"template.toml": TEMPLATE.encode()})
        return StepContext(owner, "one", ConsulKvOptions(keys=keys), bundle, {})

    def kept() -> dict[str, str]:
        prefix = kv_prefix(name)
        found = {key.removeprefix(prefix): entry.value.decode() for key, entry in port.tree(prefix).items()}
        return {key: value for key, value in found.items() if key != MARKER}

    # 393000 bytes in base64 are about as much as a transaction takes; "ä" has two bytes.
    sizes = {"least": 0, "fits": 380_000, "edge": 392_900, "over": 393_100, "more": 400_000, "most": LARGEST_VALUE}
    keys = {key: "x" * size for key, size in sizes.items()}
    keys |= {f"k{number}": "y" * 100_000 for number in range(10)} | {f"n{number}/v": "1" for number in range(200)}
    keys["umlauts"] = "ä" * (LARGEST_VALUE // 2)
    run = Run(limit=60)
    assert len(step.plan(context(keys), run)) == len(keys) + 1
    step.apply(context(keys), run)
    assert kept() == keys
    assert list(step.plan(context(keys), run)) == []
    effects = run.effects
    step.apply(context(keys), run)
    assert run.effects == effects

    changed = {**keys, "most": "z" * LARGEST_VALUE, "k0": "small", "least": "w" * 450_000}
    del changed["more"]
    assert {(one.action, one.address) for one in step.plan(context(changed), run)} == {
        (Action.CHANGE, kv_prefix(name) + "most"),
        (Action.CHANGE, kv_prefix(name) + "k0"),
        (Action.CHANGE, kv_prefix(name) + "least"),
        (Action.DESTROY, kv_prefix(name) + "more"),
    }
    step.apply(context(changed), run)
    assert kept() == changed

    with pytest.raises(InvalidTemplate, match=r"key 'large' has 524289 bytes; Consul takes at most 524288"):
        step.plan(context({"large": "x" * (LARGEST_VALUE + 1)}), run)
    PrefixHandler(port).destroy(kv_prefix(name), owner, run)
    assert port.tree(kv_prefix(name)) == {}


def test_a_key_is_replaced_only_as_it_was(consul: ConsulHarness, name: str) -> None:
    port, key = consul.port, f"{name}/large"
    assert not port.replace(key, b"1", 7, 4711)
    assert port.entry(key) is None
    port.commit([Put(key, b"", 7)])
    first = port.entry(key)
    assert first is not None
    assert port.replace(key, "ä\n\0".encode() * 1000, 2**63 - 1, first.index)
    found = port.entry(key)
    assert found is not None
    assert (found.value, found.flags) == ("ä\n\0".encode() * 1000, 2**63 - 1)
    assert not port.replace(key, b"2", 7, first.index)
    assert port.entry(key) == found
    port.commit([RemoveTree(f"{name}/")])
    assert not port.replace(key, b"2", 7, found.index)
    assert port.entry(key) is None


def test_a_commit_whose_condition_fails_changes_nothing(consul: ConsulHarness, name: str) -> None:
    port = consul.port
    assert port.commit([Create(f"{name}/.owner", b"me")])
    before = port.tree(f"{name}/")
    assert not port.commit([Create(f"{name}/.owner", b"you"), Put(f"{name}/a", b"1")])
    assert port.tree(f"{name}/") == before
    index = before[f"{name}/.owner"].index
    assert port.commit([Unchanged(f"{name}/.owner", index), Put(f"{name}/a", b"1")])
    assert port.commit([Put(f"{name}/.owner", b"you")])
    assert not port.commit([Unchanged(f"{name}/.owner", index), RemoveTree(f"{name}/")])
    assert isinstance(port.tree(f"{name}/")[f"{name}/a"], Entry)
    port.commit([RemoveTree(f"{name}/")])
    assert not port.commit([Unchanged(f"{name}/.owner", index), Put(f"{name}/a", b"1")])


def test_a_policy_is_made_once_changed_and_removed(consul: ConsulHarness, name: str) -> None:
    port, policy = consul.port, f"env-{name}"
    assert port.policy(policy) is None
    assert port.create_policy(policy, "calvinverse environment env-1", policy_rules(name))
    assert not port.create_policy(policy, "somebody else's", {})
    found = port.policy(policy)
    assert found is not None
    assert (found.name, found.description, found.rules) == (policy, "calvinverse environment env-1", policy_rules(name))
    port.update_policy(type(found)(found.id, policy, "changed", {"key_prefix": {"x/": {"policy": "read"}}}))
    changed = port.policy(policy)
    assert changed is not None
    assert (changed.description, changed.rules) == ("changed", {"key_prefix": {"x/": {"policy": "read"}}})
    port.remove_policy(found.id)
    port.remove_policy(found.id)
    assert port.policy(policy) is None


def test_tokens_are_found_by_their_policy_and_removed(consul: ConsulHarness, name: str) -> None:
    port = consul.port
    port.create_policy(f"env-{name}", "", {})
    policy = port.policy(f"env-{name}")
    assert policy is not None
    assert port.tokens(policy.id) == []
    accessors = {consul.log_in(f"env-{name}") for _ in range(2)}
    assert set(port.tokens(policy.id)) == accessors
    for accessor in accessors:
        port.remove_token(accessor)
        port.remove_token(accessor)
    assert port.tokens(policy.id) == []
    port.remove_policy(policy.id)


def test_a_token_that_is_made_is_found_by_its_policy(consul: ConsulHarness, name: str) -> None:
    port = consul.port
    port.create_policy(f"env-{name}--module", "", {})
    policy = port.policy(f"env-{name}--module")
    assert policy is not None
    first = port.create_token(policy.name, "calvinverse environment env-1", 60)
    second = port.create_token(policy.name, "calvinverse environment env-1", 3600)
    assert len({first.accessor, first.secret, second.accessor, second.secret}) == 4
    assert first.secret not in repr(first)
    assert set(port.tokens(policy.id)) == {first.accessor, second.accessor}
    port.remove_token(first.accessor)
    assert port.tokens(policy.id) == [second.accessor]
    port.remove_token(second.accessor)
    port.remove_policy(policy.id)


def test_instances_are_found_with_their_health_and_taken_out(consul: ConsulHarness, name: str) -> None:
    port, service = consul.port, f"{name}--web"
    assert port.services(f"{name}--") == []
    assert port.instances(service)[1] == []
    consul.register(service, f"{name}-1")
    (instance,) = _until(lambda: port.instances(service)[1])
    assert (instance.id, instance.service, instance.address, instance.port) == (
        f"{name}-1",
        service,
        "127.0.0.1",
        4711,
    )
    assert (instance.tags, instance.metadata["mark"], instance.passing) == (("https",), "x", True)
    assert port.services(f"{name}--") == [service]
    port.deregister(instance)
    port.deregister(instance)
    assert port.instances(service)[1] == []
    assert port.services(f"{name}--") == []


ODD = [
    "a/b",
    "a b",
    "%2F",
    "..",
    ".",
    "../../leave",
    "../../../v1/agent/leave",
    "a//b",
    "tail/",
    "?a=b#c",
    "ü/☃",
    "x" * 300,
]
"""Names and ids that a job may choose: none of them is a path."""


def test_instances_with_odd_names_and_ids_are_found_and_taken_out_of_the_agent(
    consul: ConsulHarness, name: str
) -> None:
    port = consul.port
    assert port.registered(f"{name}--") == []
    for number, odd in enumerate(ODD):
        consul.register(f"{name}--{odd}", odd if number % 2 else f"{name}/{odd}")
        consul.register(f"{name}--many", f"{name}-{number}")
    consul.register(f"{name}-b--web", f"{name}-b")
    found = port.registered(f"{name}--")
    assert len(found) == 2 * len(ODD)
    assert {instance.service for instance in found} == {f"{name}--many", *(f"{name}--{odd}" for odd in ODD)}
    assert {instance.metadata["mark"] for instance in found} == {"x"}
    for instance in (*found, found[0]):
        port.deregister(instance)
    assert port.registered(f"{name}--") == []
    assert not consul.known_here() & {instance.id for instance in found}, "else the agent would put them back"
    (other,) = port.registered(f"{name}-b--")
    port.deregister(other)


def test_configuration_entries_with_odd_names_are_found_and_removed_in_their_order(
    consul: ConsulHarness, name: str
) -> None:
    port = consul.port
    assert port.configured(f"{name}--") == []
    odd = [ConfigEntry("service-resolver", f"{name}--{odd}") for odd in ODD]
    # Consul takes routers and splitters only for services that speak HTTP.
    others = [ConfigEntry(kind, f"{name}--web") for kind in reversed(CONFIG_KINDS)]
    for entry in [*odd, *others, ConfigEntry("service-resolver", f"{name}-b--web")]:
        consul.configure(entry)
    found = port.configured(f"{name}--")
    assert set(found) == {*odd, *others}
    for entry in (*found, found[0]):
        port.unconfigure(entry)
    assert port.configured(f"{name}--") == []
    (other,) = port.configured(f"{name}-b--")
    port.unconfigure(other)


def test_keys_are_listed_without_their_values_and_read_one_by_one(consul: ConsulHarness, name: str) -> None:
    port = consul.port
    assert (port.keys(f"{name}/"), port.entry(f"{name}/a")) == ([], None)
    odd = [f"{name}/{key}" for key in ("a", "../b", "a//b", "a b", "%2F", "new\nline", "ü/☃", "?a=b")]
    port.commit([Put(key, b"1", 3) for key in odd])
    assert sorted(port.keys(f"{name}/")) == sorted(odd)
    entry = port.entry(f"{name}/a")
    assert entry is not None
    assert (entry.value, entry.flags, entry.index) == (b"1", 3, port.tree(f"{name}/")[f"{name}/a"].index)
    port.commit([RemoveTree(f"{name}/")])
    assert port.keys(f"{name}/") == []


def test_a_blocking_query_ends_with_the_change(consul: ConsulHarness, name: str) -> None:
    port, service = consul.port, f"{name}--web"
    index, _ = port.instances(service)
    timer = threading.Timer(0.2, consul.register, (service, f"{name}-1"))
    timer.start()
    began = time.monotonic()
    instances: list[Instance] = []
    while not instances and time.monotonic() < began + 60:
        index, instances = port.instances(service, index=index, wait=25.0)
    assert 0.1 < time.monotonic() - began < patient(20)
    timer.join()
    port.deregister(instances[0])


def test_a_blocking_query_without_a_change_ends_in_time(consul: ConsulHarness, name: str) -> None:
    index, _ = consul.port.instances(f"{name}--web")
    began = time.monotonic()
    consul.port.instances(f"{name}--web", index=index, wait=0.2)
    assert time.monotonic() - began < patient(20)


def _until(read: Callable[[], list[Instance]]) -> list[Instance]:
    end = time.monotonic() + 120
    found = read()
    while not found and time.monotonic() < end:
        time.sleep(0.02)
        found = read()
    return found
