"""The whole life of environments, by dice: whatever people, the scheduler, faults and crashes do, the promises hold.

By default a few lives with a fixed seed; CALVINVERSE_LIVES says how many, then with other dice each time.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.environment import Deployment, Environment, EventType
from environments.domain.errors import BackendUnavailable, StepFailed
from environments.domain.lifecycle import (
    ENDED,
    ENDED_DEPLOYMENTS,
    MOVES,
    DeploymentKind,
    DeploymentState,
    ResourceStatus,
    State,
    StepState,
)
from environments.domain.template import make_bundle
from environments.engine.observe import BackendObserver
from environments.engine.plan import BackendPlanner
from environments.service.recovery import Recovery
from tests.fakes.things import thing_registry
from tests.support.crashes import Dead
from tests.support.engine_harness import ADMIN, TEMPLATE, EngineHarness

LIVES = int(os.environ.get("CALVINVERSE_LIVES", "0"))

# The dying process's own threads end with `Dead`: that is what the test is about.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

SECOND = """
[template]
name = "things"
version = "2"
[lifetime]
default = "8h"
maximum = "14d"
[parameters.word]
type = "string"
default = "hello"
[parameters.code]
type = "string"
writeOnly = true
[[steps]]
name = "left"
uses = "test.thing"
with = { says = "{{ parameters.word }}", shared = true }
[[steps]]
name = "extra"
uses = "test.thing"
with = { says = "more", shared = true }
[[steps]]
name = "top"
uses = "test.thing"
needs = ["left", "extra"]
with = { says = "{{ steps.left.said }}!" }
[outputs]
word = "{{ steps.top.said }}"
"""
"""Another version: a step fewer, a step more, no check."""

NAMES = ("one", "one-b")
WORDS = ("hello", "bye")
DIGESTS = {
    version: make_bundle({"template.toml": text.encode()}).digest for version, text in (("1", TEMPLATE), ("2", SECOND))
}
FAULTS: dict[str, Callable[[], Exception]] = {
    "passing": lambda: BackendUnavailable("It is away."),
    "lasting": lambda: StepFailed("It is glued to the floor."),
}

names = st.sampled_from(NAMES)
words = st.sampled_from(WORDS)
versions = st.sampled_from(sorted(DIGESTS))
troubles = st.one_of(
    st.just(("", -1)),
    st.tuples(st.sampled_from(["passing", "lasting", "death before", "death after"]), st.integers(0, 3)),
)
"""What goes wrong, and at which effect from then on."""


def wanted(environment: Environment) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
    """What there is of an environment that is ready: what each thing says, and the notes in the shared one."""
    name, word = environment.name, environment.parameters["word"]
    said = {f"{name}/left": word, f"{name}/top": f"{word}!", f"{name}/everybody": ""}
    notes = {(f"{name}/everybody", "left"): word}
    if environment.template_version == "1":
        return {**said, f"{name}/right": ""}, notes
    return {**said, f"{name}/extra": "more"}, {**notes, (f"{name}/everybody", "extra"): "more"}


class Lives(RuleBasedStateMachine):
    """Two environments whose names begin alike, on one service that dies and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.setting = EngineHarness(Path(self.folder.name))
        self.broken: list[str] = []
        """Promises that were broken while something ran."""
        self.meddled: set[str] = set()
        """Names of environments that somebody has touched by hand since their last good deployment."""
        self.epochs: dict[str, int] = {}
        self.ended: dict[str, Deployment] = {}
        self.dying = threading.Event()
        self._fault = ("", -1)
        self._guard = threading.Lock()
        self._seen = 0
        self._states: dict[str, State] = {}

    # --- what is ordered ---

    @initialize()
    def begin(self) -> None:
        """With one environment that is ready; its version has a step that leaves something in a shared thing."""
        self.setting.push(TEMPLATE)
        self.setting.push(SECOND)
        self._start()
        self._create(NAMES[0], WORDS[0], "2")

    @precondition(lambda self: self._free())
    @rule(data=st.data(), word=words, version=versions, trouble=troubles)
    def create(self, data: st.DataObject, word: str, version: str, trouble: tuple[str, int]) -> None:
        self._expect(trouble)
        self._create(data.draw(st.sampled_from(self._free())), word, version)

    def _create(self, name: str, word: str, version: str) -> None:
        parameters = {"word": word, "code": "x"}
        request = CreateEnvironment(name=name, template="things", digest=DIGESTS[version], parameters=parameters)
        self.meddled.discard(name)
        self._ask(lambda: self.setting.requests.create(ADMIN, request))

    @precondition(lambda self: self._in(State.READY, State.FAILED))
    @rule(data=st.data(), word=words, version=versions, trouble=troubles)
    def update(self, data: st.DataObject, word: str, version: str, trouble: tuple[str, int]) -> None:
        name = data.draw(st.sampled_from(self._in(State.READY, State.FAILED)))
        self._expect(trouble)
        request = UpdateEnvironment(digest=DIGESTS[version], parameters={"word": word})
        self._ask(lambda: self.setting.requests.update(ADMIN, name, request))
        found = self.setting.environment(name)
        if found.state is State.READY:
            assert (found.template_version, found.parameters["word"]) == (version, word)

    @precondition(lambda self: self._in(State.READY, State.FAILED))
    @rule(data=st.data(), word=words, trouble=troubles)
    def update_to_the_other_version(self, data: st.DataObject, word: str, trouble: tuple[str, int]) -> None:
        """A step goes, with what it left in the shared thing, and another one comes."""
        found = self.setting.environment(data.draw(st.sampled_from(self._in(State.READY, State.FAILED))))
        (other,) = DIGESTS.keys() - {found.template_version}
        self._expect(trouble)
        request = UpdateEnvironment(digest=DIGESTS[other], parameters={"word": word})
        self._ask(lambda: self.setting.requests.update(ADMIN, found.name, request))

    @precondition(lambda self: self._in(State.READY, State.FAILED))
    @rule(data=st.data(), trouble=troubles)
    def repair(self, data: st.DataObject, trouble: tuple[str, int]) -> None:
        name = data.draw(st.sampled_from(self._in(State.READY, State.FAILED)))
        self._expect(trouble)
        recovery = Recovery(self.setting.database, self.setting.clock, self.setting.new_id)
        self._ask(lambda: recovery.repair(ADMIN, name))

    @precondition(lambda self: self._in(State.FAILED, State.DESTROY_FAILED))
    @rule(data=st.data(), trouble=troubles)
    def retry(self, data: st.DataObject, trouble: tuple[str, int]) -> None:
        name = data.draw(st.sampled_from(self._in(State.FAILED, State.DESTROY_FAILED)))
        self._expect(trouble)
        self._ask(lambda: self.setting.requests.retry(ADMIN, name))

    @precondition(lambda self: self._alive())
    @rule(data=st.data(), trouble=troubles)
    def destroy(self, data: st.DataObject, trouble: tuple[str, int]) -> None:
        name = data.draw(st.sampled_from(self._alive()))
        self._expect(trouble)
        self._ask(lambda: self.setting.requests.destroy(ADMIN, name))

    @precondition(lambda self: self._in(State.READY, State.FAILED))
    @rule(data=st.data(), word=words, version=versions, force=st.booleans(), wins=st.booleans())
    def update_and_call_off(self, data: st.DataObject, word: str, version: str, force: bool, wins: bool) -> None:
        """An update that somebody cancels, or destroys, at the moment of its first effect."""
        name = data.draw(st.sampled_from(self._in(State.READY, State.FAILED)))
        reached = threading.Event()
        go_on = threading.Event()

        def pause(verb: str, address: str) -> None:
            reached.set()
            go_on.wait(120)
            self._watch(verb, address)

        self.setting.world.before = pause
        self.setting.requests.update(ADMIN, name, UpdateEnvironment(digest=DIGESTS[version], parameters={"word": word}))
        # An update that changes nothing has no effects, and ends by itself.
        self.setting.until(lambda: reached.is_set() or not self._unfinished())
        if self._unfinished():
            if wins:
                self.setting.requests.destroy(ADMIN, name)
            else:
                self.setting.queueing.cancel(ADMIN, name, force=force)
        go_on.set()
        self._settle()
        self.setting.world.before = self._watch

    @precondition(lambda self: self._in(State.READY, State.FAILED))
    @rule(data=st.data(), hours=st.integers(1, 20))
    def extend(self, data: st.DataObject, hours: int) -> None:
        name = data.draw(st.sampled_from(self._in(State.READY, State.FAILED)))
        before = self.setting.environment(name)
        room = (before.maximum_deadline or self.setting.clock()) - self.setting.clock() > timedelta(hours=hours)
        if before.deadline is not None and before.deadline > self.setting.clock() and room:
            found = self.setting.requests.extend(ADMIN, name, ttl=f"{hours}h")
            assert found.deadline is not None
            assert found.deadline > self.setting.clock()

    @rule(hours=st.sampled_from([1, 9, 30]))
    def time_passes(self, hours: int) -> None:
        self.setting.clock.ahead += timedelta(hours=hours)
        overdue = self._overdue()
        self.setting.scheduler.tick()
        self._settle()
        for name in overdue:
            assert self.setting.environment(name).state in (State.DESTROYED, State.DESTROY_FAILED)

    # --- what goes wrong ---

    @precondition(lambda self: self._in(State.READY, State.FAILED))
    @rule(data=st.data(), word=words, version=versions)
    def update_and_die(self, data: st.DataObject, word: str, version: str) -> None:
        """The process dies somewhere, and whatever it had begun goes on with the next one."""
        name = data.draw(st.sampled_from(self._in(State.READY, State.FAILED)))
        self.setting.requests.update(ADMIN, name, UpdateEnvironment(digest=DIGESTS[version], parameters={"word": word}))
        time.sleep(data.draw(st.sampled_from([0.0, 0.01, 0.03])))  # where it dies is left to chance
        self._die()
        self._settle()

    @precondition(lambda self: self._things())
    @rule(data=st.data(), how=st.sampled_from(["tamper", "lose"]))
    def meddle(self, data: st.DataObject, how: str) -> None:
        """Somebody changes or takes away a thing by hand."""
        address = data.draw(st.sampled_from(self._things()))
        getattr(self.setting.world, how)(address)
        self.meddled.add(address.split("/")[0])

    @precondition(lambda self: self._alive())
    @rule(data=st.data())
    def stray(self, data: st.DataObject) -> None:
        """Something turns up in an environment that no step made; it is told, and left alone."""
        address = f"{data.draw(st.sampled_from(self._alive()))}/odd"
        if address not in self.setting.world.strays:
            self.setting.world.strays.append(address)

    # --- what must hold ---

    @invariant()
    def promises(self) -> None:
        assert self.broken == []
        with self.setting.database.read() as tx:
            environments = tx.environments.all(ended=True)
            deployments = {found.id: tx.deployments.of(found.id) for found in environments}
            inventory = {found.id: tx.inventory.of(found.id) for found in environments}
        self._moves()
        for environment in environments:
            for deployment in deployments[environment.id]:
                self._deployment(deployment)
            self._state(environment, {item.address: item.status for item in inventory[environment.id]})

    def _moves(self) -> None:
        with self.setting.database.read() as tx:
            events = tx.events.after(self._seen, environment_id=None, limit=10_000)
        for event in events:
            self._seen = event.id
            if event.type is EventType.ENVIRONMENT_STATE:
                then = State(event.data["state"])
                now = self._states.get(event.environment_id, State.REQUESTED)
                assert then in MOVES[now], f"{event.environment} went from {now} to {then}"
                self._states[event.environment_id] = then

    def _deployment(self, deployment: Deployment) -> None:
        assert deployment.epoch >= self.epochs.get(deployment.id, 0)
        self.epochs[deployment.id] = deployment.epoch
        if deployment.id in self.ended:
            assert deployment == self.ended[deployment.id], "an ended deployment never changes"
        assert deployment.state in ENDED_DEPLOYMENTS, "nothing waits or runs any more"
        self.ended[deployment.id] = deployment

    def _state(self, environment: Environment, statuses: dict[str, ResourceStatus]) -> None:
        assert environment.state is self._states.get(environment.id, State.REQUESTED)
        world = self.setting.world
        things = {address for address, owner in world.things.items() if owner == environment.id}
        assert things <= statuses.keys(), "everything that is there is in the inventory"
        if environment.state in ENDED:
            assert things == set()
            return
        if environment.state is State.READY and environment.name not in self.meddled:
            said, notes = wanted(environment)
            assert {address: world.said[address] for address in things} == said
            found = {place: text for place, text in world.notes.items() if place[0] in things}
            assert found == notes
            assert {address for address, status in statuses.items() if status is ResourceStatus.PRESENT} == things

    @invariant()
    def observation(self) -> None:
        """An observation of a ready environment finds what somebody did by hand, and only that."""
        registry = thing_registry(self.setting.world)
        planner = BackendPlanner(self.setting.database, registry)
        observer = BackendObserver(self.setting.database, registry, planner, self.setting.clock)
        for environment in self._environments():
            if environment.state is State.READY:
                drift = observer.observe(environment)
                assert drift.troubles == {}
                assert any(step.changes for step in drift.steps) == (environment.name in self.meddled)
                strays = [
                    address for address in self.setting.world.strays if address.startswith(f"{environment.name}/")
                ]
                assert [found.address for found in drift.unexpected] == strays

    def teardown(self) -> None:
        """Everything can be destroyed in the end, and nothing is left."""
        try:
            self._expect(("", -1))
            for name in self._alive():
                self.setting.requests.destroy(ADMIN, name)
            self._settle()
            assert self._alive() == []
            assert self.setting.world.things == {}
            assert self.setting.world.notes == {}
            assert self.broken == []
        finally:
            self.setting.stop()
            self.folder.cleanup()

    # --- how it is done ---

    def _start(self) -> None:
        self.setting.world.before = self._watch
        self.setting.world.after = self._survive
        self.setting.worker.start()

    def _die(self) -> None:
        self.dying.set()
        self.setting.crash()
        self._expect(("", -1))
        self.setting.open()
        with self.setting.database.write() as tx:
            tx.deployments.release_all()
        self.dying.clear()
        self._start()

    def _expect(self, trouble: tuple[str, int]) -> None:
        with self._guard:
            self._fault = trouble

    def _ask(self, request: Callable[[], object]) -> None:
        request()
        self._settle()

    def _settle(self) -> None:
        """Until nothing waits or runs; a process that died is replaced."""
        end = time.monotonic() + 60
        while self._unfinished() or self.dying.is_set():
            assert time.monotonic() < end, f"it doesn't end: {self._unfinished()}"
            if self.dying.is_set():
                self._die()
            time.sleep(0.005)
        self._expect(("", -1))
        with self.setting.database.read() as tx:
            for environment in tx.environments.all():
                newest = tx.deployments.of(environment.id)
                good = [
                    item for item in newest if item.id not in self.ended and item.state is DeploymentState.SUCCEEDED
                ]
                if good:
                    self.meddled.discard(environment.name)

    def _watch(self, verb: str, address: str) -> None:
        """Before each effect: is it one that may be? Then the trouble that was ordered."""
        if self.dying.is_set():
            raise Dead
        self._check_effect(verb, address)
        with self._guard:
            kind, left = self._fault
            if left < 0 or kind == "death after":
                return
            self._fault = (kind, left - 1)
        if left == 0:
            if kind == "death before":
                self.dying.set()
                raise Dead
            raise FAULTS[kind]()

    def _survive(self, verb: str, address: str) -> None:
        with self._guard:
            kind, left = self._fault
            if left < 0 or kind != "death after":
                return
            self._fault = (kind, left - 1)
        if left == 0:
            self.dying.set()
            raise Dead

    def _check_effect(self, verb: str, address: str) -> None:
        name, thing = address.split("/")
        with self.setting.database.read() as tx:
            environment = tx.environments.named(name)
            assert environment is not None
            running = [item for item in tx.deployments.of(environment.id) if item.state is DeploymentState.RUNNING]
            statuses = {item.address: item.status for item in tx.inventory.of(environment.id)}
            steps = {step.name: step.state for item in running for step in tx.journal.steps(item.id)}
        if len(running) != 1:
            self.broken.append(f"{verb} {address} while {len(running)} deployments run")
        if verb == "make":
            if statuses.get(address) not in (ResourceStatus.INTENDED, ResourceStatus.PRESENT):
                self.broken.append(f"{address} is made before it is written down: {statuses.get(address)}")
            makers = [step for step in ("left", "extra") if step in steps] if thing == "everybody" else [thing]
            if all(steps.get(step) is not StepState.RUNNING for step in makers):
                self.broken.append(f"{address} is made by a step that doesn't run: {steps}")
            if any(item.kind is DeploymentKind.DESTROY for item in running):
                self.broken.append(f"{address} is made by a destroy")

    def _environments(self) -> list[Environment]:
        with self.setting.database.read() as tx:
            return tx.environments.all()

    def _unfinished(self) -> list[str]:
        if self.dying.is_set():
            return ["dying"]
        with self.setting.database.read() as tx:
            return [item.id for found in tx.environments.all() for item in tx.deployments.unfinished(found.id)]

    def _alive(self) -> list[str]:
        return sorted(found.name for found in self._environments())

    def _free(self) -> list[str]:
        return sorted(set(NAMES) - set(self._alive()))

    def _in(self, *states: State) -> list[str]:
        return sorted(found.name for found in self._environments() if found.state in states)

    def _overdue(self) -> list[str]:
        now = self.setting.clock()
        return [found.name for found in self._environments() if found.deadline is not None and found.deadline <= now]

    def _things(self) -> list[str]:
        return sorted(self.setting.world.things)


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=LIVES or 8,
    stateful_step_count=10,
    deadline=None,
    derandomize=not LIVES,
    database=None,
    # A life takes seconds: what failed is looked at as it is.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
