"""Rows of random updates, planned or not, with faults, deaths of the worker and hands in between."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.commands import MakePlan, UpdateEnvironment
from environments.domain.environment import Deployment
from environments.domain.errors import BackendError, BackendUnavailable
from environments.domain.lifecycle import ENDED_DEPLOYMENTS, DeploymentKind, DeploymentState, State
from environments.engine import progress
from tests.support.crashes import Dead
from tests.support.engine_harness import ADMIN, EngineHarness

HEAD = """
[template]
name = "things"
[parameters.word]
type = "string"
default = "hello"
"""

STEP = """
[[steps]]
name = "{name}"
uses = "test.thing"
needs = {needs}
on_failure = "{policy}"
retries = 1
with = {{ says = "{says}", shared = {shared} }}
"""

SHARED = frozenset("ace")
"""Steps that write into what all share, if they are there."""

UPDATES = 6
"""In each row."""


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineHarness]:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "RETRY_PAUSE", 0.001)
    setting = EngineHarness(tmp_path / "data")
    setting.worker.start()
    yield setting
    setting.stop()


def template(chance: random.Random) -> tuple[str, set[str]]:
    """A template with some of six steps, and their names."""
    names = chance.sample("abcdef", chance.randint(1, 6))
    text = HEAD
    for place, name in enumerate(names):
        needs = [other for other in names[:place] if chance.random() < 0.4]
        says = ["{{ parameters.word }}", "fix", *(f"{{{{ steps.{other}.said }}}}+" for other in needs)]
        text += STEP.format(
            name=name,
            needs=str(needs).replace("'", '"'),
            policy=chance.choice(["stop", "stop", "continue", "rollback"]),
            says=chance.choice(says),
            shared=str(name in SHARED).lower(),
        )
    return text, set(names)


def history(setting: EngineHarness) -> list[Deployment]:
    """Newest first."""
    with setting.database.read() as tx:
        return tx.deployments.of(setting.environment().id)


def is_quiet(setting: EngineHarness) -> bool:
    """Whether every deployment has ended."""
    return all(deployment.state in ENDED_DEPLOYMENTS for deployment in history(setting))


def fail_after(setting: EngineHarness, effects: int, error: type[Exception]) -> None:
    """After so many effects three fail, then all is well again."""
    left = iter(range(effects, -1000, -1))

    def before(verb: str, address: str) -> None:
        if -3 < next(left) <= 0:
            raise error("No.")

    setting.world.before = before


def die_after(setting: EngineHarness, effects: int) -> threading.Event:
    """After so many effects the worker dies, which sets the event."""
    left, dying = iter(range(effects, -1000, -1)), threading.Event()

    def before(verb: str, address: str) -> None:
        if next(left) <= 0:
            dying.set()
        if dying.is_set():
            raise Dead

    setting.world.before = before
    return dying


def ask(setting: EngineHarness, word: str, *, planned: bool) -> None:
    """Asks for an update to the newest template."""
    if planned:
        request = MakePlan(kind=DeploymentKind.UPDATE, parameters={"word": word})
        setting.planning.apply(ADMIN, setting.planning.plan(ADMIN, "one", request).id)
    else:
        setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": word}))


def go_on_elsewhere(setting: EngineHarness) -> None:
    """The worker is dead, and another one goes on."""
    setting.crash()
    setting.world.before = lambda verb, address: None
    setting.open()
    with setting.database.write() as tx:
        tx.deployments.release_all()
    setting.worker.start()


def check_world(setting: EngineHarness, names: set[str]) -> None:
    """There is what these steps make, and nothing else; and a repair has nothing to do."""
    wanted = {f"one/{name}" for name in names} | ({"one/everybody"} if names & SHARED else set())
    assert set(setting.world.things) == wanted
    assert {step for _, step in setting.world.notes} == names & SHARED
    plan = setting.planning.plan(ADMIN, "one", MakePlan(kind=DeploymentKind.REPAIR))
    assert [step for step in plan.steps if step.changes or step.deferred] == []


# The dying process's own threads end with `Dead`: that is what some of the updates are about.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("seed", [1, 33, 102, 117])
def test_whatever_happens_the_last_update_decides_what_is_there(setting: EngineHarness, seed: int) -> None:
    chance = random.Random(seed)
    setting.push(template(chance)[0])
    setting.create()
    setting.wait_for(State.READY)
    for _ in range(UPDATES):
        text, names = template(chance)
        setting.push(text)
        setting.world.before = lambda verb, address: None
        kind = chance.choice(["clean", "fault", "death", "death", "hand"])
        dying = threading.Event()
        if kind == "fault":
            fail_after(setting, chance.randint(1, 7), chance.choice([BackendError, BackendUnavailable]))
        elif kind == "death":
            dying = die_after(setting, chance.randint(1, 7))
        elif kind == "hand" and setting.world.things:
            by_hand = chance.choice([setting.world.lose, setting.world.tamper])
            by_hand(chance.choice(sorted(setting.world.things)))
        ask(setting, chance.choice(["hello", "bye"]), planned=kind != "fault" and chance.random() < 0.6)
        setting.until(lambda dying=dying: dying.is_set() or is_quiet(setting))  # type: ignore[misc]
        if dying.is_set():
            go_on_elsewhere(setting)
        setting.until(lambda: is_quiet(setting))
        if kind != "fault":
            newest = history(setting)[0]
            assert newest.state is DeploymentState.SUCCEEDED, newest.failure
            check_world(setting, names)
    setting.world.before = lambda verb, address: None
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}
