"""What can't be destroyed is named, tried again ever more rarely, and can be given up; then it is still looked for."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment, MakePlan
from environments.domain.errors import BackendError, BackendUnavailable, NameTaken, NotAllowedNow
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, State
from environments.engine.abandoned import AbandonedObserver
from environments.service.recovery import Recovery
from tests.fakes.things import thing_registry
from tests.support.engine_harness import ADMIN, TEMPLATE, USER, EngineHarness

WHY = "the rack is gone"


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[EngineHarness]:
    setting = EngineHarness(tmp_path / "data")
    setting.push(TEMPLATE)
    setting.worker.start()
    yield setting
    setting.stop()


@pytest.fixture
def recovery(setting: EngineHarness) -> Recovery:
    return Recovery(setting.database, setting.clock, setting.new_id)


@pytest.fixture
def after(setting: EngineHarness) -> AbandonedObserver:
    return AbandonedObserver(setting.database, thing_registry(setting.world), setting.clock)


def stuck(setting: EngineHarness) -> None:
    """An environment of which one thing can't be removed."""

    def refuse(verb: str, address: str) -> None:
        if (verb, address) == ("remove", "one/right"):
            raise BackendError("The lock is jammed.")

    setting.create(parameters={"code": "swordfish"})
    setting.wait_for(State.READY)
    setting.world.before = refuse
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROY_FAILED)


def statuses(setting: EngineHarness) -> dict[str, ResourceStatus]:
    with setting.database.read() as tx:
        environment = tx.environments.named("one")
        assert environment is not None
        return {found.address: found.status for found in tx.inventory.of(environment.id)}


def test_what_is_left_is_named_with_its_reason(setting: EngineHarness) -> None:
    stuck(setting)
    failure = setting.environment().failure
    assert failure is not None
    assert "The lock is jammed." in failure.message
    with setting.database.read() as tx:
        left = [found for found in tx.inventory.of(setting.environment().id) if found.status is ResourceStatus.STUCK]
    assert [(found.address, found.detail) for found in left] == [("one/right", "The lock is jammed.")]


def test_giving_up_keeps_what_was_given_up_and_reserves_the_name_until_it_is_gone(
    setting: EngineHarness, recovery: Recovery, after: AbandonedObserver
) -> None:
    stuck(setting)
    first = setting.environment()
    view = recovery.abandon(ADMIN, "one", WHY)
    assert view.state is State.ABANDONED
    assert statuses(setting)["one/right"] is ResourceStatus.ABANDONED
    assert statuses(setting)["one/top"] is ResourceStatus.GONE
    with setting.database.read() as tx:
        events = tx.events.after(0, environment_id=first.id, limit=1000)
    assert sorted(events[-1].data["left"]) == ["thing one/everybody", "thing one/right"]
    assert "ada abandoned one" in events[-1].message
    assert "the rack is gone" in events[-1].message
    setting.world.before = lambda verb, address: None
    _is_reserved(setting)
    setting.world.lose("one/right")
    setting.world.lose("one/everybody")
    _is_reserved(setting)  # nobody has looked yet
    assert after.observe_due() == []
    assert recovery.abandon(ADMIN, f"id:{first.id}", WHY).state is State.ABANDONED  # again: look at once
    assert after.observe_due() == ["one"]
    setting.create(parameters={"code": "swordfish"})
    assert setting.wait_for(State.READY).id != first.id
    with pytest.raises(NotAllowedNow, match="nothing is left"):
        recovery.abandon(ADMIN, f"id:{first.id}", WHY)


def _is_reserved(setting: EngineHarness) -> None:
    """Nobody gets the name, be it at once or by a plan; who had it isn't told."""
    plan = MakePlan(kind=DeploymentKind.CREATE, template="things", parameters={"code": "swordfish"})
    for ask in (
        lambda: setting.requests.create(
            USER, CreateEnvironment(name="one", template="things", parameters={"code": "x"})
        ),
        lambda: setting.planning.plan(USER, "one", plan),
    ):
        with pytest.raises(NameTaken, match="'one' is reserved: an environment of that name was abandoned") as taken:
            ask()
        assert "Choose another name" in taken.value.hint
        assert ADMIN.owner not in f"{taken.value} {taken.value.hint} {taken.value.details}"


