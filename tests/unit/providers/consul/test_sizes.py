"""Values in Consul: what no transaction has room for is written safely, and what is too large is said in time."""

from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import Interrupted, InvalidTemplate
from environments.domain.template import make_bundle
from environments.providers.consul.kv import ConsulKv
from environments.providers.consul.ports import Operation, Put, RemoveTree, Unchanged
from environments.providers.consul.prefix import LARGEST_TRANSACTION, LARGEST_VALUE, MARKER, batches, body_size
from environments.steps.base import Owner
from tests.fakes.backends.consul import MemoryConsul
from tests.support.step_harness import ALPHA, Run, StepHarness, bundle

CASES = Path(__file__).parents[3] / "cases" / "templates"
PREFIX = "environments/alpha/"
LARGE = "x" * 450_000


@pytest.fixture
def world() -> StepHarness:
    return StepHarness()


def options(case: str) -> tuple[dict[str, Any], Any]:
    made = make_bundle({"template.toml": (CASES / case / "template.toml").read_bytes()})
    return dict(made.template().steps[0].options), made


@pytest.mark.parametrize("case", ["kv400k", "kv380k", "kv10x100k", "kv200", "kvnull"])
def test_what_consul_takes_is_not_refused(case: str) -> None:
    assert ConsulKv.check(*options(case)) == []


def test_what_is_too_large_is_said_when_the_template_is_checked() -> None:
    told = "with.keys: the value of key 'big' has 600000 bytes; Consul takes at most 524288"
    assert [fault.sentence for fault in ConsulKv.check(*options("kv600k"))] == [told]
    for value in ("x" * 600_000, "ä" * 300_000, ["x" * 600_000], {"a": {"b": "x" * 600_000}}):
        [problem] = ConsulKv.check({"keys": {"a": 1, "big": value}}, bundle())
        assert "the value of key 'big' has 6000" in problem.message
    for value in ("x" * LARGEST_VALUE, "{{ parameters.a * 600000 }}", "{{ 'x' * 10 }} {{ parameters.a }}"):
        assert ConsulKv.check({"keys": {"big": value}}, bundle()) == []


def test_names_that_are_no_keys_are_all_told() -> None:
    found, made = options("kvkeys")
    assert len(ConsulKv.check(found, made)) == len(found["keys"])


def test_what_depends_on_a_parameter_is_refused_by_the_plan_with_key_and_size(world: StepHarness) -> None:
    for act in (world.plan, world.apply):
        with pytest.raises(InvalidTemplate) as told:
            act("consul.kv", {"keys": {"a": 1, "big": "ä" * 300_000}})
        assert told.value.message == "The value of key 'big' has 600000 bytes; Consul takes at most 524288."
    assert world.consul.tree("") == {}


def test_batches_hold_what_a_transaction_takes() -> None:
    condition = Unchanged("environments/a/.owner", 7)
    changes: list[Operation] = [Put(f"k{number}", b"x" * size) for number, size in enumerate([0, 300_000, 90_000] * 50)]
    found = batches(changes, condition)
    assert [one for batch in found for one in batch[1:]] == changes
    for batch in found:
        assert batch[0] == condition
        assert len(batch) <= 60
        assert sum(map(body_size, batch)) <= LARGEST_TRANSACTION
    assert batches([], condition) == []
    assert [len(batch) for batch in batches([Put(f"{number}", b"") for number in range(150)], condition)] == [
        60,
        60,
        33,
    ]


def test_null_numbers_and_texts_are_written_as_the_documentation_says(world: StepHarness) -> None:
    keys = {
        "none": None,
        "n": 1,
        "f": 1.5,
        "big": 12345678901234567890,
        "t": True,
        "empty": "",
        "text": "one\r\n\t👩‍👩‍👧",
    }
    world.apply("consul.kv", {"keys": keys})
    found = {key.removeprefix(PREFIX): entry.value.decode() for key, entry in world.consul.tree(PREFIX).items()}
    assert found == {
        MARKER: ALPHA.id,
        "none": "null",
        "n": "1",
        "f": "1.5",
        "big": "12345678901234567890",
        "t": "true",
        "empty": "",
        "text": "one\r\n\t👩‍👩‍👧",
    }


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_worker_that_dies_anywhere_leaves_what_the_next_one_finishes(world: StepHarness, stop_at: int) -> None:
    with pytest.raises(Interrupted):
        world.apply("consul.kv", {"keys": {"large": LARGE}}, Run(stop_at=stop_at))
    assert set(world.consul.tree("")) <= {f"{PREFIX}{MARKER}", f"{PREFIX}large"}
    world.apply("consul.kv", {"keys": {"large": LARGE}})
    assert world.consul.tree(PREFIX)[f"{PREFIX}large"].value == LARGE.encode()
    world.apply("consul.kv", {"keys": {"other": 1}})
    assert set(world.consul.tree("")) == {f"{PREFIX}{MARKER}", f"{PREFIX}other"}


class Meddling(MemoryConsul):
    """Somebody destroys the environment, and another one claims its prefix, just before a large value is written."""

    meddles = True

    def replace(self, key: str, value: bytes, flags: int, index: int) -> bool:
        """Too late."""
        if self.meddles:
            self.meddles = False
            self.commit([RemoveTree(PREFIX)])
            self.commit([Put(PREFIX + MARKER, b"env-2"), Put(f"{PREFIX}large", b"theirs")])
        return super().replace(key, value, flags, index)


def test_a_value_is_not_written_into_a_prefix_that_was_taken_meanwhile(world: StepHarness) -> None:
    consul = Meddling()
    step = ConsulKv(consul)
    with pytest.raises(Exception, match="environments/alpha/"):
        step.apply(world.context("consul.kv", {"keys": {"large": LARGE}}, owner=Owner("env-1", "alpha")), Run())
    assert consul.tree(PREFIX)[f"{PREFIX}large"].value == b"theirs"
