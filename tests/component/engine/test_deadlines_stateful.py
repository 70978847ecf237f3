"""No deadline is missed or done twice, whatever the pattern of restarts, edits and take-overs.

Hypothesis edits lifetimes, policies and pins, lets time pass, and ends and replaces the leader. What it says is kept by
`Wish`, which knows nothing of how the product computes deadlines. The clocks are right here, and environments are too
few to be held: so each is destroyed by the first round after its deadline, once, and never before.
"""

from collections.abc import Callable
from datetime import timedelta

import hypothesis.strategies as st
import structlog
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from environments.domain.timing import Scope
from environments.engine.scheduler import Scheduler
from tests.support.decisions.flaky import FAULTS
from tests.support.decisions.world import World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MOST = 8
"""Environments at a time: fewer than what is ever held for their number."""

POLICIES = {"grace": Scope.OWNER, "linus": Scope.OWNER, "plain": Scope.TEMPLATE}

later = st.integers(1, 40 * 60)
soon = later.map(lambda minutes: minutes * MINUTE)
owners = st.sampled_from(["grace", "linus"])
policies = st.sampled_from(sorted(POLICIES))


class Deadlines(RuleBasedStateMachine):
    """A few environments, one service, and whoever leads it."""

    def __init__(self) -> None:
        super().__init__()
        self.logging = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        self.world = World(remote=True)
        self.former: Scheduler | None = None
        self.made = 0

    @initialize(lifetimes=st.lists(soon, min_size=2, max_size=4))
    def begin(self, lifetimes: list[timedelta]) -> None:
        """The service runs, and leads. There are some environments, one with a rule of its template."""
        self.world.tick()
        for number, lifetime in enumerate(lifetimes):
            self.create(lifetime, ruled=number == 0, owner=("grace", "linus")[number % 2])

    # --- what people do

    @precondition(lambda self: len(self.world.oracle.living()) < MOST)
    @rule(lifetime=soon, ruled=st.booleans(), owner=owners)
    def create(self, lifetime: timedelta, ruled: bool, owner: str) -> None:
        self.made += 1
        self.world.create(f"demo-{self.made}", lifetime, ruled=ruled, owner=owner)

    @rule(data=st.data(), by=soon)
    def extend(self, data: st.DataObject, by: timedelta) -> None:
        self._to_one(data, lambda id: self.world.extend(id, self.world.now + by))

    @rule(data=st.data(), by=soon)
    def pin(self, data: st.DataObject, by: timedelta) -> None:
        self._to_one(data, lambda id: self.world.pin(id, self.world.now + by))

    @rule(data=st.data(), by=soon)
    def edit(self, data: st.DataObject, by: timedelta) -> None:
        self._to_one(data, lambda id: self.world.edit([id], self.world.now + by))

    @rule(data=st.data())
    def destroy(self, data: st.DataObject) -> None:
        self._to_one(data, self.world.destroy)

    @rule(name=policies, by=soon)
    def set_policy(self, name: str, by: timedelta) -> None:
        at = (self.world.now + by + MINUTE).replace(second=0, microsecond=0)
        self.world.set_policy(POLICIES[name], name, at)

    @precondition(lambda self: self.world.rules)
    @rule(data=st.data())
    def remove_policy(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.rules)))
        self.world.remove_policy(POLICIES[name], name)

    # --- what happens to the service

    @rule(by=soon)
    def time_passes(self, by: timedelta) -> None:
        self.world.now += by

    @rule(how=st.sampled_from(["again", "another machine", "reboot", "other zone database"]), away=st.just(0) | later)
    def another_process_leads(self, how: str, away: int) -> None:
        self.former = self.world.scheduler
        self.world.now += away * MINUTE
        match how:
            case "again":
                self.world.restart()
            case "another machine":
                self.world.take_over()
            case "reboot":
                self.world.reboot(timedelta(0))
            case _:
                self.world.zones += "+"
                self.world.restart()

    @precondition(lambda self: self.former is not None)
    @rule()
    def the_former_leader_has_one_more_round(self) -> None:
        """It doesn't know that it isn't the leader any more."""
        assert self.former is not None
        self.former.tick()

    @rule(fault=st.sampled_from([fault for fault in FAULTS if fault != "no templates"]))
    def a_round_fails(self, fault: str) -> None:
        self.world.storage.fault = fault
        self.world.tick()
        self.world.storage.fault = ""

    @rule()
    def workers_work(self) -> None:
        self.world.work()

    # --- what holds

    @invariant()
    def nothing_is_missed_nor_done_early_or_twice(self) -> None:
        world = self.world
        world.tick()
        for id, life in world.oracle.lives.items():
            if life.destroyed_at is None:
                assert life.wanted_until > world.now, f"{id} still stands\n" + "\n".join(world.oracle.trace)
        early = [id for id, at in world.destroyed_by_the_clock().items() if at < world.oracle.lives[id].wanted_until]
        assert early == [], "destroyed too early"
        assert world.destroyed_more_than_once() == []
        assert world.held() == {}

    def _to_one(self, data: st.DataObject, does: Callable[[str], object]) -> None:
        if living := self.world.oracle.living():
            does(data.draw(st.sampled_from(living)))

    def teardown(self) -> None:
        """Lets others log as before."""
        structlog.configure(**self.logging)


TestDeadlines = Deadlines.TestCase
TestDeadlines.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