def test_only_what_could_not_be_destroyed_is_given_up(setting: EngineHarness, recovery: Recovery) -> None:
    setting.create(parameters={"code": "swordfish"})
    setting.wait_for(State.READY)
    with pytest.raises(NotAllowedNow):
        recovery.abandon(ADMIN, "one", WHY)


def test_what_was_abandoned_is_observed_until_it_is_gone(
    setting: EngineHarness, recovery: Recovery, after: AbandonedObserver
) -> None:
    stuck(setting)
    recovery.abandon(ADMIN, "one", WHY)
    assert after.observe_due() == []  # its moment hasn't come
    setting.clock.ahead = timedelta(minutes=11)
    assert after.observe_due() == ["one"]
    assert statuses(setting)["one/right"] is ResourceStatus.ABANDONED
    assert after.observe_due() == []
    setting.world.lose("one/right")
    setting.world.lose("one/everybody")
    setting.clock.ahead = timedelta(minutes=40)
    assert after.observe_due() == ["one"]
    assert statuses(setting)["one/right"] is ResourceStatus.GONE
    assert setting.environment().observe_at is None
    setting.clock.ahead = timedelta(days=3)
    assert after.observe_due() == []


def test_it_is_not_forgotten_while_something_may_be_left(
    setting: EngineHarness, recovery: Recovery, after: AbandonedObserver
) -> None:
    stuck(setting)
    recovery.abandon(ADMIN, "one", WHY)
    later = setting.clock() + timedelta(days=400)
    with setting.database.write() as tx:
        assert tx.forget_ended(later) == 0
    setting.world.lose("one/right")
    setting.world.lose("one/everybody")
    setting.clock.ahead = timedelta(days=2)
    after.observe_due()
    with setting.database.write() as tx:
        assert tx.forget_ended(later) == 1


def test_a_part_that_does_not_answer_says_nothing(
    setting: EngineHarness, recovery: Recovery, after: AbandonedObserver
) -> None:
    stuck(setting)
    recovery.abandon(ADMIN, "one", WHY)
    handler = after._registry.handlers["thing"]

    def away(*_: object) -> None:
        raise BackendUnavailable("Nobody is there.")

    handler.observe = away  # type: ignore[method-assign,assignment]
    setting.clock.ahead = timedelta(minutes=11)
    assert after.observe_due() == ["one"]
    assert statuses(setting)["one/right"] is ResourceStatus.ABANDONED


def test_a_template_that_nobody_can_read_any_more_is_destroyed_by_its_inventory(setting: EngineHarness) -> None:
    setting.create(parameters={"code": "swordfish"})
    environment = setting.wait_for(State.READY)
    with setting.database.write() as tx:
        bundle = tx.templates.bundle(environment.bundle)
        assert bundle is not None
        broken = bundle.model_copy(update={"files": {"template.toml": b"[template]\nname = 3\n"}})
        tx.templates.push("things", broken, "ada", setting.clock())
        tx.environments.change(environment.id, bundle=broken.digest)
    setting.requests.destroy(ADMIN, "one")
    setting.wait_for(State.DESTROYED)
    assert setting.world.things == {}


def test_what_the_proof_finds_again_is_removed_once_more(setting: EngineHarness) -> None:
    setting.create(parameters={"code": "swordfish"})
    environment = setting.wait_for(State.READY)
    came_back: list[str] = []

    def come_back(verb: str, address: str) -> None:
        if (verb, address) == ("remove", "one/everybody") and not came_back:
            came_back.append(address)
            setting.world.things["one/right"] = environment.id

    setting.world.before = come_back
    setting.requests.destroy(ADMIN, "one")
    assert setting.wait_for(State.DESTROYED, State.DESTROY_FAILED).state is State.DESTROYED
    assert came_back == ["one/everybody"]
    assert setting.world.removed.count("one/right") == 2
    assert setting.world.things == {}
