"""Cancel: at every phase of a deployment it ends what was asked for, and leaves what can be mended or destroyed."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import UpdateEnvironment
from environments.domain.environment import Deployment, StepRecord
from environments.domain.errors import Cancelled, InvalidTemplate, ManagedOutside, NotAllowedNow, UnknownEnvironment
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, StepState
from environments.domain.template import Bundle
from environments.service.authorization import Principal
from tests.support.engine_harness import ADMIN, TEMPLATE, USER, EngineHarness
from tests.support.postgres import Postgres

SECRET = {"code": "swordfish"}
GRACE = Principal("grace", "admin", "tok-3")
SLOW = TEMPLATE.replace(
    'name = "right"\nuses = "test.thing"', 'name = "right"\nuses = "test.thing"\nwith = { waits = 120.0 }'
)


BOTH = pytest.mark.parametrize("setting", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineHarness]:
    """On SQLite, unless the test asks for both databases."""
    if getattr(request, "param", "sqlite") == "sqlite":
        setting = EngineHarness(tmp_path / "data")
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        setting = EngineHarness(tmp_path / "data", postgres.new_database(), postgres.password_file)
    setting.push(TEMPLATE)
    yield setting
    setting.stop()


class Gate:
    """Holds an effect up until it is opened."""

    def __init__(self, setting: EngineHarness, address: str) -> None:
        self.reached, self._open = threading.Event(), threading.Event()
        self._address = address
        setting.world.before = self._hold

    def _hold(self, verb: str, address: str) -> None:
        if address == self._address and not self._open.is_set():
            self.reached.set()
            assert self._open.wait(120)

    def open(self) -> None:
        self._open.set()


def cancel(setting: EngineHarness, force: bool = False, who: Principal = ADMIN) -> Deployment:
    return setting.queueing.cancel(who, "one", force=force).deployment


def newest(setting: EngineHarness) -> Deployment:
    with setting.database.read() as tx:
        return tx.deployments.of(setting.environment().id)[0]


def steps_of(setting: EngineHarness, deployment_id: str) -> dict[str, StepRecord]:
    with setting.database.read() as tx:
        return {step.name: step for step in tx.journal.steps(deployment_id)}


def ended(setting: EngineHarness) -> Deployment:
    setting.until(lambda: newest(setting).state not in (DeploymentState.QUEUED, DeploymentState.RUNNING))
    return newest(setting)


def mends(setting: EngineHarness) -> None:
    """A retry makes it ready, and a destroy leaves nothing."""
    setting.requests.retry(ADMIN, "one")
    assert setting.wait_for(State.READY).failure is None
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


@BOTH
def test_a_create_that_waits_ends_at_once(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    view = cancel(setting)
    assert (view.state, view.cancel_requested_by) == (DeploymentState.CANCELLED, "ada")
    assert view.ended_at is not None
    environment = setting.environment()
    assert environment.state is State.FAILED
    assert environment.failure is not None
    assert environment.failure.code == "cancelled"
    assert environment.failure.message == "ada cancelled the create."
    assert "retry" in environment.failure.hint
    with pytest.raises(NotAllowedNow, match="is queued or running"):
        cancel(setting)
    setting.worker.start()
    mends(setting)


def test_a_create_that_was_claimed_but_has_not_begun(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    with setting.database.write() as tx:
        # Another worker has claimed it, and dies before it does anything.
        assert tx.deployments.claim("dead", -1.0, [DeploymentKind.CREATE], setting.clock())
    view = cancel(setting)
    assert view.state is DeploymentState.RUNNING
    setting.worker.start()
    setting.wait_for(State.FAILED)
    assert ended(setting).state is DeploymentState.CANCELLED
    assert setting.world.made == []
    mends(setting)


@BOTH
def test_in_a_step_that_waits(setting: EngineHarness) -> None:
    setting.push(SLOW)
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.until(lambda: "one/left" in setting.world.things)
    setting.until(lambda: steps_of(setting, newest(setting).id)["left"].state is StepState.DONE)
    first = cancel(setting)
    assert first.state is DeploymentState.RUNNING
    environment = setting.wait_for(State.FAILED, seconds=60)  # of the 120 s that the step would take
    assert environment.failure is not None
    assert environment.failure.message == "ada cancelled the create while right ran."
    deployment = ended(setting)
    assert deployment.state is DeploymentState.CANCELLED
    assert deployment.failure == environment.failure
    steps = steps_of(setting, deployment.id)
    assert {name: step.state for name, step in steps.items()} == {
        "left": StepState.DONE,
        "right": StepState.FAILED,
        "top": StepState.SKIPPED,
        "check": StepState.SKIPPED,
    }
    failure = steps["right"].failure
    assert failure is not None
    assert (failure.code, failure.step) == ("cancelled", "right")
    setting.push(TEMPLATE)
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters=SECRET))
    assert setting.wait_for(State.READY).failure is None


@pytest.mark.parametrize("address", ["one/left", "one/everybody", "one/top"])
def test_in_an_effect_which_ends_first(setting: EngineHarness, address: str) -> None:
    gate = Gate(setting, address)
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert gate.reached.wait(120)
    cancel(setting)
    gate.open()
    setting.wait_for(State.FAILED)
    deployment = ended(setting)
    assert deployment.state is DeploymentState.CANCELLED
    assert steps_of(setting, deployment.id)["check"].state is StepState.SKIPPED
    with setting.database.read() as tx:
        known = {resource.address for resource in tx.inventory.of(setting.environment().id)}
    assert set(setting.world.things) <= known  # nothing that destroy wouldn't find
    mends(setting)


def test_when_only_the_checks_are_left(setting: EngineHarness) -> None:
    gate = Gate(setting, "nothing")
    setting.push(TEMPLATE.replace('uses = "check.thing"', 'uses = "check.thing"\nwith = { waits = 120.0 }'))
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.VALIDATING)
    setting.until(lambda: steps_of(setting, newest(setting).id)["check"].state is StepState.RUNNING)
    cancel(setting)
    gate.open()
    setting.wait_for(State.FAILED, seconds=60)
    assert ended(setting).state is DeploymentState.CANCELLED
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


def test_too_late(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    ended(setting)
    with pytest.raises(NotAllowedNow, match="is ready"):
        cancel(setting)
    assert setting.environment().state is State.READY


@BOTH
def test_an_update_that_waits_leaves_the_environment_as_it_was(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    before = setting.wait_for(State.READY)
    ended(setting)
    setting.stop()
    setting.open()
    setting.push(TEMPLATE.replace('version = "1"', 'version = "2"'))
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye", "code": "other"}))
    view = cancel(setting)
    assert view.state is DeploymentState.CANCELLED
    assert view.failure is not None
    assert view.failure.hint == "The environment is as it was."
    after = setting.environment()
    assert (after.state, after.failure) == (State.READY, None)
    assert (after.parameters, after.bundle, after.template_version) == (
        before.parameters,
        before.bundle,
        before.template_version,
    )
    with setting.database.read() as tx:
        assert tx.environments.sealed(after.id) is None


def test_an_update_that_was_claimed_but_has_not_begun(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    before = setting.wait_for(State.READY)
    ended(setting)
    setting.stop()
    setting.open()
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye"}))
    with setting.database.write() as tx:
        assert tx.deployments.claim("dead", -1.0, [DeploymentKind.UPDATE], setting.clock())
    cancel(setting)
    setting.worker.start()
    assert ended(setting).state is DeploymentState.CANCELLED
    after = setting.environment()
    assert (after.state, after.failure, after.parameters) == (State.READY, None, before.parameters)
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "so long"}))
    setting.until(lambda: setting.environment().outputs["word"]["value"] == "so long!")


def test_an_update_that_runs(setting: EngineHarness) -> None:
    setting.worker.start()
    setting.create(parameters=SECRET)
    setting.wait_for(State.READY)
    gate = Gate(setting, "one/left")
    setting.requests.update(ADMIN, "one", UpdateEnvironment(parameters={"word": "bye"}))
    assert gate.reached.wait(120)
    cancel(setting)
    gate.open()
    setting.wait_for(State.FAILED)
    assert ended(setting).state is DeploymentState.CANCELLED
    mends(setting)


def test_a_retry_that_waits_leaves_it_failed(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    cancel(setting)
    failure = setting.environment().failure
    setting.requests.retry(ADMIN, "one")
    assert cancel(setting).state is DeploymentState.CANCELLED
    assert (setting.environment().state, setting.environment().failure) == (State.FAILED, failure)
    setting.worker.start()
    mends(setting)


@BOTH
def test_asked_again_it_answers_the_same_and_force_cuts_the_grace(setting: EngineHarness) -> None:
    gate = Gate(setting, "one/left")
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert gate.reached.wait(120)
    first = cancel(setting)
    setting.clock.ahead += timedelta(minutes=1)
    again = cancel(setting, who=GRACE)
    assert (again.cancel_requested_at, again.cancel_requested_by) == (first.cancel_requested_at, "ada")
    assert not newest(setting).cancel_forced
    cancel(setting, force=True, who=GRACE)
    forced = newest(setting)
    assert (forced.cancel_forced, forced.cancel_requested_by) == (True, "ada")
    cancel(setting)
    assert newest(setting).cancel_forced  # nothing gives the grace back
    gate.open()
    setting.wait_for(State.FAILED)
    assert ended(setting).state is DeploymentState.CANCELLED


def test_executors_see_whether_the_grace_is_cut_short(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    with setting.database.write() as tx:
        claim = tx.deployments.claim("w", 30.0, [DeploymentKind.CREATE], setting.clock())
    assert claim is not None
    for force in (False, True):
        cancel(setting, force=force)
        with setting.database.read() as tx, pytest.raises(Cancelled) as caught:
            tx.deployments.check(claim.deployment.id, "w", 1)
        assert caught.value.details == {"forced": force, "by": "ada"}


def test_a_destroy_cannot_be_cancelled(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    setting.requests.destroy(ADMIN, "one")
    with pytest.raises(NotAllowedNow, match="a destroy can't be cancelled"):
        cancel(setting)
    gate = Gate(setting, "none")
    setting.worker.start()
    setting.wait_for(State.DESTROYED)
    gate.open()
    with pytest.raises(NotAllowedNow, match="is queued or running"):
        cancel(setting)


@BOTH
def test_a_request_to_destroy_wins_over_a_cancel(setting: EngineHarness) -> None:
    gate = Gate(setting, "one/left")
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert gate.reached.wait(120)
    cancel(setting)
    setting.requests.destroy(ADMIN, "one")
    gate.open()
    setting.wait_for(State.DESTROYED)
    with setting.database.read() as tx:
        states = [item.state for item in tx.deployments.of(setting.environment().id)]
    assert states == [DeploymentState.SUCCEEDED, DeploymentState.SUPERSEDED]
    assert setting.world.things == {}


def test_a_cancel_is_not_lost_when_the_service_stops_too(setting: EngineHarness) -> None:
    gate = Gate(setting, "one/left")
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert gate.reached.wait(120)
    cancel(setting)
    stopping = threading.Thread(target=setting.stop)
    stopping.start()
    setting.until(lambda: setting.worker.stopping)
    gate.open()
    stopping.join(120)
    setting.open()
    made = list(setting.world.made)
    setting.worker.start()
    setting.wait_for(State.FAILED)
    assert ended(setting).state is DeploymentState.CANCELLED
    assert setting.world.made == made
    mends(setting)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_cancel_of_what_a_dead_worker_ran_is_carried_out_by_the_next(setting: EngineHarness) -> None:
    gate = Gate(setting, "one/left")
    setting.worker.start()
    setting.create(parameters=SECRET)
    assert gate.reached.wait(120)
    cancel(setting)
    threading.Timer(0.2, gate.open).start()
    setting.crash()
    setting.open()
    with setting.database.write() as tx:
        tx.deployments.release_all()
    setting.worker.start()
    setting.wait_for(State.FAILED)
    deployment = ended(setting)
    assert (deployment.state, deployment.epoch) == (DeploymentState.CANCELLED, 2)
    mends(setting)


def test_a_template_that_cannot_be_read_any_more(setting: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.create(parameters=SECRET)
    with setting.database.write() as tx:
        assert tx.deployments.claim("dead", -1.0, [DeploymentKind.CREATE], setting.clock())
    cancel(setting)

    def unreadable(self: Bundle) -> None:
        raise InvalidTemplate("It is of another age.")

    monkeypatch.setattr(Bundle, "template", unreadable)
    setting.worker.start()
    setting.wait_for(State.FAILED)
    assert ended(setting).state is DeploymentState.CANCELLED


@BOTH
@pytest.mark.parametrize("at", range(0, 18, 2))
def test_at_any_moment_it_ends_cancelled_or_was_too_late(setting: EngineHarness, at: int) -> None:
    """Cancelled after that many events: whatever it was doing then, the outcome is one that can be told."""
    told = threading.Event()
    seen = iter(range(10_000))

    def count(event_id: int) -> None:
        if event_id and next(seen) == at:
            told.set()

    setting.database.on_commit.append(count)
    outcome: list[str] = []

    def call() -> None:
        told.wait(2)
        try:
            cancel(setting)
            outcome.append("cancelled")
        except NotAllowedNow:
            outcome.append("too late")

    calling = threading.Thread(target=call)
    setting.create(parameters=SECRET)
    calling.start()
    setting.worker.start()
    calling.join(60)
    deployment = ended(setting)
    state = setting.wait_for(State.READY, State.FAILED).state
    if outcome == ["cancelled"]:
        assert (deployment.state, state) == (DeploymentState.CANCELLED, State.FAILED)
        setting.requests.retry(ADMIN, "one")
        setting.wait_for(State.READY)
    else:
        assert outcome == ["too late"]
        assert (deployment.state, state) == (DeploymentState.SUCCEEDED, State.READY)


def test_others_and_outside_environments_are_left_alone(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    with pytest.raises(UnknownEnvironment):
        cancel(setting, who=USER)
    with setting.database.write() as tx:
        tx.environments.change(setting.environment().id, managed_by="somebody")
    with pytest.raises(ManagedOutside):
        cancel(setting)


def test_it_is_told(setting: EngineHarness) -> None:
    setting.create(parameters=SECRET)
    cancel(setting)
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=None, limit=100)
    assert [(event.type.value, event.message) for event in events[-2:]] == [
        ("environment.state", "one is failed"),
        ("deployment.state", "create: ada cancelled the create."),
    ]
